#include "socket.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "retry.h"

// asm-generic/socket.h, the same on x64 and arm64; headers of older systems lack the names.
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace holdfast::sys {

Result<int> open_socket(int family, int type) {
  const int fd = socket(family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure<int>(errno, "socket");
  return success(fd);
}

Result<DescriptorPair> socket_pair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) return failure<DescriptorPair>(errno, "socketpair");
  return success(DescriptorPair{ends[0], ends[1]});
}

Result<Done> bind_socket(int fd, const Address& address) {
  if (bind(fd, address.raw(), address.length) < 0) return failure<Done>(errno, "bind");
  return done();
}

Result<Done> listen_socket(int fd, int backlog) {
  if (listen(fd, backlog) < 0) return failure<Done>(errno, "listen");
  return done();
}

Result<int> accept_socket(int fd) {
  const Result<bool> waiting = poll_readable(fd);
  if (!waiting.ok()) return failure<int>(waiting.error, "accept4");
  if (!waiting.value) return failure<int>(EAGAIN, "accept4");
  const int connection = retry([&] { return accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); });
  if (connection < 0) return failure<int>(errno, "accept4");
  return success(connection);
}

Result<Done> connect_socket(int fd, const Address& address) {
  if (connect(fd, address.raw(), address.length) == 0) return done();
  return failure<Done>(errno == EINTR ? EINPROGRESS : errno, "connect");
}

Result<Address> local_address(int fd) {
  Address address;
  address.length = sizeof(address.storage);
  if (getsockname(fd, address.raw(), &address.length) < 0) return failure<Address>(errno, "getsockname");
  return success(address);
}

Result<Address> remote_address(int fd) {
  Address address;
  address.length = sizeof(address.storage);
  if (getpeername(fd, address.raw(), &address.length) < 0) return failure<Address>(errno, "getpeername");
  return success(address);
}

Result<Done> set_option(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof(value)) < 0) return failure<Done>(errno, "setsockopt");
  return done();
}

Result<Done> set_text_option(int fd, int level, int name, const char* value, size_t size) {
  if (setsockopt(fd, level, name, value, static_cast<socklen_t>(size)) < 0) return failure<Done>(errno, "setsockopt");
  return done();
}

Result<Done> attach_reuseport_filter(int fd, const void* program, size_t size) {
  if (size % sizeof(sock_filter) != 0 || size / sizeof(sock_filter) > BPF_MAXINSNS)
    return failure<Done>(EINVAL, "setsockopt");
  std::vector<sock_filter> filter(size / sizeof(sock_filter));
  memcpy(filter.data(), program, size);
  const sock_fprog whole = {static_cast<unsigned short>(filter.size()), filter.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof(whole)) < 0)
    return failure<Done>(errno, "setsockopt");
  return done();
}

Result<int> get_option(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  if (getsockopt(fd, level, name, &value, &size) < 0) return failure<int>(errno, "getsockopt");
  return success(value);
}

Result<Credentials> peer_credentials(int fd) {
  struct ucred raw = {};
  socklen_t size = sizeof(raw);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &raw, &size) < 0) return failure<Credentials>(errno, "getsockopt");
  return success(Credentials{raw.pid, raw.uid, raw.gid});
}

Result<std::vector<uint32_t>> peer_groups(int fd) {
  std::vector<uint32_t> groups(64);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(uint32_t));
    const int result = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    const size_t count = size / sizeof(uint32_t);
    // With ERANGE the kernel says how much it needs.
    if (result < 0 && (errno != ERANGE || count <= groups.size())) return failure<std::vector<uint32_t>>(errno, "getsockopt");
    groups.resize(count);
    if (result == 0) return success(std::move(groups));
  }
}

Result<int> peer_pidfd(int fd) {
  int pidfd = -1;
  socklen_t size = sizeof(pidfd);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0) return failure<int>(errno, "getsockopt");
  return success(pidfd);
}

Result<Done> shutdown_socket(int fd, int how) {
  if (shutdown(fd, how) < 0) return failure<Done>(errno, "shutdown");
  return done();
}

}  // namespace holdfast::sys
