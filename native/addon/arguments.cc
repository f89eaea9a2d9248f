#include "arguments.h"

#include <sys/socket.h>

#include <cmath>

#include "outcome.h"

namespace holdfast::addon {

namespace {

bool bytes_of(Napi::Env env, napi_value value, iovec* into) {
  napi_typedarray_type type;
  size_t elements = 0;
  void* data = nullptr;
  // It refuses what is no typed array, so that it need not be asked first.
  if (napi_get_typedarray_info(env, value, &type, &elements, &data, nullptr, nullptr) != napi_ok) return false;
  // The length is in elements, so only arrays of bytes are taken.
  if (type != napi_uint8_array) return false;
  into->iov_base = data;
  into->iov_len = elements;
  return true;
}

}  // namespace

void Arguments::refuse(size_t index, const char* wanted) {
  if (ok_) Napi::TypeError::New(env_, "argument " + std::to_string(index) + " must be " + wanted).ThrowAsJavaScriptException();
  ok_ = false;
}

double Arguments::whole(napi_value value, size_t index, double lowest, double highest) {
  double number = 0;
  if (napi_get_value_double(env_, value, &number) == napi_ok && number >= lowest && number <= highest && number == std::trunc(number)) return number;
  refuse(index, lowest < 0 ? "an integer of 32 bits" : "an integer from 0 to 4294967295");
  return 0;
}

int32_t Arguments::integer(size_t index) { return static_cast<int32_t>(whole(info_[index], index, INT32_MIN, INT32_MAX)); }

uint32_t Arguments::natural(size_t index) { return static_cast<uint32_t>(whole(info_[index], index, 0, UINT32_MAX)); }

int32_t Arguments::descriptor(size_t index) {
  const int32_t fd = integer(index);
  if (fd < 0) refuse(index, "a descriptor");
  return fd;
}

bool Arguments::boolean(size_t index) {
  bool value = false;
  if (napi_get_value_bool(env_, info_[index], &value) != napi_ok) refuse(index, "a boolean");
  return value;
}

std::string Arguments::text(size_t index) {
  if (!info_[index].IsString()) {
    refuse(index, "a string");
    return {};
  }
  return info_[index].As<Napi::String>().Utf8Value();
}

iovec Arguments::bytes(size_t index) {
  iovec bytes{};
  if (!bytes_of(env_, info_[index], &bytes)) refuse(index, "a Uint8Array");
  return bytes;
}

std::vector<int> Arguments::integers(size_t index) {
  std::vector<int> numbers;
  if (!info_[index].IsArray()) {
    refuse(index, "an array");
    return numbers;
  }
  const auto array = info_[index].As<Napi::Array>();
  const uint32_t count = array.Length();
  numbers.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    numbers.push_back(static_cast<int>(whole(array.Get(i), index, INT32_MIN, INT32_MAX)));
  }
  return numbers;
}

std::vector<std::string> Arguments::texts(size_t index) {
  std::vector<std::string> texts;
  if (!info_[index].IsArray()) {
    refuse(index, "an array");
    return texts;
  }
  const auto array = info_[index].As<Napi::Array>();
  const uint32_t count = array.Length();
  texts.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    const Napi::Value item = array.Get(i);
    if (!item.IsString()) {
      refuse(index, "an array of strings");
      return {};
    }
    texts.push_back(item.As<Napi::String>().Utf8Value());
  }
  return texts;
}

Napi::Function Arguments::function(size_t index) {
  if (!info_[index].IsFunction()) {
    refuse(index, "a function");
    return {};
  }
  return info_[index].As<Napi::Function>();
}

sys::Address Arguments::address(size_t index) {
  const int32_t family = integer(index);
  const std::string name = text(index + 1);
  const uint32_t port = natural(index + 2);
  if (ok_ && port > UINT16_MAX) refuse(index + 2, "a port");
  if (!ok_) return {};
  sys::Result<sys::Address> address;
  if (family == 4) {
    address = sys::ipv4_address(name.c_str(), static_cast<uint16_t>(port));
  } else if (family == 6) {
    address = sys::ipv6_address(name.c_str(), static_cast<uint16_t>(port));
  } else {
    address = sys::unix_address(name.data(), name.size());
  }
  if (!address.ok()) {
    throw_failure(env_, address.error, address.call);
    ok_ = false;
  }
  return address.value;
}

bool DataArgument::read(napi_env env, napi_value value) {
  if (bytes_of(env, value, &single_)) return true;
  is_single_ = false;
  if (Napi::Value(env, value).IsArray()) {
    const Napi::Array array(env, value);
    const uint32_t count = array.Length();
    many_.reserve(count);
    for (uint32_t i = 0; i < count; i++) {
      iovec item{};
      if (!bytes_of(env, array.Get(i), &item)) break;
      many_.push_back(item);
    }
    if (many_.size() == count) return true;
  }
  Napi::TypeError::New(env, "data must be a Uint8Array or an array of them").ThrowAsJavaScriptException();
  return false;
}

sys::DataBuffers DataArgument::buffers() {
  return is_single_ ? sys::DataBuffers{&single_, 1} : sys::DataBuffers{many_.data(), many_.size()};
}

}  // namespace holdfast::addon
