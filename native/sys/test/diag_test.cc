// Tests of native/sys/netlink, diag and open_sockets: random bytes, and real sockets of this process. Exit 0 = all passed.
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../descriptor.h"
#include "../diag.h"
#include "../netlink.h"
#include "../open_sockets.h"
#include "../socket.h"

namespace sys = holdfast::sys;

namespace {

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                        \
    }                                                                 \
  } while (false)

// netinet/tcp.h, which cannot stand beside linux/tcp.h.
constexpr uint32_t kEstablished = 1;
constexpr uint32_t kListen = 10;

size_t open_descriptors() {
  size_t count = 0;
  for (int fd = 0; fd < 65536; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) count++;
  }
  return count;
}

uint32_t inode_of(int fd) {
  struct stat status;
  CHECK(fstat(fd, &status) == 0);
  return static_cast<uint32_t>(status.st_ino);
}

std::vector<uint8_t> message(uint16_t type, uint16_t flags, uint32_t sequence, const std::vector<uint8_t>& payload) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  std::vector<uint8_t> bytes(sizeof(header));
  memcpy(bytes.data(), &header, sizeof(header));
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.resize((bytes.size() + 3) & ~size_t{3});
  return bytes;
}

std::vector<uint8_t> joined(std::vector<std::vector<uint8_t>> parts) {
  std::vector<uint8_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

sys::DatagramEnd walk(const std::vector<uint8_t>& bytes, bool is_dump, size_t& taken, int& error) {
  taken = 0;
  return sys::walk_datagram({bytes.data(), bytes.size(), 7, is_dump}, [&](const uint8_t*, size_t) { taken++; }, error);
}

void a_datagram_is_walked_to_its_end() {
  const std::vector<uint8_t> zero(4, 0);
  const std::vector<uint8_t> refused = {0xfe, 0xff, 0xff, 0xff};  // -2, ENOENT
  size_t taken = 0;
  int error = 0;
  const auto entry = message(SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, 7, std::vector<uint8_t>(5, 1));
  CHECK(walk(joined({entry, entry}), true, taken, error) == sys::DatagramEnd::more && taken == 2);
  CHECK(walk(joined({entry, entry}), false, taken, error) == sys::DatagramEnd::done && taken == 1);
  CHECK(walk(joined({entry, message(NLMSG_DONE, 0, 7, zero)}), true, taken, error) == sys::DatagramEnd::done && taken == 1);
  CHECK(walk(message(NLMSG_ERROR, 0, 7, refused), true, taken, error) == sys::DatagramEnd::failed && error == ENOENT);
  CHECK(walk(message(NLMSG_DONE, 0, 7, refused), true, taken, error) == sys::DatagramEnd::failed && error == ENOENT);
  CHECK(walk(joined({message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_INTR, 7, zero), message(NLMSG_DONE, 0, 7, zero)}), true, taken, error) ==
        sys::DatagramEnd::interrupted);
  CHECK(walk(message(NLMSG_ERROR, 0, 8, refused), true, taken, error) == sys::DatagramEnd::more && taken == 0);
  auto cut = entry;
  cut.pop_back();
  cut.resize(20);
  CHECK(walk(cut, true, taken, error) == sys::DatagramEnd::malformed && taken == 0);
}

/** Each call on bytes that are exactly as long as said, so that a byte too far is an error under the sanitizer. */
void any_bytes_are_read_within_their_end(std::mt19937& random) {
  for (int round = 0; round < 20000; round++) {
    const size_t size = random() % 400;
    std::unique_ptr<uint8_t[]> bytes(new uint8_t[size]);
    for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(random() % 3 == 0 ? random() % 40 : 0);
    // Mostly plausible: the first header names the length that there is.
    if (size >= 8 && random() % 2 == 0) {
      const auto length = static_cast<uint32_t>(random() % (size + 8));
      memcpy(bytes.get(), &length, sizeof(length));
      const uint16_t type = SOCK_DIAG_BY_FAMILY;
      memcpy(bytes.get() + 4, &type, sizeof(type));
    }
    int error = 0;
    size_t sum = 0;
    static_cast<void>(sys::walk_datagram({bytes.get(), size, 0, true}, [&](const uint8_t* payload, size_t length) {
      CHECK(payload >= bytes.get() && payload + length <= bytes.get() + size);
      for (size_t i = 0; i < length; i++) sum += payload[i];
    }, error));
    sys::InternetLook internet;
    sys::UnixLook local;
    CHECK(sys::parse_internet_look(bytes.get(), size, internet) == (size >= sizeof(inet_diag_msg)));
    CHECK(sys::parse_unix_look(bytes.get(), size, local) == (size >= 16));
  }
}

int listener_at(const sys::Address& address, int type = SOCK_STREAM) {
  const auto fd = sys::open_socket(address.storage.ss_family, type);
  CHECK(fd.ok() && sys::bind_socket(fd.value, address).ok() && sys::listen_socket(fd.value, 64).ok());
  return fd.value;
}

