#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "result.h"

namespace holdfast::sys {

struct DescriptorPair {
  int first = -1;
  int second = -1;
};

/** close(2), never retried: Linux frees the number even when it reports EINTR (close(2), notes). */
Result<Done> close_descriptor(int fd);

/** Closes every number that is not negative. Errors are not reported: nothing can be done about them. */
void close_all(const int* fds, size_t count);

/** F_DUPFD_CLOEXEC. */
Result<int> duplicate(int fd);

Result<Done> set_nonblocking(int fd, bool on);
Result<bool> is_nonblocking(int fd);
Result<Done> set_close_on_exec(int fd, bool on);

/** pipe2(O_CLOEXEC): first reads, second writes. Both block. */
Result<DescriptorPair> make_pipe();

/** A memfd with this content, sealed against every change. */
Result<int> make_memfd(const char* name, const uint8_t* content, size_t size);

Result<Done> make_fifo(const char* path, mode_t mode);

/** O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW; anything but a fifo is refused with ENOTSUP. */
Result<int> open_fifo(const char* path);

/** pread(2) until `size` bytes came or the file ended; the value is what came. */
Result<size_t> read_at(int fd, uint8_t* into, size_t size, off_t offset);

/** fstat(2): the size in bytes. */
Result<off_t> file_size(int fd);

/** read(2). */
Result<size_t> read_some(int fd, uint8_t* into, size_t size);

/** poll(2) for POLLIN that does not wait; end of file, hang-up and error count as readable. */
Result<bool> poll_readable(int fd);

}  // namespace holdfast::sys
