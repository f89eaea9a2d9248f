#include <sys/stat.h>

#include <cmath>
#include <vector>

#include "../sys/descriptor.h"
#include "arguments.h"
#include "exports.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

/** Around node-addon-api, whose frame for each call costs more than this one, which is made for every descriptor there is. */
napi_value close_one(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr;
  double number = -1;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || napi_get_value_double(env, argument, &number) != napi_ok ||
      !(number >= 0 && number <= INT32_MAX && number == std::trunc(number))) {
    napi_throw_type_error(env, nullptr, "argument 0 must be a descriptor");
    return nullptr;
  }
  const sys::Result<sys::Done> closed = sys::close_descriptor(static_cast<int>(number));
  if (!closed.ok()) throw_failure(env, closed.error, closed.call);
  return nullptr;
}

/** (fds: Int32Array, how many of them) closes all; throws the first failure when it has. */
napi_value close_many(napi_env env, napi_callback_info info) {
  size_t argument_count = 2;
  napi_value arguments[2];
  napi_typedarray_type type = napi_uint8_array;
  size_t room = 0;
  void* data = nullptr;
  uint32_t count = 0;
  if (napi_get_cb_info(env, info, &argument_count, arguments, nullptr, nullptr) != napi_ok ||
      napi_get_typedarray_info(env, arguments[0], &type, &room, &data, nullptr, nullptr) != napi_ok || type != napi_int32_array ||
      napi_get_value_uint32(env, arguments[1], &count) != napi_ok || count > room) {
    napi_throw_type_error(env, nullptr, "the arguments must be an Int32Array and a count");
    return nullptr;
  }
  sys::Result<sys::Done> first = sys::done();
  for (uint32_t i = 0; i < count; i++) {
    const sys::Result<sys::Done> closed = sys::close_descriptor(static_cast<const int32_t*>(data)[i]);
    if (first.ok()) first = closed;
  }
  if (!first.ok()) throw_failure(env, first.error, first.call);
  return nullptr;
}

Napi::Value duplicate(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::duplicate(fd));
}

Napi::Value set_nonblocking(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const bool on = arguments.boolean(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::set_nonblocking(fd, on));
}

Napi::Value is_nonblocking(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::is_nonblocking(fd));
}

Napi::Value set_close_on_exec(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const bool on = arguments.boolean(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::set_close_on_exec(fd, on));
}

Napi::Value make_pipe(const Napi::CallbackInfo& info) { return outcome(info.Env(), sys::make_pipe()); }

Napi::Value make_memfd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.text(0);
  const iovec content = arguments.bytes(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::make_memfd(name.c_str(), static_cast<const uint8_t*>(content.iov_base), content.iov_len));
}

Napi::Value make_fifo(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.text(0);
  const uint32_t mode = arguments.natural(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::make_fifo(path.c_str(), static_cast<mode_t>(mode)));
}

Napi::Value open_fifo(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.text(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::open_fifo(path.c_str()));
}

Napi::Value file_size(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  const sys::Result<off_t> size = sys::file_size(fd);
  if (!size.ok()) return outcome(info.Env(), sys::failure<sys::Done>(size.error, size.call));
  return Napi::Number::New(info.Env(), static_cast<double>(size.value));
}

Napi::Value read_at(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const iovec into = arguments.bytes(1);
  const uint32_t offset = arguments.natural(2);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::read_at(fd, static_cast<uint8_t*>(into.iov_base), into.iov_len, static_cast<off_t>(offset)));
}

Napi::Value read_some(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const iovec into = arguments.bytes(1);
  if (!arguments.ok()) return {};
  return outcome_or(info.Env(), sys::read_some(fd, static_cast<uint8_t*>(into.iov_base), into.iov_len), EAGAIN);
}

Napi::Value poll_readable(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::poll_readable(fd));
}

}  // namespace

void export_descriptor_calls(Napi::Env env, Napi::Object exports) {
  const auto set = [env, &exports](const char* name, napi_callback call) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function) == napi_ok) exports.Set(name, function);
  };
  set("close", close_one);
  set("closeMany", close_many);
  exports.Set("duplicate", Napi::Function::New<duplicate>(env, "duplicate"));
  exports.Set("setNonblocking", Napi::Function::New<set_nonblocking>(env, "setNonblocking"));
  exports.Set("isNonblocking", Napi::Function::New<is_nonblocking>(env, "isNonblocking"));
  exports.Set("setCloseOnExec", Napi::Function::New<set_close_on_exec>(env, "setCloseOnExec"));
  exports.Set("pipe", Napi::Function::New<make_pipe>(env, "pipe"));
  exports.Set("memfd", Napi::Function::New<make_memfd>(env, "memfd"));
  exports.Set("makeFifo", Napi::Function::New<make_fifo>(env, "makeFifo"));
  exports.Set("openFifo", Napi::Function::New<open_fifo>(env, "openFifo"));
  exports.Set("fileSize", Napi::Function::New<file_size>(env, "fileSize"));
  exports.Set("readAt", Napi::Function::New<read_at>(env, "readAt"));
  exports.Set("readSome", Napi::Function::New<read_some>(env, "readSome"));
  exports.Set("pollReadable", Napi::Function::New<poll_readable>(env, "pollReadable"));
}

}  // namespace holdfast::addon
