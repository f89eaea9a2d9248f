#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "address.h"
#include "descriptor.h"
#include "result.h"

namespace holdfast::sys {

struct Credentials {
  int32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

/** Every socket made here is close-on-exec and blocks. */
Result<int> open_socket(int family, int type);
Result<DescriptorPair> socket_pair(int type);

Result<Done> bind_socket(int fd, const Address& address);
Result<Done> listen_socket(int fd, int backlog);

/** accept4(SOCK_CLOEXEC); EAGAIN where nothing waits, also on a blocking socket, as long as nobody else takes the connection in between. */
Result<int> accept_socket(int fd);

/** EINTR is not retried but reported as EINPROGRESS: the attempt goes on (connect(2), errors). */
Result<Done> connect_socket(int fd, const Address& address);

Result<Address> local_address(int fd);
Result<Address> remote_address(int fd);

Result<Done> set_option(int fd, int level, int name, int value);
Result<Done> set_text_option(int fd, int level, int name, const char* value, size_t size);
/** SO_ATTACH_REUSEPORT_CBPF: whole `struct sock_filter` of 8 bytes each, for the whole group of this socket. EINVAL: no valid program, or no group. */
Result<Done> attach_reuseport_filter(int fd, const void* program, size_t size);

Result<int> get_option(int fd, int level, int name);

/** SO_PEERCRED. */
Result<Credentials> peer_credentials(int fd);

/** SO_PEERGROUPS (Linux 4.13): the supplementary groups of who connected, listened or made the pair. ENODATA if nobody did. */
Result<std::vector<uint32_t>> peer_groups(int fd);

/** SO_PEERPIDFD (Linux 6.5): close-on-exec. ENODATA if nobody is there, ESRCH or EINVAL once that process has been reaped, depending on the kernel. */
Result<int> peer_pidfd(int fd);

Result<Done> shutdown_socket(int fd, int how);

}  // namespace holdfast::sys
