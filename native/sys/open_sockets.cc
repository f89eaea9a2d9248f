#include "open_sockets.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace holdfast::sys {

Result<std::vector<uint64_t>> open_socket_inodes(int pid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/fd", pid);
  DIR* folder = opendir(path);
  if (folder == nullptr) return failure<std::vector<uint64_t>>(errno, "open");
  static constexpr char kPrefix[] = "socket:[";
  std::vector<uint64_t> inodes;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(folder);
    if (entry == nullptr) break;
    char target[64];
    const ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
    if (length <= 0) {
      const int error = errno;
      // "." and ".." are no links, and a descriptor may have been closed since the folder was read.
      if (error == EINVAL || error == ENOENT || error == ESRCH) continue;
      closedir(folder);
      return failure<std::vector<uint64_t>>(error, "readlink");
    }
    target[length] = '\0';
    if (strncmp(target, kPrefix, sizeof(kPrefix) - 1) == 0) inodes.push_back(strtoull(target + sizeof(kPrefix) - 1, nullptr, 10));
  }
  const int error = errno;
  closedir(folder);
  // A process that ends while it is read has nothing open any more.
  if (error != 0 && error != ENOENT && error != ESRCH) return failure<std::vector<uint64_t>>(error, "getdents");
  return success(std::move(inodes));
}

}  // namespace holdfast::sys
