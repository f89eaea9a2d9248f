#include <cerrno>
#include <vector>

#include "../sys/socket.h"
#include "arguments.h"
#include "exports.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

Napi::Value open_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int family = arguments.integer(0);
  const int type = arguments.integer(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::open_socket(family, type));
}

Napi::Value socket_pair(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int type = arguments.integer(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::socket_pair(type));
}

Napi::Value bind_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const sys::Address address = arguments.address(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::bind_socket(fd, address));
}

Napi::Value listen_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int backlog = arguments.integer(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::listen_socket(fd, backlog));
}

Napi::Value accept_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome_or(info.Env(), sys::accept_socket(fd), EAGAIN);
}

Napi::Value connect_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const sys::Address address = arguments.address(1);
  if (!arguments.ok()) return {};
  return outcome_or(info.Env(), sys::connect_socket(fd, address), EINPROGRESS);
}

Napi::Value local_address(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::local_address(fd));
}

Napi::Value remote_address(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::remote_address(fd));
}

Napi::Value attach_reuseport_filter(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const iovec program = arguments.bytes(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::attach_reuseport_filter(fd, program.iov_base, program.iov_len));
}

Napi::Value set_option(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int level = arguments.integer(1);
  const int name = arguments.integer(2);
  const int value = arguments.integer(3);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::set_option(fd, level, name, value));
}

Napi::Value set_text_option(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int level = arguments.integer(1);
  const int name = arguments.integer(2);
  const std::string value = arguments.text(3);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::set_text_option(fd, level, name, value.data(), value.size()));
}

Napi::Value get_option(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int level = arguments.integer(1);
  const int name = arguments.integer(2);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::get_option(fd, level, name));
}

Napi::Value peer_credentials(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  const sys::Result<sys::Credentials> peer = sys::peer_credentials(fd);
  if (!peer.ok()) return outcome(info.Env(), sys::failure<sys::Done>(peer.error, peer.call));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pid", Napi::Number::New(info.Env(), peer.value.pid));
  object.Set("uid", Napi::Number::New(info.Env(), peer.value.uid));
  object.Set("gid", Napi::Number::New(info.Env(), peer.value.gid));
  return object;
}

Napi::Value peer_groups(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  const sys::Result<std::vector<uint32_t>> groups = sys::peer_groups(fd);
  if (!groups.ok()) return outcome(info.Env(), sys::failure<sys::Done>(groups.error, groups.call));
  Napi::Array array = Napi::Array::New(info.Env(), groups.value.size());
  for (uint32_t i = 0; i < groups.value.size(); i++) array.Set(i, Napi::Number::New(info.Env(), groups.value[i]));
  return array;
}

Napi::Value peer_pidfd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::peer_pidfd(fd));
}

Napi::Value shutdown_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int how = arguments.integer(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::shutdown_socket(fd, how));
}

}  // namespace

void export_socket_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("socket", Napi::Function::New<open_socket>(env, "socket"));
  exports.Set("socketPair", Napi::Function::New<socket_pair>(env, "socketPair"));
  exports.Set("bind", Napi::Function::New<bind_socket>(env, "bind"));
  exports.Set("listen", Napi::Function::New<listen_socket>(env, "listen"));
  exports.Set("accept", Napi::Function::New<accept_socket>(env, "accept"));
  exports.Set("connect", Napi::Function::New<connect_socket>(env, "connect"));
  exports.Set("localAddress", Napi::Function::New<local_address>(env, "localAddress"));
  exports.Set("remoteAddress", Napi::Function::New<remote_address>(env, "remoteAddress"));
  exports.Set("setOption", Napi::Function::New<set_option>(env, "setOption"));
  exports.Set("attachReuseportFilter",
              Napi::Function::New<attach_reuseport_filter>(env, "attachReuseportFilter"));
  exports.Set("setTextOption", Napi::Function::New<set_text_option>(env, "setTextOption"));
  exports.Set("getOption", Napi::Function::New<get_option>(env, "getOption"));
  exports.Set("peerCredentials", Napi::Function::New<peer_credentials>(env, "peerCredentials"));
  exports.Set("peerGroups", Napi::Function::New<peer_groups>(env, "peerGroups"));
  exports.Set("peerPidfd", Napi::Function::New<peer_pidfd>(env, "peerPidfd"));
  exports.Set("shutdown", Napi::Function::New<shutdown_socket>(env, "shutdown"));
}

}  // namespace holdfast::addon
