#pragma once

#include <napi.h>
#include <uv.h>

namespace holdfast::addon {

/**
 * Tells script when a descriptor is readable or writable (uv_poll, level-triggered). The descriptor stays the caller's.
 *
 * uv_poll_init sets O_NONBLOCK on what it watches. That flag belongs to the open file description, which other processes may
 * share, so it is put back at once.
 */
class FdWatcher : public Napi::ObjectWrap<FdWatcher> {
 public:
  static void export_class(Napi::Env env, Napi::Object exports);

  /** (fd, (readable: boolean, writable: boolean) => void) */
  explicit FdWatcher(const Napi::CallbackInfo& info);
  ~FdWatcher() override;
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;

 private:
  struct Poll;

  /** (readable, writable) */
  Napi::Value watch(const Napi::CallbackInfo& info);
  Napi::Value ref(const Napi::CallbackInfo& info);
  Napi::Value unref(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  void anchor(bool active);
  void on_event(bool readable, bool writable);

  Napi::FunctionReference callback_;
  bool anchored_ = false;  // an active watcher is not collected: its callback may be all that its owner waits for
  Poll* poll_ = nullptr;  // null once closed; the loop frees it
};

}  // namespace holdfast::addon
