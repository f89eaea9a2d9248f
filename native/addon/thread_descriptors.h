#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

namespace holdfast::addon {

/**
 * The descriptors that a worker thread owns, one byte per number, so that script marks them without a call. Marked numbers are
 * closed when the environment of the thread ends: by then nobody else can.
 */
class ThreadDescriptors : public Napi::ObjectWrap<ThreadDescriptors> {
 public:
  static void export_class(Napi::Env env, Napi::Object exports);

  explicit ThreadDescriptors(const Napi::CallbackInfo& info);
  ~ThreadDescriptors() override;
  ThreadDescriptors(const ThreadDescriptors&) = delete;
  ThreadDescriptors& operator=(const ThreadDescriptors&) = delete;

 private:
  /** (count) -> Uint8Array of at least so many numbers, with the marks of the one before, which is not looked at any more. */
  Napi::Value marks(const Napi::CallbackInfo& info);

  static void environment_ends(void* self);

  Napi::Reference<Napi::Uint8Array> marks_reference_;
  uint8_t* marks_ = nullptr;
  size_t count_ = 0;
  bool watches_environment_ = false;
};

}  // namespace holdfast::addon
