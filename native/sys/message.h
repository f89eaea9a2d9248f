#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "address.h"
#include "result.h"

namespace holdfast::sys {

/** Where the bytes of a message are. */
struct DataBuffers {
  iovec* items = nullptr;
  size_t count = 0;
};

/** A message as it arrived. */
struct Received {
  size_t bytes = 0;
  size_t control_length = 0;  // bytes of the control buffer that the kernel filled; may be unaligned
  int flags = 0;              // msg_flags: MSG_TRUNC, MSG_CTRUNC, MSG_EOR
};

/** sendmsg(2) with MSG_NOSIGNAL and `flags`. `to` and `control` may be null. */
Result<size_t> send_message(int fd, DataBuffers data, const uint8_t* control, size_t control_length, const Address* to, int flags);

/** recvmsg(2) with MSG_CMSG_CLOEXEC and `flags`. `from` may be null. Descriptors in `control` belong to the caller from here on. */
Result<Received> receive_message(int fd, DataBuffers data, uint8_t* control, size_t capacity, Address* from, int flags);

}  // namespace holdfast::sys
