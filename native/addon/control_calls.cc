#include <memory>

#include "arguments.h"
#include "control_buffer.h"
#include "exports.h"
#include "outcome.h"

// These calls are made for every message, and go around node-addon-api: its frame costs more than they do. A ControlBuffer is an external value
// for the same reason: to find what a wrapped object wraps takes four times as long as all the rest of a call (bench/README.md).

namespace holdfast::addon {

namespace {

// net.core.optmem_max bounds what the kernel takes in one call; far more than that is a mistake of the caller.
constexpr uint32_t largest_capacity = 1U << 24;

/** The arguments of a call: (buffer[, data]). */
struct Call {
  ControlBuffer* buffer = nullptr;

  bool read(napi_env env, napi_callback_info info) {
    size_t count = 2;
    napi_value arguments[2];
    void* found = nullptr;
    if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || napi_get_value_external(env, arguments[0], &found) != napi_ok) {
      napi_throw_type_error(env, nullptr, "argument 0 must be a control buffer");
      return false;
    }
    buffer = static_cast<ControlBuffer*>(found);
    has_data_ = count > 1;
    value_ = arguments[1];
    return true;
  }

  /** The data; without an argument that of the call before, whose Uint8Array script has kept alive and found as long as it was. */
  bool read_data(napi_env env) {
    if (!has_data_) return true;
    if (!given_.read(env, value_)) return false;
    if (given_.single() != nullptr) buffer->keep_data(*given_.single());
    return true;
  }

  sys::DataBuffers data() { return has_data_ && given_.single() == nullptr ? given_.buffers() : buffer->kept_data(); }

 private:
  bool has_data_ = false;
  napi_value value_ = nullptr;
  DataArgument given_;
};

/** Nothing is returned: what the call gave is in the table. */
napi_value done_or_thrown(napi_env env, const sys::Result<sys::Done>& result) {
  if (!result.ok()) throw_failure(env, result.error, result.call);
  return nullptr;
}

void destroy(napi_env, void* buffer, void*) { delete static_cast<ControlBuffer*>(buffer); }

/** (capacity in bytes) -> { handle, memory, table, request } */
Napi::Value create(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint32_t capacity = arguments.natural(0);
  if (!arguments.ok()) return {};
  if (capacity > largest_capacity) {
    Napi::RangeError::New(info.Env(), "capacity is at most 16777216 bytes").ThrowAsJavaScriptException();
    return {};
  }
  auto buffer = std::make_unique<ControlBuffer>(info.Env(), capacity);
  if (info.Env().IsExceptionPending()) return {};
  Napi::Object parts = Napi::Object::New(info.Env());
  parts.Set("memory", buffer->memory());
  parts.Set("table", buffer->table());
  parts.Set("request", buffer->request());
  napi_value handle = nullptr;
  if (napi_create_external(info.Env(), buffer.get(), destroy, nullptr, &handle) != napi_ok) return {};
  static_cast<void>(buffer.release());
  parts.Set("handle", handle);
  return parts;
}

napi_value clear(napi_env env, napi_callback_info info) {
  Call call;
  if (call.read(env, info)) call.buffer->clear();
  return nullptr;
}

napi_value take(napi_env env, napi_callback_info info) {
  Call call;
  if (call.read(env, info)) call.buffer->take();
  return nullptr;
}

napi_value send(napi_env env, napi_callback_info info) {
  Call call;
  if (!call.read(env, info) || !call.read_data(env)) return nullptr;
  return done_or_thrown(env, call.buffer->send(call.data(), nullptr));
}

napi_value compose_and_send(napi_env env, ControlBuffer& buffer, sys::DataBuffers data, const sys::Address* to) {
  if (!buffer.compose()) {
    buffer.clear();
    napi_throw_range_error(env, nullptr, "the control messages do not fit the buffer");
    return nullptr;
  }
  const sys::Result<sys::Done> sent = buffer.send(data, to);
  buffer.clear_composed();
  return done_or_thrown(env, sent);
}

napi_value post(napi_env env, napi_callback_info info) {
  Call call;
  if (!call.read(env, info) || !call.read_data(env)) return nullptr;
  return compose_and_send(env, *call.buffer, call.data(), nullptr);
}

/** What a call to an address has: (buffer, data, family, name, port). */
struct AddressedCall {
  ControlBuffer* buffer = nullptr;
  DataArgument data;
  sys::Address to;

  bool read(const Napi::CallbackInfo& info) {
    Arguments arguments(info);
    to = arguments.address(2);
    if (!arguments.ok() || !info[0].IsExternal()) return false;
    buffer = info[0].As<Napi::External<ControlBuffer>>().Data();
    return data.read(info.Env(), info[1]);
  }
};

Napi::Value send_to(const Napi::CallbackInfo& info) {
  AddressedCall call;
  if (call.read(info)) done_or_thrown(info.Env(), call.buffer->send(call.data.buffers(), &call.to));
  return info.Env().Undefined();
}

Napi::Value post_to(const Napi::CallbackInfo& info) {
  AddressedCall call;
  if (call.read(info)) compose_and_send(info.Env(), *call.buffer, call.data.buffers(), &call.to);
  return info.Env().Undefined();
}

napi_value receive(napi_env env, napi_callback_info info) {
  Call call;
  if (!call.read(env, info) || !call.read_data(env)) return nullptr;
  return done_or_thrown(env, call.buffer->receive(call.data()));
}

napi_value sender(napi_env env, napi_callback_info info) {
  Call call;
  return call.read(env, info) ? static_cast<napi_value>(address_value(env, call.buffer->sender())) : nullptr;
}

}  // namespace

void export_control_calls(Napi::Env env, Napi::Object exports) {
  Napi::Object control = Napi::Object::New(env);
  const auto set = [env, &control](const char* name, napi_callback call) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function) == napi_ok) control.Set(name, function);
  };
  control.Set("create", Napi::Function::New<create>(env, "create"));
  set("clear", clear);
  set("take", take);
  set("send", send);
  control.Set("sendTo", Napi::Function::New<send_to>(env, "sendTo"));
  set("post", post);
  control.Set("postTo", Napi::Function::New<post_to>(env, "postTo"));
  set("receive", receive);
  set("sender", sender);
  exports.Set("control", control);
}

}  // namespace holdfast::addon
