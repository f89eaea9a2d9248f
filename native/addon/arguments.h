#pragma once

#include <napi.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../sys/address.h"
#include "../sys/message.h"
#include "../sys/socket.h"

namespace holdfast::addon {

/**
 * Reads the arguments of one call. The first one that does not fit throws a TypeError into the caller and makes `ok()` false;
 * what is read after that is zero.
 */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  bool ok() const { return ok_; }
  Napi::Env env() const { return env_; }

  /** An integer of 32 bits; nothing is rounded or wrapped. */
  int32_t integer(size_t index);
  uint32_t natural(size_t index);
  /** An integer that is not negative. */
  int32_t descriptor(size_t index);
  bool boolean(size_t index);
  std::string text(size_t index);
  /** The bytes of a typed array, valid as long as JavaScript does not run. */
  iovec bytes(size_t index);
  std::vector<int> integers(size_t index);
  std::vector<std::string> texts(size_t index);
  Napi::Function function(size_t index);
  /** Three arguments from `index` on: 4, 6 or 0 (unix), host or name, port. */
  sys::Address address(size_t index);

 private:
  void refuse(size_t index, const char* wanted);
  /** An integer between the two; refuses what is not. */
  double whole(napi_value value, size_t index, double lowest, double highest);

  const Napi::CallbackInfo& info_;
  Napi::Env env_;
  bool ok_ = true;
};

/** The data of one message: a Uint8Array or an array of them. */
class DataArgument {
 public:
  /** False, with a TypeError thrown, if `value` is neither. */
  bool read(napi_env env, napi_value value);
  sys::DataBuffers buffers();
  /** Null if it is an array. */
  const iovec* single() const { return is_single_ ? &single_ : nullptr; }

 private:
  iovec single_{};
  std::vector<iovec> many_;
  bool is_single_ = true;
};

}  // namespace holdfast::addon
