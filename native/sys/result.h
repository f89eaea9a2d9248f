#pragma once

namespace holdfast::sys {

/** Stands for "no value" in a Result. */
struct Done {};

/** A value, or the errno of the system call that failed and its name (a literal). */
template <typename T>
struct [[nodiscard]] Result {
  T value{};
  int error = 0;
  const char* call = "";

  bool ok() const { return error == 0; }
};

template <typename T>
Result<T> success(T value) {
  return Result<T>{value, 0, ""};
}

inline Result<Done> done() { return {}; }

template <typename T>
Result<T> failure(int error, const char* call) {
  return Result<T>{T{}, error, call};
}

}  // namespace holdfast::sys
