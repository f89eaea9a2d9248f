#include "fd_watcher.h"

#include "../sys/descriptor.h"
#include "arguments.h"
#include "outcome.h"

namespace holdfast::addon {

/** The handle, apart from the object: it outlives it until the loop has closed it. */
struct FdWatcher::Poll {
  uv_poll_t handle{};
  napi_async_cleanup_hook_handle hook = nullptr;
  FdWatcher* owner = nullptr;
  int interest = 0;
  bool closing = false;

  static void event(uv_poll_t* handle, int status, int events) {
    auto* poll = static_cast<Poll*>(handle->data);
    if (poll->owner == nullptr) return;
    if (status < 0) {
      // libuv stops a handle when epoll reports EPOLLERR. The owner learns the error from its next call; until it acts, keep telling it.
      uv_poll_start(handle, poll->interest, event);
      poll->owner->on_event(true, true);
      return;
    }
    poll->owner->on_event((events & (UV_READABLE | UV_DISCONNECT)) != 0, (events & UV_WRITABLE) != 0);
  }

  void start_closing() {
    if (closing) return;
    closing = true;
    if (owner != nullptr) owner->poll_ = nullptr;
    owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), [](uv_handle_t* closed) {
      auto* poll = static_cast<Poll*>(closed->data);
      napi_remove_async_cleanup_hook(poll->hook);
      delete poll;
    });
  }

  /** The environment ends (a worker thread, process exit): it waits until the handle is closed. */
  static void environment_ends(napi_async_cleanup_hook_handle, void* data) { static_cast<Poll*>(data)->start_closing(); }
};

void FdWatcher::export_class(Napi::Env env, Napi::Object exports) {
  exports.Set("FdWatcher", DefineClass(env, "FdWatcher",
                                       {
                                           InstanceMethod<&FdWatcher::watch>("watch"),
                                           InstanceMethod<&FdWatcher::ref>("ref"),
                                           InstanceMethod<&FdWatcher::unref>("unref"),
                                           InstanceMethod<&FdWatcher::close>("close"),
                                       }));
}

FdWatcher::FdWatcher(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FdWatcher>(info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const Napi::Function callback = arguments.function(1);
  if (!arguments.ok()) return;
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(info.Env(), &loop) != napi_ok) return;
  const sys::Result<bool> nonblocking = sys::is_nonblocking(fd);
  if (!nonblocking.ok()) {
    throw_failure(info.Env(), nonblocking.error, nonblocking.call);
    return;
  }
  auto* poll = new Poll;
  const int error = uv_poll_init(loop, &poll->handle, fd);
  if (error != 0) {
    delete poll;
    throw_failure(info.Env(), -error, "uv_poll_init");
    return;
  }
  if (!nonblocking.value) static_cast<void>(sys::set_nonblocking(fd, false));
  poll->handle.data = poll;
  poll->owner = this;
  napi_add_async_cleanup_hook(info.Env(), Poll::environment_ends, poll, &poll->hook);
  callback_ = Napi::Persistent(callback);
  poll_ = poll;
}

FdWatcher::~FdWatcher() {
  if (poll_ != nullptr) poll_->start_closing();
}

Napi::Value FdWatcher::watch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const bool readable = arguments.boolean(0);
  const bool writable = arguments.boolean(1);
  if (!arguments.ok() || poll_ == nullptr) return info.Env().Undefined();
  poll_->interest = (readable ? UV_READABLE | UV_DISCONNECT : 0) | (writable ? UV_WRITABLE : 0);
  const int error = poll_->interest == 0 ? uv_poll_stop(&poll_->handle) : uv_poll_start(&poll_->handle, poll_->interest, Poll::event);
  if (error != 0) throw_failure(info.Env(), -error, "uv_poll_start");
  anchor(poll_->interest != 0);
  return info.Env().Undefined();
}

void FdWatcher::anchor(bool active) {
  if (active == anchored_) return;
  anchored_ = active;
  if (active) {
    Ref();
  } else {
    Unref();
  }
}

Napi::Value FdWatcher::ref(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
  return info.Env().Undefined();
}

Napi::Value FdWatcher::unref(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
  return info.Env().Undefined();
}

Napi::Value FdWatcher::close(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->start_closing();
  // What it reaches would live for ever otherwise, and this object with it: usually its owner has both.
  callback_.Reset();
  anchor(false);
  return info.Env().Undefined();
}

void FdWatcher::on_event(bool readable, bool writable) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  // The object may be closed by its callback; nothing of it is used after the call.
  const Napi::Function callback = callback_.Value();
  callback.MakeCallback(Value(), {Napi::Boolean::New(env, readable), Napi::Boolean::New(env, writable)});
  if (env.IsExceptionPending()) {
    // As for any event in Node: an error that a listener throws is an uncaught exception.
    const Napi::Error error = env.GetAndClearPendingException();
    napi_fatal_exception(env, error.Value());
  }
}

}  // namespace holdfast::addon
