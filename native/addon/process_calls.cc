#include <string>
#include <vector>

#include "../sys/process.h"
#include "arguments.h"
#include "exports.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

/** The strings as execve(2) takes them; valid as long as the strings are. */
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

Napi::Value open_pidfd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int pid = arguments.integer(0);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::open_pidfd(pid));
}

Napi::Value descriptor_of(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int pidfd = arguments.descriptor(0);
  const int number = arguments.integer(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::descriptor_of(pidfd, number));
}

Napi::Value send_signal(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int pidfd = arguments.descriptor(0);
  const int signal = arguments.integer(1);
  if (!arguments.ok()) return {};
  return outcome(info.Env(), sys::send_signal(pidfd, signal));
}

Napi::Value become_subreaper(const Napi::CallbackInfo& info) { return outcome(info.Env(), sys::become_subreaper()); }

Napi::Value replace_process(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.text(0);
  std::vector<std::string> argv = arguments.texts(1);
  std::vector<std::string> env = arguments.texts(2);
  const std::vector<int> keep = arguments.integers(3);
  if (!arguments.ok()) return {};
  const std::vector<char*> argv_list = pointers(argv);
  const std::vector<char*> env_list = pointers(env);
  sys::Image image;
  image.path = path.c_str();
  image.argv = argv_list.data();
  image.env = env_list.data();
  image.keep = keep.data();
  image.keep_count = keep.size();
  return outcome(info.Env(), sys::replace_image(image));
}

}  // namespace

void export_process_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openPidfd", Napi::Function::New<open_pidfd>(env, "openPidfd"));
  exports.Set("descriptorOf", Napi::Function::New<descriptor_of>(env, "descriptorOf"));
  exports.Set("sendSignal", Napi::Function::New<send_signal>(env, "sendSignal"));
  exports.Set("becomeSubreaper", Napi::Function::New<become_subreaper>(env, "becomeSubreaper"));
  exports.Set("replaceProcess", Napi::Function::New<replace_process>(env, "replaceProcess"));
}

}  // namespace holdfast::addon
