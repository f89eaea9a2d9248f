#pragma once

#include <cstddef>
#include <cstdint>

#include "socket.h"

namespace holdfast::sys {

/**
 * Control messages (cmsg(3)), written and walked by hand.
 *
 * The macros of libc are not used to walk: CMSG_NXTHDR skips a last message whose padding does not fit the buffer, and the
 * descriptors in it leak (rust-lang/rust#76915 has the same fault through the libc crate).
 */

/** SCM_PIDFD of linux/socket.h; glibc does not name it. */
constexpr int scm_pidfd = 4;

/** The header's size on 64-bit Linux: cmsg_len (8 bytes), cmsg_level (4), cmsg_type (4). */
constexpr size_t control_header_size = 16;

/** What one message takes in a buffer: header, payload, padding (CMSG_SPACE). */
constexpr size_t control_space(size_t payload) { return control_header_size + ((payload + 7) & ~static_cast<size_t>(7)); }

/** One message found in a control buffer. */
struct ControlMessage {
  int level = 0;
  int type = 0;
  size_t offset = 0;  // of the payload, in bytes from the start of the buffer
  size_t size = 0;    // of the payload, in bytes, without padding

  /** True if the payload is a row of descriptors that the kernel installed in this process. */
  bool carries_descriptors() const;
};

/** Finds the message that starts at `position`, and moves `position` to the next one. False at the end or at a malformed header; never reads past `length`. */
bool next_control_message(const uint8_t* buffer, size_t length, size_t& position, ControlMessage& message);

/** Descriptor number `index` of a payload; negative = refused by the kernel, with that errno (SO_RIGHTS_NOTRUNC). */
int descriptor_at(const uint8_t* buffer, const ControlMessage& message, size_t index);

/** Appends one SCM_RIGHTS message at `length` and moves it. False, and nothing changed, if it does not fit in `capacity`. */
bool append_rights(uint8_t* buffer, size_t capacity, size_t& length, const int* fds, size_t count);

/** Appends one SCM_CREDENTIALS message in the same way. The kernel takes exactly one ucred; another count is refused when it is sent. */
bool append_credentials(uint8_t* buffer, size_t capacity, size_t& length, const Credentials* credentials, size_t count);

}  // namespace holdfast::sys
