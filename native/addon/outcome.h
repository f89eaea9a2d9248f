#pragma once

#include <napi.h>

#include "../sys/address.h"
#include "../sys/descriptor.h"
#include "../sys/result.h"

namespace holdfast::addon {

/** Throws an Error with `code`, `errno` (negative, as in Node) and `syscall`. */
void throw_failure(Napi::Env env, int error, const char* call);

/** An address as `{ kind, host, port }` or `{ kind: "unix", path }`; throws EAFNOSUPPORT for other families. */
Napi::Value address_value(Napi::Env env, const sys::Address& address);

/** Two descriptors as an array of two numbers. */
Napi::Value pair_value(Napi::Env env, sys::DescriptorPair pair);

inline Napi::Value to_value(Napi::Env env, sys::Done) { return env.Undefined(); }
inline Napi::Value to_value(Napi::Env env, int number) { return Napi::Number::New(env, number); }
inline Napi::Value to_value(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
inline Napi::Value to_value(Napi::Env env, size_t number) { return Napi::Number::New(env, static_cast<double>(number)); }
inline Napi::Value to_value(Napi::Env env, const sys::Address& address) { return address_value(env, address); }
inline Napi::Value to_value(Napi::Env env, sys::DescriptorPair pair) { return pair_value(env, pair); }

/** What a system call gave, as a value or a thrown error. */
template <typename T>
Napi::Value outcome(Napi::Env env, const sys::Result<T>& result) {
  if (result.ok()) return to_value(env, result.value);
  throw_failure(env, result.error, result.call);
  return env.Undefined();
}

/** The same, but `expected` (EAGAIN, EINPROGRESS) is no failure: it comes back as a negative number. */
template <typename T>
Napi::Value outcome_or(Napi::Env env, const sys::Result<T>& result, int expected) {
  if (result.error == expected) return Napi::Number::New(env, -expected);
  return outcome(env, result);
}

}  // namespace holdfast::addon
