#include "message.h"

#include <sys/socket.h>

#include <cerrno>

#include "direct_call.h"
#include "retry.h"

namespace holdfast::sys {

Result<size_t> send_message(int fd, DataBuffers data, const uint8_t* control, size_t control_length, const Address* to, int flags) {
  msghdr header{};
  header.msg_iov = data.items;
  // The type differs between glibc and musl.
  header.msg_iovlen = static_cast<decltype(header.msg_iovlen)>(data.count);
  if (control_length > 0) {
    // The kernel only reads it.
    header.msg_control = const_cast<uint8_t*>(control);
    header.msg_controllen = static_cast<decltype(header.msg_controllen)>(control_length);
  }
  if (to != nullptr) {
    header.msg_name = const_cast<sockaddr*>(to->raw());
    header.msg_namelen = to->length;
  }
  const long n = retry([&] { return direct_call(SYS_sendmsg, fd, &header, flags | MSG_NOSIGNAL); });
  if (n < 0) return failure<size_t>(errno, "sendmsg");
  return success(static_cast<size_t>(n));
}

Result<Received> receive_message(int fd, DataBuffers data, uint8_t* control, size_t capacity, Address* from, int flags) {
  msghdr header{};
  header.msg_iov = data.items;
  header.msg_iovlen = static_cast<decltype(header.msg_iovlen)>(data.count);
  if (capacity > 0) {
    header.msg_control = control;
    header.msg_controllen = static_cast<decltype(header.msg_controllen)>(capacity);
  }
  if (from != nullptr) {
    header.msg_name = from->raw();
    header.msg_namelen = sizeof(from->storage);
  }
  const long n = retry([&] { return direct_call(SYS_recvmsg, fd, &header, flags | MSG_CMSG_CLOEXEC); });
  if (n < 0) return failure<Received>(errno, "recvmsg");
  if (from != nullptr) from->length = header.msg_namelen;
  return success(Received{static_cast<size_t>(n), static_cast<size_t>(header.msg_controllen), header.msg_flags});
}

}  // namespace holdfast::sys
