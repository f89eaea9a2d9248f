#include "diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "netlink.h"

namespace holdfast::sys {

namespace {

constexpr int kMostDumps = 4;

template <typename Number>
Number number_at(const uint8_t* bytes, size_t size, size_t offset) {
  Number number = 0;
  if (offset + sizeof(number) <= size) memcpy(&number, bytes + offset, sizeof(number));
  return number;
}

/** The structure grows with each kernel; what is beyond its end reads as 0. */
void read_tcp_info(const uint8_t* info, size_t size, InternetLook& look) {
  look.has_info = size >= offsetof(tcp_info, tcpi_pmtu);
  look.last_sent_ms = number_at<uint32_t>(info, size, offsetof(tcp_info, tcpi_last_data_sent));
  look.last_received_ms = number_at<uint32_t>(info, size, offsetof(tcp_info, tcpi_last_data_recv));
  look.last_ack_ms = number_at<uint32_t>(info, size, offsetof(tcp_info, tcpi_last_ack_recv));
  look.bytes_received = number_at<uint64_t>(info, size, offsetof(tcp_info, tcpi_bytes_received));
  look.bytes_sent = number_at<uint64_t>(info, size, offsetof(tcp_info, tcpi_bytes_sent)) -
                    number_at<uint64_t>(info, size, offsetof(tcp_info, tcpi_bytes_retrans));
  look.segments_received = number_at<uint32_t>(info, size, offsetof(tcp_info, tcpi_data_segs_in));
}

uint64_t joined(const uint32_t halves[2]) { return (uint64_t{halves[1]} << 32) | halves[0]; }

/** Repeats an interrupted dump; `parse` is false for what is not wanted. */
template <typename Look, typename Parse>
Result<std::vector<Look>> collect(const void* request, size_t size, bool is_dump, Parse parse) {
  for (int dump = 0; dump < kMostDumps; dump++) {
    std::vector<Look> found;
    const Result<bool> whole = ask_sock_diag(request, size, is_dump, [&](const uint8_t* payload, size_t length) {
      Look look;
      if (parse(payload, length, look)) found.push_back(std::move(look));
    });
    if (!whole.ok()) return failure<std::vector<Look>>(whole.error, whole.call);
    if (whole.value) return success(std::move(found));
  }
  return failure<std::vector<Look>>(EAGAIN, "sock_diag");
}

template <typename Look>
Result<std::vector<Look>> none_if_missing(Result<std::vector<Look>> found) {
  if (found.error == ENOENT && strcmp(found.call, "sock_diag") == 0) return success(std::vector<Look>{});
  return found;
}

inet_diag_req_v2 internet_request(int family, int protocol) {
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<uint8_t>(family);
  request.sdiag_protocol = static_cast<uint8_t>(protocol);
  request.idiag_ext = (1U << (INET_DIAG_INFO - 1)) | (1U << (INET_DIAG_SKMEMINFO - 1));
  request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}

unix_diag_req unix_request() {
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN;
  request.udiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.udiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}

}  // namespace

bool parse_internet_look(const uint8_t* bytes, size_t size, InternetLook& look) {
  inet_diag_msg message;
  if (size < sizeof(message)) return false;
  memcpy(&message, bytes, sizeof(message));
  look.family = message.idiag_family;
  look.state = message.idiag_state;
  look.local_port = ntohs(message.id.idiag_sport);
  look.remote_port = ntohs(message.id.idiag_dport);
  for (size_t i = 0; i < 4; i++) {
    look.local[i] = ntohl(message.id.idiag_src[i]);
    look.remote[i] = ntohl(message.id.idiag_dst[i]);
  }
  look.cookie = joined(message.id.idiag_cookie);
  look.inode = message.idiag_inode;
  look.uid = message.idiag_uid;
  look.receive_queue = message.idiag_rqueue;
  look.send_queue = message.idiag_wqueue;
  walk_attributes(bytes + sizeof(message), size - sizeof(message), [&](uint16_t type, const uint8_t* value, size_t length) {
    if (type == INET_DIAG_INFO) read_tcp_info(value, length, look);
    if (type == INET_DIAG_SKMEMINFO) look.drops = number_at<uint32_t>(value, length, SK_MEMINFO_DROPS * sizeof(uint32_t));
  });
  return true;
}

bool parse_unix_look(const uint8_t* bytes, size_t size, UnixLook& look) {
  unix_diag_msg message;
  if (size < sizeof(message)) return false;
  memcpy(&message, bytes, sizeof(message));
  look.type = message.udiag_type;
  look.state = message.udiag_state;
  look.cookie = joined(message.udiag_cookie);
  look.inode = message.udiag_ino;
  walk_attributes(bytes + sizeof(message), size - sizeof(message), [&](uint16_t type, const uint8_t* value, size_t length) {
    switch (type) {
      case UNIX_DIAG_NAME:
        look.name.assign(reinterpret_cast<const char*>(value), length);
        if (!look.name.empty() && look.name[0] == '\0') look.name[0] = '@';
        else look.name.resize(strnlen(look.name.c_str(), length));
        break;
      case UNIX_DIAG_PEER:
        look.peer = number_at<uint32_t>(value, length, 0);
        break;
      case UNIX_DIAG_RQLEN:
        look.receive_queue = number_at<uint32_t>(value, length, offsetof(unix_diag_rqlen, udiag_rqueue));
        look.send_queue = number_at<uint32_t>(value, length, offsetof(unix_diag_rqlen, udiag_wqueue));
        break;
      default:
        break;
    }
  });
  return true;
}

Result<std::vector<InternetLook>> internet_sockets(const InternetQuery& query) {
  inet_diag_req_v2 request = internet_request(query.family, query.protocol);
  request.idiag_states = query.states;
  const std::vector<uint16_t>& ports = query.ports;
  // The kernel passes over the others before it asks each for its tcp_info.
  if (ports.size() == 1) request.id.idiag_sport = htons(ports[0]);
  return collect<InternetLook>(&request, sizeof(request), true, [&](const uint8_t* bytes, size_t size, InternetLook& look) {
    if (!parse_internet_look(bytes, size, look)) return false;
    return ports.empty() || std::find(ports.begin(), ports.end(), look.local_port) != ports.end();
  });
}

Result<std::vector<UnixLook>> unix_sockets(const UnixQuery& query) {
  unix_diag_req request = unix_request();
  request.udiag_states = query.states;
  return collect<UnixLook>(&request, sizeof(request), true, [&](const uint8_t* bytes, size_t size, UnixLook& look) {
    if (!parse_unix_look(bytes, size, look)) return false;
    return query.names.empty() || std::find(query.names.begin(), query.names.end(), look.name) != query.names.end();
  });
}

Result<std::vector<InternetLook>> find_internet_socket(const InternetEnds& ends) {
  inet_diag_req_v2 request = internet_request(ends.family, ends.protocol);
  request.idiag_states = ~0U;
  request.id.idiag_sport = htons(ends.local_port);
  request.id.idiag_dport = htons(ends.remote_port);
  for (size_t i = 0; i < 4; i++) {
    request.id.idiag_src[i] = htonl(ends.local[i]);
    request.id.idiag_dst[i] = htonl(ends.remote[i]);
  }
  return none_if_missing(collect<InternetLook>(&request, sizeof(request), false, parse_internet_look));
}

Result<std::vector<UnixLook>> find_unix_socket(uint32_t inode) {
  unix_diag_req request = unix_request();
  request.udiag_states = ~0U;
  request.udiag_ino = inode;
  return none_if_missing(collect<UnixLook>(&request, sizeof(request), false, parse_unix_look));
}

}  // namespace holdfast::sys
