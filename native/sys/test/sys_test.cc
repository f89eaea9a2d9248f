// Tests of native/sys: control messages on random bytes and on sockets, addresses, descriptors, execve. Exit 0 = all passed.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../address.h"
#include "../control.h"
#include "../descriptor.h"
#include "../message.h"
#include "../process.h"
#include "../socket.h"

namespace sys = holdfast::sys;

namespace {

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
      exit(1);                                                            \
    }                                                                     \
  } while (false)

size_t open_descriptors() {
  size_t count = 0;
  for (int fd = 0; fd < 1024; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) count++;
  }
  return count;
}

iovec bytes_of(char* text, size_t size) { return {text, size}; }

void append_and_walk_are_inverses(std::mt19937& random) {
  for (int round = 0; round < 2000; round++) {
    const size_t capacity = random() % 300;
    // Exactly as large as said, so that a byte too far is an error under the sanitizer.
    std::unique_ptr<uint8_t[]> buffer(new uint8_t[capacity]);
    std::vector<std::vector<int>> added;
    size_t length = 0;
    for (int message = 0; message < 5; message++) {
      std::vector<int> fds(random() % 12);
      for (int& fd : fds) fd = static_cast<int>(random());
      const size_t before = length;
      const bool fits = before + sys::control_space(fds.size() * 4) <= capacity;
      CHECK(sys::append_rights(buffer.get(), capacity, length, fds.data(), fds.size()) == fits);
      CHECK(length == (fits ? before + sys::control_space(fds.size() * 4) : before));
      if (fits) added.push_back(fds);
    }
    size_t position = 0;
    sys::ControlMessage found;
    for (const std::vector<int>& fds : added) {
      CHECK(sys::next_control_message(buffer.get(), length, position, found));
      CHECK(found.level == SOL_SOCKET && found.type == SCM_RIGHTS && found.size == fds.size() * 4);
      for (size_t i = 0; i < fds.size(); i++) CHECK(sys::descriptor_at(buffer.get(), found, i) == fds[i]);
    }
    CHECK(!sys::next_control_message(buffer.get(), length, position, found));
  }
}

void any_bytes_are_walked_within_their_end(std::mt19937& random) {
  for (int round = 0; round < 20000; round++) {
    const size_t length = random() % 120;
    std::unique_ptr<uint8_t[]> buffer(new uint8_t[length]);
    for (size_t i = 0; i < length; i++) buffer[i] = static_cast<uint8_t>(random() % 4 == 0 ? random() : random() % 40);
    // Mostly plausible lengths, so that the walk goes on beyond the first header.
    for (size_t i = 1; i < length; i++) {
      if (i % 8 != 0 && random() % 8 != 0) buffer[i] = 0;
    }
    size_t position = 0;
    size_t last = 0;
    sys::ControlMessage message;
    unsigned sum = 0;
    for (int steps = 0; sys::next_control_message(buffer.get(), length, position, message); steps++) {
      CHECK(steps < 8);
      CHECK(position > last && position <= length);
      CHECK(message.offset + message.size <= length);
      for (size_t i = 0; i < message.size; i++) sum += buffer[message.offset + i];
      for (size_t i = 0; i < message.size / 4; i++) sum += static_cast<unsigned>(sys::descriptor_at(buffer.get(), message, i));
      last = position;
    }
    (void)sum;
  }
}

void a_last_message_needs_no_padding() {
  alignas(8) uint8_t buffer[64];
  size_t length = 0;
  const sys::Credentials me = {getpid(), getuid(), getgid()};
  const int fds[3] = {7, 8, 9};
  CHECK(sys::append_credentials(buffer, sizeof(buffer), length, &me, 1));
  CHECK(sys::append_rights(buffer, sizeof(buffer), length, fds, 3));
  CHECK(length == 64);
  size_t position = 0;
  sys::ControlMessage message;
  CHECK(sys::next_control_message(buffer, 60, position, message) && message.type == SCM_CREDENTIALS);
  CHECK(sys::next_control_message(buffer, 60, position, message) && message.type == SCM_RIGHTS && message.size == 12);
  CHECK(!sys::next_control_message(buffer, 60, position, message));
}

