#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "descriptor.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace holdfast::sys {

namespace {

constexpr int last_signal = 64;

/** struct sigaction of the kernel, on x64 and arm64. libc's call refuses the signals that it keeps for itself, which a parent may have ignored all the same. */
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

bool exchange_action(int number, const KernelAction* next, KernelAction* before) {
  return syscall(SYS_rt_sigaction, number, next, before, sizeof(before->mask)) == 0;
}

/** The signal state that execve(2) would pass on: what is ignored, and the mask. Handlers end with the image by themselves. Put back by restore(). */
class SignalState {
 public:
  void reset() {
    const KernelAction standard = {};
    for (int number = 1; number <= last_signal; number++) {
      KernelAction& before = actions_[index(number)];
      was_ignored_[index(number)] = exchange_action(number, nullptr, &before) && before.handler == SIG_IGN && exchange_action(number, &standard, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &mask_);
  }

  void restore() const {
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    for (int number = 1; number <= last_signal; number++) {
      if (was_ignored_[index(number)]) exchange_action(number, &actions_[index(number)], nullptr);
    }
  }

 private:
  static size_t index(int number) { return static_cast<size_t>(number); }

  std::array<KernelAction, last_signal + 1> actions_{};
  std::array<bool, last_signal + 1> was_ignored_{};
  sigset_t mask_{};
};

/** Takes close-on-exec from the descriptors that an image keeps. Put back by restore(). */
class KeptDescriptors {
 public:
  KeptDescriptors(const int* fds, size_t count) : fds_(fds), had_flag_(count) {}

  Result<Done> keep() {
    for (; changed_ < had_flag_.size(); changed_++) {
      const int flags = fcntl(fds_[changed_], F_GETFD);
      const Result<Done> kept = set_close_on_exec(fds_[changed_], false);
      if (!kept.ok()) return kept;
      had_flag_[changed_] = (flags & FD_CLOEXEC) != 0;
    }
    return done();
  }

  void restore() const {
    for (size_t i = 0; i < changed_; i++) static_cast<void>(set_close_on_exec(fds_[i], had_flag_[i]));
  }

 private:
  const int* fds_;
  size_t changed_ = 0;
  std::vector<bool> had_flag_;
};

}  // namespace

Result<int> open_pidfd(pid_t pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return failure<int>(errno, "pidfd_open");
  return success(static_cast<int>(fd));
}

Result<int> descriptor_of(int pidfd, int number) {
  const long fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
  if (fd < 0) return failure<int>(errno, "pidfd_getfd");
  return success(static_cast<int>(fd));
}

Result<Done> send_signal(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) < 0) return failure<Done>(errno, "pidfd_send_signal");
  return done();
}

Result<Done> become_subreaper() {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) return failure<Done>(errno, "prctl");
  return done();
}

Result<Done> replace_image(const Image& image) {
  KeptDescriptors descriptors(image.keep, image.keep_count);
  const Result<Done> kept = descriptors.keep();
  if (!kept.ok()) {
    descriptors.restore();
    return kept;
  }
  // Node calls uv_disable_stdio_inheritance, which makes 0 to 2 close-on-exec. One that is closed has no flag to clear.
  for (int fd = 0; fd <= 2; fd++) {
    static_cast<void>(set_close_on_exec(fd, false));
    static_cast<void>(set_nonblocking(fd, false));
  }
  SignalState signals;
  signals.reset();
  execve(image.path, image.argv, image.env);
  const int error = errno;
  signals.restore();
  descriptors.restore();
  return failure<Done>(error, "execve");
}

}  // namespace holdfast::sys
