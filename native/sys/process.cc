#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "descriptor.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace holdfast::sys {

namespace {

constexpr int last_signal = 64;

/** The signal state that execve(2) would pass on; put back by restore(). */
class SignalState {
 public:
  void reset() {
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number <= last_signal; number++) {
      // SIGKILL, SIGSTOP and the signals that libc keeps for itself refuse; they have nothing to be reset.
      saved_[index(number)] = sigaction(number, nullptr, &actions_[index(number)]) == 0 && sigaction(number, &standard, nullptr) == 0;
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &mask_);
  }

  void restore() const {
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    for (int number = 1; number <= last_signal; number++) {
      if (saved_[index(number)]) sigaction(number, &actions_[index(number)], nullptr);
    }
  }

 private:
  static size_t index(int number) { return static_cast<size_t>(number); }

  std::array<struct sigaction, last_signal + 1> actions_{};
  std::array<bool, last_signal + 1> saved_{};
  sigset_t mask_{};
};

}  // namespace

Result<int> open_pidfd(pid_t pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return failure<int>(errno, "pidfd_open");
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
  for (size_t i = 0; i < image.keep_count; i++) {
    const Result<Done> kept = set_close_on_exec(image.keep[i], false);
    if (kept.ok()) continue;
    for (size_t j = 0; j < i; j++) static_cast<void>(set_close_on_exec(image.keep[j], true));
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
  for (size_t i = 0; i < image.keep_count; i++) static_cast<void>(set_close_on_exec(image.keep[i], image.keep[i] > 2));
  return failure<Done>(error, "execve");
}

}  // namespace holdfast::sys