void a_length_near_the_largest_number_ends_the_walk() {
  alignas(8) uint8_t buffer[32] = {};
  memset(buffer, 0xff, 8);
  size_t position = 0;
  sys::ControlMessage message;
  CHECK(!sys::next_control_message(buffer, sizeof(buffer), position, message));
  const int fd = 1;
  size_t length = 0;
  CHECK(!sys::append_rights(buffer, sizeof(buffer), length, &fd, SIZE_MAX / 4));
  CHECK(length == 0);
}

void descriptors_and_credentials_cross_a_socket() {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const auto pair = sys::socket_pair(type);
    CHECK(pair.ok());
    CHECK(sys::set_option(pair.value.second, SOL_SOCKET, SO_PASSCRED, 1).ok());
    const auto file = sys::make_memfd("test", reinterpret_cast<const uint8_t*>("abc"), 3);
    CHECK(file.ok());
    alignas(8) uint8_t control[128];
    size_t length = 0;
    CHECK(sys::append_rights(control, sizeof(control), length, &file.value, 1));
    char text[] = "hello";
    iovec data = bytes_of(text, 5);
    const auto sent = sys::send_message(pair.value.first, {&data, 1}, control, length, nullptr, MSG_DONTWAIT);
    CHECK(sent.ok() && sent.value == 5);

    char into[16] = {};
    iovec room = bytes_of(into, sizeof(into));
    const auto received = sys::receive_message(pair.value.second, {&room, 1}, control, sizeof(control), nullptr, MSG_DONTWAIT);
    CHECK(received.ok() && received.value.bytes == 5 && memcmp(into, "hello", 5) == 0 && received.value.flags == MSG_CMSG_CLOEXEC);
    size_t position = 0;
    sys::ControlMessage message;
    CHECK(sys::next_control_message(control, received.value.control_length, position, message));
    CHECK(message.type == SCM_CREDENTIALS && message.size == sizeof(struct ucred) && !message.carries_descriptors());
    pid_t pid;
    memcpy(&pid, control + message.offset, sizeof(pid));
    CHECK(pid == getpid());
    CHECK(sys::next_control_message(control, received.value.control_length, position, message));
    CHECK(message.carries_descriptors() && message.size == 4);
    const int copy = sys::descriptor_at(control, message, 0);
    CHECK((fcntl(copy, F_GETFD) & FD_CLOEXEC) != 0);
    uint8_t content[8];
    const auto read = sys::read_at(copy, content, sizeof(content), 0);
    CHECK(read.ok() && read.value == 3 && memcmp(content, "abc", 3) == 0);

    const auto none = sys::receive_message(pair.value.second, {&room, 1}, control, sizeof(control), nullptr, MSG_DONTWAIT);
    CHECK(none.error == EAGAIN && strcmp(none.call, "recvmsg") == 0);
    const int all[] = {copy, file.value, pair.value.first, pair.value.second, -1};
    sys::close_all(all, 5);
  }
}

void addresses_go_there_and_back() {
  const auto round = [](const sys::Address& address) { return sys::parts_of(address).value; };
  CHECK(round(sys::ipv4_address("127.0.0.1", 8080).value).name == "127.0.0.1");
  CHECK(round(sys::ipv4_address("127.0.0.1", 8080).value).port == 8080);
  CHECK(round(sys::ipv6_address("::1", 80).value).name == "::1");
  CHECK(round(sys::ipv6_address("fe80::1%1", 80).value).name == "fe80::1%1");
  CHECK(sys::ipv4_address("localhost", 1).error == EINVAL);
  CHECK(sys::ipv6_address("::1%nosuchinterface", 1).error == ENODEV);
  for (const std::string name : {"", "/tmp/x", "relative", "@abstract", "@"}) {
    CHECK(round(sys::unix_address(name.data(), name.size()).value).name == name);
  }
  const std::string longest(107, 'x');
  CHECK(round(sys::unix_address(longest.data(), longest.size()).value).name == longest);
  CHECK(round(sys::unix_address(("@" + longest).data(), 108).value).name == "@" + longest);
  CHECK(sys::unix_address((longest + "x").data(), 108).error == ENAMETOOLONG);
  CHECK(sys::unix_address("a\0b", 3).error == EINVAL);
}

