#include "hang_up.h"

#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "retry.h"

namespace holdfast::sys {

namespace {
constexpr size_t most_at_once = 64;
}

Result<int> make_hang_up_set() {
  const int set = epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) return failure<int>(errno, "epoll_create1");
  return success(set);
}

Result<Done> watch_hang_up(int set, int fd) {
  epoll_event event{};
  event.data.fd = fd;
  if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0) return failure<Done>(errno, "epoll_ctl");
  return done();
}

Result<Done> forget_hang_up(int set, int fd) {
  if (epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr) < 0) return failure<Done>(errno, "epoll_ctl");
  return done();
}

Result<size_t> hung_up(int set, int* fds, size_t room) {
  epoll_event events[most_at_once];
  const int most = static_cast<int>(std::min(room, most_at_once));
  const int count = retry([&] { return epoll_wait(set, events, most, 0); });
  if (count < 0) return failure<size_t>(errno, "epoll_wait");
  for (int i = 0; i < count; i++) fds[i] = events[i].data.fd;
  return success(static_cast<size_t>(count));
}

Result<bool> same_file(int one, int other) {
  const pid_t self = getpid();
  const long order = syscall(SYS_kcmp, self, self, KCMP_FILE, static_cast<unsigned long>(one), static_cast<unsigned long>(other));
  if (order < 0) return failure<bool>(errno, "kcmp");
  return success(order == 0);
}

}  // namespace holdfast::sys