int connected_to(int listener, int type = SOCK_STREAM) {
  const auto address = sys::local_address(listener);
  const auto fd = sys::open_socket(address.value.storage.ss_family, type);
  CHECK(fd.ok() && sys::connect_socket(fd.value, address.value).ok());
  return fd.value;
}

template <typename Look>
const Look* with_inode(const std::vector<Look>& looks, uint32_t inode) {
  const auto found = std::find_if(looks.begin(), looks.end(), [&](const Look& look) { return look.inode == inode; });
  return found == looks.end() ? nullptr : &*found;
}

void a_tcp_connection_is_told(const sys::Address& address) {
  const int family = address.storage.ss_family;
  const int listener = listener_at(address);
  const int client = connected_to(listener);
  const uint16_t port = sys::parts_of(sys::local_address(listener).value).value.port;
  const auto dump = [&](uint32_t states) {
    const auto looks = sys::internet_sockets({family, IPPROTO_TCP, states, {port}});
    CHECK(looks.ok());
    return looks.value;
  };
  const auto listening = dump(1U << kListen);
  CHECK(listening.size() == 1 && listening[0].inode == inode_of(listener) && listening[0].receive_queue == 1 && listening[0].send_queue == 64);
  // Not accepted yet, so it has no inode; the client's end has another local port.
  const auto waiting = dump(1U << kEstablished);
  CHECK(waiting.size() == 1 && waiting[0].inode == 0);
  const auto connection = sys::accept_socket(listener);
  CHECK(connection.ok() && write(client, "abc", 3) == 3);
  auto looks = dump(1U << kEstablished);
  CHECK(looks.size() == 1 && looks[0].cookie == waiting[0].cookie);
  const sys::InternetLook look = looks[0];
  CHECK(look.inode == inode_of(connection.value) && look.uid == getuid() && look.family == family);
  CHECK(look.has_info && look.receive_queue == 3 && look.bytes_received == 3 && look.bytes_sent == 0 && look.local_port == port);
  char into[8];
  CHECK(read(connection.value, into, sizeof(into)) == 3 && write(connection.value, "hello", 5) == 5);
  looks = dump(1U << kEstablished);
  CHECK(looks[0].receive_queue == 0 && looks[0].bytes_sent == 5);
  sys::InternetEnds ends;
  ends.family = family;
  ends.protocol = IPPROTO_TCP;
  memcpy(ends.local, look.local, sizeof(ends.local));
  memcpy(ends.remote, look.remote, sizeof(ends.remote));
  ends.local_port = look.local_port;
  ends.remote_port = look.remote_port;
  const auto found = sys::find_internet_socket(ends);
  CHECK(found.ok() && found.value.size() == 1 && found.value[0].cookie == look.cookie);
  const int all[] = {connection.value, client, listener};
  sys::close_all(all, 3);
  ends.remote_port = 1;
  const auto none = sys::find_internet_socket(ends);
  CHECK(none.ok() && none.value.empty());
}

void a_unix_connection_is_told(int type) {
  const std::string name = "@holdfast-diag-test-" + std::to_string(getpid());
  const int listener = listener_at(sys::unix_address(name.data(), name.size()).value, type);
  const int client = connected_to(listener, type);
  const auto dump = [&](uint32_t states) {
    const auto looks = sys::unix_sockets({states, {name}});
    CHECK(looks.ok());
    return looks.value;
  };
  auto looks = dump(1U << kListen);
  CHECK(looks.size() == 1 && looks[0].inode == inode_of(listener) && looks[0].receive_queue == 1 && looks[0].name == name);
  auto found = sys::find_unix_socket(inode_of(client));
  CHECK(found.ok() && found.value.size() == 1 && found.value[0].peer == 0 && found.value[0].name.empty());
  const auto connection = sys::accept_socket(listener);
  CHECK(connection.ok() && write(client, "abc", 3) == 3);
  looks = dump(1U << kEstablished);
  CHECK(looks.size() == 1 && looks[0].inode == inode_of(connection.value) && looks[0].peer == inode_of(client) && looks[0].receive_queue == 3);
  found = sys::find_unix_socket(inode_of(client));
  CHECK(found.ok() && found.value[0].peer == inode_of(connection.value));
  const int all[] = {connection.value, client, listener};
  sys::close_all(all, 3);
  CHECK(sys::find_unix_socket(0x7ffffff0).value.empty());
}

