// The walk over a control buffer, and what the library adds to one.
//
// Input: one byte, then a control buffer if the byte is even. If it is odd, two bytes of capacity, then a script of additions: a byte
// whose lowest bit says what is added (descriptors or credentials) and whose others how many.
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../../native/sys/control.h"

namespace sys = holdfast::sys;

namespace {

void check(bool holds) {
  if (!holds) abort();
}

/** A copy in memory of exactly this size, so that the sanitizer sees each byte too many. */
std::unique_ptr<uint8_t[]> copy_of(const uint8_t* bytes, size_t size) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  if (size > 0) memcpy(copy.get(), bytes, size);
  return copy;
}

void walk(const uint8_t* bytes, size_t length) {
  const auto buffer = copy_of(bytes, length);
  size_t position = 0;
  size_t last = 0;
  volatile unsigned sum = 0;
  sys::ControlMessage message;
  while (sys::next_control_message(buffer.get(), length, position, message)) {
    // It moves on, stays within, and its messages do not overlap.
    check(message.offset >= last + sys::control_header_size);
    check(position > last && position <= length && message.offset + message.size <= position);
    for (size_t i = 0; i < message.size; i++) sum = sum + buffer[message.offset + i];
    if (message.carries_descriptors()) {
      for (size_t i = 0; i < message.size / sizeof(int); i++) sum = sum + static_cast<unsigned>(sys::descriptor_at(buffer.get(), message, i));
    }
    last = position;
  }
}

constexpr size_t most_additions = 64;

struct Added {
  int type;
  size_t count;
};

/** What fits is found again, in order and unchanged; what does not fit changes nothing. */
void add_and_walk(const uint8_t* script, size_t size) {
  if (size < 2) return;
  const size_t capacity = static_cast<size_t>(script[0] | script[1] << 8) % 2048;
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[capacity]);
  std::vector<Added> added;
  size_t length = 0;
  for (size_t i = 2; i < size && i < 2 + most_additions; i++) {
    const Added next = {script[i] % 2 == 0 ? SCM_RIGHTS : SCM_CREDENTIALS, static_cast<size_t>(script[i] / 2)};
    const size_t payload = next.count * (next.type == SCM_RIGHTS ? sizeof(int) : sizeof(sys::Credentials));
    const size_t before = length;
    const bool fits = next.type == SCM_RIGHTS
                          ? sys::append_rights(buffer.get(), capacity, length, std::vector<int>(next.count, static_cast<int>(i)).data(), next.count)
                          : sys::append_credentials(buffer.get(), capacity, length, std::vector<sys::Credentials>(next.count).data(), next.count);
    check(fits == (sys::control_space(payload) <= capacity - before));
    check(length == (fits ? before + sys::control_space(payload) : before));
    if (fits) added.push_back(next);
  }
  size_t position = 0;
  sys::ControlMessage message;
  for (const Added& one : added) {
    check(sys::next_control_message(buffer.get(), length, position, message));
    check(message.level == SOL_SOCKET && message.type == one.type);
    check(message.size == one.count * (one.type == SCM_RIGHTS ? sizeof(int) : sizeof(sys::Credentials)));
  }
  check(!sys::next_control_message(buffer.get(), length, position, message) && position == length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  if (size == 0) return 0;
  if (input[0] % 2 == 0) {
    walk(input + 1, size - 1);
  } else {
    add_and_walk(input + 1, size - 1);
  }
  return 0;
}
