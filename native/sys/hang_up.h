#pragma once

#include <cstddef>

#include "result.h"

namespace holdfast::sys {

/** epoll_create1(2), for hang-ups only; close-on-exec. */
Result<int> make_hang_up_set();

/** EPOLL_CTL_ADD without events, so that EPOLLHUP and EPOLLERR alone are told. EPERM: a file that epoll cannot watch, which never hangs up. */
Result<Done> watch_hang_up(int set, int fd);

/** EPOLL_CTL_DEL. To be called before the descriptor is closed: the set holds its file, and others may have it open. */
Result<Done> forget_hang_up(int set, int fd);

/** Which of them have hung up, at most `room`; does not wait. */
Result<size_t> hung_up(int set, int* fds, size_t room);

/** kcmp(2), KCMP_FILE: whether two of our descriptors are of one open file description. ENOSYS, EPERM: the kernel does not tell. */
Result<bool> same_file(int one, int other);

}  // namespace holdfast::sys
