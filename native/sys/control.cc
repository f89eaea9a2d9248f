#include "control.h"

#include <sys/socket.h>

#include <cstring>

namespace holdfast::sys {

static_assert(sizeof(cmsghdr) == control_header_size, "only 64-bit Linux is supported");
static_assert(sizeof(int) == 4 && sizeof(struct ucred) == 12, "descriptors and ucred as the kernel has them");

namespace {

// cmsg_len is 8 bytes in the kernel. musl declares 4 and padding, which is the same for every length that exists.
struct Header {
  uint64_t length;
  int32_t level;
  int32_t type;
};
static_assert(sizeof(Header) == control_header_size);

constexpr size_t aligned(size_t size) { return (size + 7) & ~static_cast<size_t>(7); }

bool append(uint8_t* buffer, size_t capacity, size_t& length, int type, const void* payload, size_t size) {
  if (length > capacity || size > capacity) return false;
  const size_t space = control_space(size);
  if (space > capacity - length) return false;
  const Header header = {control_header_size + size, SOL_SOCKET, type};
  uint8_t* at = buffer + length;
  memset(at, 0, space);
  memcpy(at, &header, sizeof(header));
  if (size > 0) memcpy(at + sizeof(header), payload, size);
  length += space;
  return true;
}

}  // namespace

bool ControlMessage::carries_descriptors() const {
  return level == SOL_SOCKET && (type == SCM_RIGHTS || type == scm_pidfd);
}

bool next_control_message(const uint8_t* buffer, size_t length, size_t& position, ControlMessage& message) {
  if (position > length || length - position < control_header_size) return false;
  Header header;
  memcpy(&header, buffer + position, sizeof(header));
  if (header.length < control_header_size || header.length > length - position) return false;
  message.level = header.level;
  message.type = header.type;
  message.offset = position + control_header_size;
  message.size = static_cast<size_t>(header.length) - control_header_size;
  const size_t step = aligned(static_cast<size_t>(header.length));
  position = step > length - position ? length : position + step;
  return true;
}

int descriptor_at(const uint8_t* buffer, const ControlMessage& message, size_t index) {
  int fd;
  memcpy(&fd, buffer + message.offset + index * sizeof(int), sizeof(fd));
  return fd;
}

bool append_rights(uint8_t* buffer, size_t capacity, size_t& length, const int* fds, size_t count) {
  if (count > capacity / sizeof(int)) return false;
  return append(buffer, capacity, length, SCM_RIGHTS, fds, count * sizeof(int));
}

bool append_credentials(uint8_t* buffer, size_t capacity, size_t& length, const Credentials* credentials, size_t count) {
  static_assert(sizeof(Credentials) == sizeof(struct ucred) && offsetof(Credentials, gid) == offsetof(struct ucred, gid));
  if (count > capacity / sizeof(Credentials)) return false;
  return append(buffer, capacity, length, SCM_CREDENTIALS, credentials, count * sizeof(Credentials));
}

}  // namespace holdfast::sys
