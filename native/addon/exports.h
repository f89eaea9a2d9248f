#pragma once

#include <napi.h>

namespace holdfast::addon {

void export_control_calls(Napi::Env env, Napi::Object exports);
void export_descriptor_calls(Napi::Env env, Napi::Object exports);
void export_socket_calls(Napi::Env env, Napi::Object exports);
void export_diag_calls(Napi::Env env, Napi::Object exports);
void export_process_calls(Napi::Env env, Napi::Object exports);
void export_hang_up_calls(Napi::Env env, Napi::Object exports);

}  // namespace holdfast::addon
