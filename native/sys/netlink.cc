#include "netlink.h"

#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "descriptor.h"
#include "retry.h"

namespace holdfast::sys {

namespace {

/** The kernel fills datagrams of up to 32 KiB (netlink_dump in net/netlink/af_netlink.c). */
constexpr size_t kDatagramSize = 65536;
constexpr uint32_t kSequence = 1;

constexpr size_t aligned(size_t size) { return (size + 3) & ~size_t{3}; }

/** What stands behind a header whose type ends the answer; 0 where the kernel sent no number. */
int error_in(const uint8_t* payload, size_t size) {
  int32_t number = 0;
  if (size >= sizeof(number)) memcpy(&number, payload, sizeof(number));
  return -number;
}

Result<Done> send_request(int fd, const void* request, size_t size, bool is_dump) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + size);
  header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | (is_dump ? NLM_F_DUMP : 0));
  header.nlmsg_seq = kSequence;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  iovec parts[2] = {{&header, sizeof(header)}, {const_cast<void*>(request), size}};
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof(kernel);
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (retry([&] { return sendmsg(fd, &message, MSG_NOSIGNAL); }) < 0) return failure<Done>(errno, "sendmsg");
  return done();
}

/** 0 bytes: it did not come from the kernel. The answer is made by the calls themselves, so there is never one to wait for. */
Result<size_t> receive_datagram(int fd, std::vector<uint8_t>& buffer) {
  sockaddr_nl sender{};
  iovec part = {buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_name = &sender;
  message.msg_namelen = sizeof(sender);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t n = retry([&] { return recvmsg(fd, &message, MSG_DONTWAIT); });
  if (n < 0) return failure<size_t>(errno, "recvmsg");
  if ((message.msg_flags & MSG_TRUNC) != 0) return failure<size_t>(EMSGSIZE, "recvmsg");
  return success(sender.nl_pid == 0 ? static_cast<size_t>(n) : size_t{0});
}

Result<bool> read_answer(int fd, bool is_dump, const TakePayload& take) {
  std::vector<uint8_t> buffer(kDatagramSize);
  for (;;) {
    const Result<size_t> size = receive_datagram(fd, buffer);
    if (!size.ok()) return failure<bool>(size.error, size.call);
    int error = 0;
    switch (walk_datagram({buffer.data(), size.value, kSequence, is_dump}, take, error)) {
      case DatagramEnd::more:
        break;
      case DatagramEnd::done:
        return success(true);
      case DatagramEnd::interrupted:
        return success(false);
      case DatagramEnd::failed:
        return failure<bool>(error, "sock_diag");
      case DatagramEnd::malformed:
        return failure<bool>(EBADMSG, "sock_diag");
    }
  }
}

}  // namespace

DatagramEnd walk_datagram(const Datagram& datagram, const TakePayload& take, int& error) {
  bool interrupted = false;
  for (size_t position = 0; position < datagram.size;) {
    const size_t left = datagram.size - position;
    nlmsghdr header;
    if (left < sizeof(header)) return DatagramEnd::malformed;
    memcpy(&header, datagram.bytes + position, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > left) return DatagramEnd::malformed;
    const uint8_t* payload = datagram.bytes + position + sizeof(header);
    const size_t size = header.nlmsg_len - sizeof(header);
    position += aligned(header.nlmsg_len);
    if (header.nlmsg_seq != datagram.sequence) continue;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      error = error_in(payload, size);
      if (error > 0) return DatagramEnd::failed;
      return interrupted ? DatagramEnd::interrupted : DatagramEnd::done;
    }
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) continue;
    take(payload, size);
    if (!datagram.is_dump) return DatagramEnd::done;
  }
  return interrupted ? DatagramEnd::interrupted : DatagramEnd::more;
}

void walk_attributes(const uint8_t* bytes, size_t size, const std::function<void(uint16_t, const uint8_t*, size_t)>& take) {
  for (size_t position = 0; size - position >= sizeof(rtattr);) {
    rtattr header;
    memcpy(&header, bytes + position, sizeof(header));
    if (header.rta_len < sizeof(header) || header.rta_len > size - position) return;
    take(static_cast<uint16_t>(header.rta_type & NLA_TYPE_MASK), bytes + position + sizeof(header), header.rta_len - sizeof(header));
    position += aligned(header.rta_len);
    if (position > size) return;
  }
}

Result<bool> ask_sock_diag(const void* request, size_t size, bool is_dump, const TakePayload& take) {
  const int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return failure<bool>(errno, "socket");
  const Result<Done> sent = send_request(fd, request, size, is_dump);
  const Result<bool> answer = sent.ok() ? read_answer(fd, is_dump, take) : failure<bool>(sent.error, sent.call);
  close_all(&fd, 1);
  return answer;
}

}  // namespace holdfast::sys
