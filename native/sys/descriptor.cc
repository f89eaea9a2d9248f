#include "descriptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "direct_call.h"
#include "retry.h"

namespace holdfast::sys {

Result<Done> close_descriptor(int fd) {
  if (direct_call(SYS_close, fd) == 0 || errno == EINTR) return done();
  return failure<Done>(errno, "close");
}

void close_all(const int* fds, size_t count) {
  const int saved = errno;
  for (size_t i = 0; i < count; i++) {
    if (fds[i] >= 0) direct_call(SYS_close, fds[i]);
  }
  errno = saved;
}

Result<int> duplicate(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return failure<int>(errno, "fcntl");
  return success(copy);
}

Result<Done> set_nonblocking(int fd, bool on) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return failure<Done>(errno, "fcntl");
  const int wanted = on ? (flags | O_NONBLOCK) : (flags & ~O_NONBLOCK);
  if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0) return failure<Done>(errno, "fcntl");
  return done();
}

Result<bool> is_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return failure<bool>(errno, "fcntl");
  return success((flags & O_NONBLOCK) != 0);
}

Result<Done> set_close_on_exec(int fd, bool on) {
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return failure<Done>(errno, "fcntl");
  const int wanted = on ? (flags | FD_CLOEXEC) : (flags & ~FD_CLOEXEC);
  if (wanted != flags && fcntl(fd, F_SETFD, wanted) < 0) return failure<Done>(errno, "fcntl");
  return done();
}

Result<DescriptorPair> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return failure<DescriptorPair>(errno, "pipe2");
  return success(DescriptorPair{ends[0], ends[1]});
}

Result<int> make_memfd(const char* name, const uint8_t* content, size_t size) {
  const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return failure<int>(errno, "memfd_create");
  size_t written = 0;
  while (written < size) {
    const ssize_t n = retry([&] { return write(fd, content + written, size - written); });
    if (n < 0) {
      const int error = errno;
      close(fd);
      return failure<int>(error, "write");
    }
    written += static_cast<size_t>(n);
  }
  if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
    const int error = errno;
    close(fd);
    return failure<int>(error, "fcntl");
  }
  return success(fd);
}

Result<Done> make_fifo(const char* path, mode_t mode) {
  if (mkfifo(path, mode) < 0) return failure<Done>(errno, "mkfifo");
  return done();
}

Result<int> open_fifo(const char* path) {
  const int fd = retry([&] { return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY); });
  if (fd < 0) return failure<int>(errno, "open");
  struct stat status;
  if (fstat(fd, &status) < 0) {
    const int error = errno;
    close(fd);
    return failure<int>(error, "fstat");
  }
  if (!S_ISFIFO(status.st_mode)) {
    close(fd);
    return failure<int>(ENOTSUP, "open");
  }
  return success(fd);
}

Result<size_t> read_at(int fd, uint8_t* into, size_t size, off_t offset) {
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n = retry([&] { return pread(fd, into + filled, size - filled, offset + static_cast<off_t>(filled)); });
    if (n < 0) return failure<size_t>(errno, "pread");
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  return success(filled);
}

Result<off_t> file_size(int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return failure<off_t>(errno, "fstat");
  return success(status.st_size);
}

Result<size_t> read_some(int fd, uint8_t* into, size_t size) {
  const ssize_t n = retry([&] { return read(fd, into, size); });
  if (n < 0) return failure<size_t>(errno, "read");
  return success(static_cast<size_t>(n));
}

Result<bool> poll_readable(int fd) {
  struct pollfd entry = {fd, POLLIN, 0};
  const int n = retry([&] { return poll(&entry, 1, 0); });
  if (n < 0) return failure<bool>(errno, "poll");
  if ((entry.revents & POLLNVAL) != 0) return failure<bool>(EBADF, "poll");
  return success(n > 0);
}

}  // namespace holdfast::sys
