#include "thread_descriptors.h"

#include <cstring>

#include "../sys/descriptor.h"
#include "arguments.h"

namespace holdfast::addon {

void ThreadDescriptors::export_class(Napi::Env env, Napi::Object exports) {
  exports.Set("ThreadDescriptors", DefineClass(env, "ThreadDescriptors", {InstanceMethod<&ThreadDescriptors::marks>("marks")}));
}

ThreadDescriptors::ThreadDescriptors(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ThreadDescriptors>(info) {
  watches_environment_ = napi_add_env_cleanup_hook(info.Env(), environment_ends, this) == napi_ok;
}

ThreadDescriptors::~ThreadDescriptors() {
  if (watches_environment_) napi_remove_env_cleanup_hook(Env(), environment_ends, this);
}

Napi::Value ThreadDescriptors::marks(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint32_t wanted = arguments.natural(0);
  if (!arguments.ok()) return {};
  if (wanted <= count_) return marks_reference_.Value();
  const Napi::Uint8Array marks = Napi::Uint8Array::New(info.Env(), wanted);
  if (info.Env().IsExceptionPending()) return {};
  uint8_t* bytes = const_cast<Napi::Uint8Array&>(marks).Data();
  if (count_ > 0) memcpy(bytes, marks_, count_);
  marks_reference_ = Napi::Persistent(marks);
  marks_ = bytes;
  count_ = wanted;
  return marks;
}

void ThreadDescriptors::environment_ends(void* self) {
  auto* table = static_cast<ThreadDescriptors*>(self);
  table->watches_environment_ = false;
  for (size_t number = 0; number < table->count_; number++) {
    const int fd = static_cast<int>(number);
    if (table->marks_[number] != 0) sys::close_all(&fd, 1);
  }
  table->count_ = 0;
}

}  // namespace holdfast::addon
