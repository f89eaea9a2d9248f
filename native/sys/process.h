#pragma once

#include <sys/types.h>

#include <cstddef>

#include "result.h"

namespace holdfast::sys {

/** pidfd_open(2): close-on-exec. */
Result<int> open_pidfd(pid_t pid);

/** pidfd_getfd(2): a duplicate of a descriptor of that process, close-on-exec. */
Result<int> descriptor_of(int pidfd, int number);

/** pidfd_send_signal(2); signal 0 only asks whether the process is there. */
Result<Done> send_signal(int pidfd, int signal);

/** PR_SET_CHILD_SUBREAPER for this process. */
Result<Done> become_subreaper();

/** What a process image is replaced with. The arrays end with a null pointer. */
struct Image {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* env = nullptr;
  const int* keep = nullptr;  // descriptors that survive
  size_t keep_count = 0;
};

/**
 * execve(2). Descriptors in `keep` lose close-on-exec, 0 to 2 lose O_NONBLOCK (Node sets it on pipes and terminals), every
 * signal gets its default disposition (Node ignores SIGPIPE, which execve keeps, and a parent may have ignored any other) and the mask is emptied.
 * Returns only if it failed, with signals, their mask and close-on-exec of what is in `keep` as they were before.
 */
Result<Done> replace_image(const Image& image);

}  // namespace holdfast::sys
