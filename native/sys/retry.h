#pragma once

#include <cerrno>

namespace holdfast::sys {

/** Repeats a call while a signal interrupts it. Not for close(2), nor for connect(2). */
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace holdfast::sys