void datagrams_are_counted_and_those_thrown_away() {
  const auto fd = sys::open_socket(AF_INET, SOCK_DGRAM);
  CHECK(sys::set_option(fd.value, SOL_SOCKET, SO_RCVBUF, 1).ok() && sys::bind_socket(fd.value, sys::ipv4_address("127.0.0.1", 0).value).ok());
  const int client = connected_to(fd.value, SOCK_DGRAM);
  for (int i = 0; i < 100; i++) CHECK(write(client, "x", 1) == 1);
  const auto looks = sys::internet_sockets({AF_INET, IPPROTO_UDP, ~0U, {}});
  CHECK(looks.ok());
  const sys::InternetLook* look = with_inode(looks.value, inode_of(fd.value));
  CHECK(look != nullptr && look->receive_queue > 0 && look->drops > 50 && !look->has_info);
  const int all[] = {fd.value, client};
  sys::close_all(all, 2);
}

void the_sockets_of_a_process_are_told() {
  const auto pair = sys::socket_pair(SOCK_STREAM);
  const auto pipe = sys::make_pipe();
  const auto inodes = sys::open_socket_inodes(getpid());
  CHECK(inodes.ok());
  const auto has = [&](uint64_t inode) { return std::find(inodes.value.begin(), inodes.value.end(), inode) != inodes.value.end(); };
  CHECK(has(inode_of(pair.value.first)) && has(inode_of(pair.value.second)) && !has(inode_of(pipe.value.first)));
  CHECK(sys::open_socket_inodes(0x7ffffff0).error == ENOENT);
  const int all[] = {pair.value.first, pair.value.second, pipe.value.first, pipe.value.second};
  sys::close_all(all, 4);
}

/** Signals that interrupt every call, without SA_RESTART. */
void signals_do_not_cut_an_answer() {
  struct sigaction act{};
  act.sa_handler = [](int) {};
  sigaction(SIGALRM, &act, nullptr);
  const itimerval often = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &often, nullptr);
  for (int i = 0; i < 200; i++) CHECK(sys::internet_sockets({AF_INET, IPPROTO_TCP, ~0U, {}}).ok());
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  signal(SIGALRM, SIG_DFL);
}

void ten_thousand_sockets_are_told_quickly() {
  rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const size_t pairs = std::min<size_t>(5000, (limit.rlim_cur - 64) / 2);
  const int listener = listener_at(sys::ipv4_address("127.0.0.1", 0).value);
  std::vector<int> fds;
  for (size_t i = 0; i < pairs; i++) {
    fds.push_back(connected_to(listener));
    fds.push_back(sys::accept_socket(listener).value);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto looks = sys::internet_sockets({AF_INET, IPPROTO_TCP, 1U << kEstablished, {}});
  const auto inodes = sys::open_socket_inodes(getpid());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  CHECK(looks.ok() && looks.value.size() >= fds.size() && inodes.value.size() >= fds.size());
  for (size_t i = 0; i < fds.size(); i += 97) CHECK(with_inode(looks.value, inode_of(fds[i])) != nullptr);
  fprintf(stderr, "%zu sockets: %lld ms\n", fds.size(), static_cast<long long>(took));
  CHECK(took < 2000);
  fds.push_back(listener);
  sys::close_all(fds.data(), fds.size());
}

/** Who has no privilege is told the same of sockets; of another user's process nothing. */
void no_privilege_is_needed() {
  if (getuid() != 0) {
    printf("SKIPPED no_privilege_is_needed: only root can become somebody else\n");
    return;
  }
  const int listener = listener_at(sys::ipv4_address("127.0.0.1", 0).value);
  const int client = connected_to(listener);
  const auto connection = sys::accept_socket(listener);
  const pid_t root = getpid();
  const pid_t child = fork();
  if (child == 0) {
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(2);
    const auto looks = sys::internet_sockets({AF_INET, IPPROTO_TCP, 1U << kEstablished, {}});
    const sys::InternetLook* look = looks.ok() ? with_inode(looks.value, inode_of(connection.value)) : nullptr;
    if (look == nullptr || !look->has_info) _exit(3);
    _exit(sys::open_socket_inodes(root).error == EACCES ? 0 : 4);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
  if (WEXITSTATUS(status) != 0) fprintf(stderr, "the other user's check %d failed\n", WEXITSTATUS(status));
  CHECK(WEXITSTATUS(status) == 0);
  const int all[] = {connection.value, client, listener};
  sys::close_all(all, 3);
}

}  // namespace

int main() {
  const unsigned seed = std::random_device{}();
  fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  const size_t before = open_descriptors();
  a_datagram_is_walked_to_its_end();
  any_bytes_are_read_within_their_end(random);
  a_tcp_connection_is_told(sys::ipv4_address("127.0.0.1", 0).value);
  a_tcp_connection_is_told(sys::ipv6_address("::1", 0).value);
  a_unix_connection_is_told(SOCK_STREAM);
  a_unix_connection_is_told(SOCK_SEQPACKET);
  datagrams_are_counted_and_those_thrown_away();
  the_sockets_of_a_process_are_told();
  signals_do_not_cut_an_answer();
  ten_thousand_sockets_are_told_quickly();
  no_privilege_is_needed();
  CHECK(open_descriptors() == before);
  return 0;
}
