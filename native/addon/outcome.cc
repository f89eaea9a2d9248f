#include "outcome.h"

#include <sys/socket.h>
#include <uv.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace holdfast::addon {

namespace {

/** Errors that Linux calls used here can give and that libuv has no name for ("Unknown system error -109"). */
const char* name_of(int error) {
  switch (error) {
    case EBADMSG:
      return "EBADMSG";
    case ECHILD:
      return "ECHILD";
    case EDEADLK:
      return "EDEADLK";
    case EDQUOT:
      return "EDQUOT";
    case EINPROGRESS:
      return "EINPROGRESS";
    case ELIBBAD:
      return "ELIBBAD";
    case ENOEXEC:
      return "ENOEXEC";
    case ENOLCK:
      return "ENOLCK";
    case ESTALE:
      return "ESTALE";
    case ETOOMANYREFS:
      return "ETOOMANYREFS";
    default:
      return nullptr;
  }
}

}  // namespace

void throw_failure(Napi::Env env, int error, const char* call) {
  char code[32];
  char words[128];
  const char* name = name_of(error);
  if (name != nullptr) {
    snprintf(code, sizeof(code), "%s", name);
    snprintf(words, sizeof(words), "%s", strerror(error));
  } else {
    uv_err_name_r(-error, code, sizeof(code));
    uv_strerror_r(-error, words, sizeof(words));
  }
  Napi::Error failure = Napi::Error::New(env, std::string(call) + " " + code + ": " + words);
  failure.Set("code", Napi::String::New(env, code));
  failure.Set("errno", Napi::Number::New(env, -error));
  failure.Set("syscall", Napi::String::New(env, call));
  failure.ThrowAsJavaScriptException();
}

Napi::Value address_value(Napi::Env env, const sys::Address& address) {
  const sys::Result<sys::AddressParts> parts = sys::parts_of(address);
  if (!parts.ok()) {
    throw_failure(env, parts.error, parts.call);
    return env.Undefined();
  }
  const auto& value = parts.value;
  const Napi::String name = Napi::String::New(env, value.name);
  Napi::Object object = Napi::Object::New(env);
  if (value.family == AF_INET || value.family == AF_INET6) {
    object.Set("kind", value.family == AF_INET ? "ipv4" : "ipv6");
    object.Set("host", name);
    object.Set("port", Napi::Number::New(env, value.port));
  } else {
    object.Set("kind", "unix");
    object.Set("path", name);
  }
  return object;
}

Napi::Value pair_value(Napi::Env env, sys::DescriptorPair pair) {
  Napi::Array array = Napi::Array::New(env, 2);
  array.Set(0U, Napi::Number::New(env, pair.first));
  array.Set(1U, Napi::Number::New(env, pair.second));
  return array;
}

}  // namespace holdfast::addon