void a_bound_socket_accepts() {
  const auto listener = sys::open_socket(AF_INET, SOCK_STREAM);
  CHECK(listener.ok());
  CHECK(sys::accept_socket(listener.value).error != 0);
  CHECK(sys::bind_socket(listener.value, sys::ipv4_address("127.0.0.1", 0).value).ok());
  CHECK(sys::listen_socket(listener.value, 8).ok());
  CHECK(sys::accept_socket(listener.value).error == EAGAIN);
  const auto address = sys::local_address(listener.value);
  const auto client = sys::open_socket(AF_INET, SOCK_STREAM);
  CHECK(address.ok() && client.ok() && sys::connect_socket(client.value, address.value).ok());
  const auto connection = sys::accept_socket(listener.value);
  CHECK(connection.ok());
  CHECK(sys::get_option(connection.value, SOL_SOCKET, SO_TYPE).value == SOCK_STREAM);
  const auto second = sys::open_socket(AF_INET, SOCK_STREAM);
  const auto taken = sys::bind_socket(second.value, address.value);
  CHECK(taken.error == EADDRINUSE && strcmp(taken.call, "bind") == 0);
  const int all[] = {listener.value, client.value, connection.value, second.value};
  sys::close_all(all, 4);
}

void a_fifo_is_opened_and_nothing_else() {
  char folder[] = "/tmp/holdfast-sys-test-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/fifo";
  const std::string file = std::string(folder) + "/file";
  const std::string link = std::string(folder) + "/link";
  CHECK(sys::make_fifo(path.c_str(), 0600).ok());
  CHECK(sys::make_fifo(path.c_str(), 0600).error == EEXIST);
  const auto fifo = sys::open_fifo(path.c_str());
  CHECK(fifo.ok() && sys::is_nonblocking(fifo.value).value);
  CHECK(!sys::poll_readable(fifo.value).value);
  CHECK(write(fifo.value, "x", 1) == 1 && sys::poll_readable(fifo.value).value);
  const int plain = open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  CHECK(sys::open_fifo(file.c_str()).error == ENOTSUP);
  CHECK(symlink(path.c_str(), link.c_str()) == 0 && sys::open_fifo(link.c_str()).error == ELOOP);
  const int all[] = {fifo.value, plain};
  sys::close_all(all, 2);
  for (const std::string& name : {path, file, link}) unlink(name.c_str());
  rmdir(folder);
}

void a_memfd_cannot_be_changed() {
  const auto fd = sys::make_memfd("sealed", reinterpret_cast<const uint8_t*>("abc"), 3);
  CHECK(fd.ok() && write(fd.value, "x", 1) < 0 && errno == EPERM && ftruncate(fd.value, 0) < 0);
  CHECK(sys::file_size(fd.value).value == 3);
  CHECK(sys::close_descriptor(fd.value).ok());
  CHECK(sys::close_descriptor(fd.value).error == EBADF);
}

/** As a parent may leave a signal that libc keeps for itself: its own call refuses those. */
void ignore_by_the_bare_call(int number) {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
  } ignored = {SIG_IGN, 0, nullptr, 0};
  CHECK(syscall(SYS_rt_sigaction, number, &ignored, nullptr, sizeof(ignored.mask)) == 0);
}

bool is_ignored(int number) {
  FILE* status = fopen("/proc/self/status", "re");
  CHECK(status != nullptr);
  char line[256];
  unsigned long long mask = 0;
  while (fgets(line, sizeof(line), status) != nullptr && sscanf(line, "SigIgn: %llx", &mask) != 1) continue;
  fclose(status);
  return (mask >> (number - 1) & 1) != 0;
}

/** SIGCANCEL of glibc; musl has another use for it, and refuses it as well. */
constexpr int reserved_signal = 32;

