#include "../sys/hang_up.h"

#include "arguments.h"
#include "exports.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

Napi::Value make_hang_up_set(const Napi::CallbackInfo& info) { return outcome(info.Env(), sys::make_hang_up_set()); }

Napi::Value watch_hang_up(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int set = arguments.descriptor(0);
  const int fd = arguments.descriptor(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::watch_hang_up(set, fd));
}

Napi::Value forget_hang_up(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int set = arguments.descriptor(0);
  const int fd = arguments.descriptor(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::forget_hang_up(set, fd));
}

/** (set, room for numbers of 32 bits, aligned): how many were written. */
Napi::Value hung_up(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int set = arguments.descriptor(0);
  const iovec into = arguments.bytes(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::hung_up(set, static_cast<int*>(into.iov_base), into.iov_len / sizeof(int)));
}

Napi::Value same_file(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int one = arguments.descriptor(0);
  const int other = arguments.descriptor(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::same_file(one, other));
}

}  // namespace

void export_hang_up_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("makeHangUpSet", Napi::Function::New<make_hang_up_set>(env, "makeHangUpSet"));
  exports.Set("watchHangUp", Napi::Function::New<watch_hang_up>(env, "watchHangUp"));
  exports.Set("forgetHangUp", Napi::Function::New<forget_hang_up>(env, "forgetHangUp"));
  exports.Set("hungUp", Napi::Function::New<hung_up>(env, "hungUp"));
  exports.Set("sameFile", Napi::Function::New<same_file>(env, "sameFile"));
}

}  // namespace holdfast::addon
