#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::sys {

/**
 * A system call without libc's wrapper, errno as always. sendmsg, recvmsg and close are cancellation points there: in a process with threads, as
 * Node is, the wrapper changes the thread's cancel state twice with atomic operations (20 to 30 ns), for threads that nobody ever cancels.
 */
template <typename... Arguments>
long direct_call(long number, Arguments... arguments) {
  return syscall(number, arguments...);
}

}  // namespace holdfast::sys