void a_replaced_image_has_clean_signals_and_the_kept_descriptors() {
  const auto kept = sys::make_memfd("kept", reinterpret_cast<const uint8_t*>("k"), 1);
  const auto lost = sys::make_memfd("lost", reinterpret_cast<const uint8_t*>("l"), 1);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, SIG_IGN);
    ignore_by_the_bare_call(reserved_signal);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    char shell[] = "sh";
    char flag[] = "-c";
    // Each check has an exit code of its own, and one that fails shows what the program inherited.
    std::string script = "fail() { echo \"check $1 failed\" >&2; grep ^Sig /proc/self/status >&2; ls -l /proc/self/fd >&2; env >&2; exit $1; };"
                         " test -e /proc/self/fd/" + std::to_string(kept.value) + " || fail 2; test ! -e /proc/self/fd/" + std::to_string(lost.value) +
                         " || fail 3; grep -q '^SigBlk:\t0*$' /proc/self/status || fail 4; grep -q '^SigIgn:\t0*$' /proc/self/status || fail 5;"
                         " test \"$A\" = b || fail 6";
    char* argv[] = {shell, flag, script.data(), nullptr};
    char variable[] = "A=b";
    char path[] = "PATH=/usr/bin:/bin";
    char* env[] = {variable, path, nullptr};
    const sys::Image missing = {"/nonexistent", argv, env, &kept.value, 1};
    const auto failed = sys::replace_image(missing);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, nullptr, &mask);
    CHECK(failed.error == ENOENT && is_ignored(SIGPIPE) && is_ignored(reserved_signal) && sigismember(&mask, SIGTERM) == 1);
    CHECK((fcntl(kept.value, F_GETFD) & FD_CLOEXEC) != 0);
    const sys::Image image = {"/bin/sh", argv, env, &kept.value, 1};
    static_cast<void>(sys::replace_image(image));
    _exit(91);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (status != 0) fprintf(stderr, "wait status %#x\n", static_cast<unsigned>(status));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const int all[] = {kept.value, lost.value};
  sys::close_all(all, 2);
}

void a_pidfd_reaches_its_process() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const auto pidfd = sys::open_pidfd(child);
  CHECK(pidfd.ok() && !sys::poll_readable(pidfd.value).value);
  CHECK(sys::send_signal(pidfd.value, SIGKILL).ok());
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
  CHECK(sys::poll_readable(pidfd.value).value);
  CHECK(sys::send_signal(pidfd.value, SIGKILL).error == ESRCH);
  CHECK(sys::close_descriptor(pidfd.value).ok());
}

void a_descriptor_of_another_process_is_duplicated() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const auto pidfd = sys::open_pidfd(child);
  CHECK(close(ends[1]) == 0);
  const auto theirs = sys::descriptor_of(pidfd.value, ends[1]);
  CHECK(theirs.ok() && (fcntl(theirs.value, F_GETFD) & FD_CLOEXEC) != 0);
  char byte = 'x';
  CHECK(write(theirs.value, &byte, 1) == 1 && read(ends[0], &byte, 1) == 1);
  CHECK(sys::descriptor_of(pidfd.value, 1000).error == EBADF);
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  CHECK(sys::descriptor_of(pidfd.value, ends[1]).error == ESRCH);
  const int all[] = {pidfd.value, theirs.value, ends[0]};
  sys::close_all(all, 3);
}

/** What a parent may have left differently: an ignored SIGCHLD has the kernel reap, and without 0 to 2 the descriptors here would get those numbers. */
void begin_like_any_program() {
  signal(SIGCHLD, SIG_DFL);
  while (fcntl(2, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0 || fcntl(0, F_GETFD) < 0) CHECK(open("/dev/null", O_RDWR) >= 0);
}

}  // namespace

int main() {
  begin_like_any_program();
  const unsigned seed = std::random_device{}();
  fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  const size_t before = open_descriptors();
  append_and_walk_are_inverses(random);
  any_bytes_are_walked_within_their_end(random);
  a_last_message_needs_no_padding();
  a_length_near_the_largest_number_ends_the_walk();
  descriptors_and_credentials_cross_a_socket();
  addresses_go_there_and_back();
  a_bound_socket_accepts();
  a_fifo_is_opened_and_nothing_else();
  a_memfd_cannot_be_changed();
  a_replaced_image_has_clean_signals_and_the_kept_descriptors();
  a_pidfd_reaches_its_process();
  a_descriptor_of_another_process_is_duplicated();
  CHECK(open_descriptors() == before);
  return 0;
}
