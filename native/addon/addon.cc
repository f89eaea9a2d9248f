#include <napi.h>

#include "exports.h"
#include "fd_watcher.h"
#include "thread_descriptors.h"

namespace holdfast::addon {

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  export_descriptor_calls(env, exports);
  export_socket_calls(env, exports);
  export_process_calls(env, exports);
  export_hang_up_calls(env, exports);
  export_diag_calls(env, exports);
  export_control_calls(env, exports);
  FdWatcher::export_class(env, exports);
  ThreadDescriptors::export_class(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(holdfast, initialise)

}  // namespace holdfast::addon
