#pragma once

#include <cstdint>
#include <vector>

#include "result.h"

namespace holdfast::sys {

/**
 * The inodes of the sockets that the process has open, from the links in /proc/PID/fd; one that is open twice may appear twice.
 * ENOENT or ESRCH: there is no such process. EACCES or EPERM: it is another user's, or not dumpable. A zombie has none.
 */
Result<std::vector<uint64_t>> open_socket_inodes(int pid);

}  // namespace holdfast::sys
