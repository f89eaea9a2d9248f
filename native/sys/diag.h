#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "result.h"

namespace holdfast::sys {

/** One TCP or UDP socket of this network namespace, as sock_diag(7) tells it. */
struct InternetLook {
  int family = 0;
  /** TCP_ESTABLISHED … in netinet/tcp.h; TCP_SYN_RECV for a handshake that has begun. */
  uint32_t state = 0;
  /** Host byte order. Each address is four words of which IPv4 uses the first. */
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  uint32_t local[4] = {};
  uint32_t remote[4] = {};
  /** The same for as long as the socket lives, and for a connection from its handshake on. */
  uint64_t cookie = 0;
  /** 0: no process has it: a handshake, a connection that was not accepted, one whose owner has closed it. */
  uint32_t inode = 0;
  uint32_t uid = 0;
  /** Bytes; of a TCP listener the connections that wait, and the backlog. */
  uint32_t receive_queue = 0;
  uint32_t send_queue = 0;
  uint32_t drops = 0;
  /** The rest is TCP's. False where the kernel told nothing of it (UDP, handshakes). */
  bool has_info = false;
  /** Since the last data, in milliseconds; both count from the handshake on as long as none came. */
  uint32_t last_received_ms = 0;
  uint32_t last_sent_ms = 0;
  /** The same since the last acknowledgement that came. */
  uint32_t last_ack_ms = 0;
  /** A FIN counts as one byte. */
  uint64_t bytes_received = 0;
  /** Once each, whatever was sent again. */
  uint64_t bytes_sent = 0;
  /** Those with data. */
  uint32_t segments_received = 0;
};

struct InternetQuery {
  int family = 0;
  int protocol = 0;
  /** Bits 1 << TCP_…; UDP sockets are TCP_CLOSE, connected ones TCP_ESTABLISHED. */
  uint32_t states = 0;
  /** Local ports; empty: all. */
  std::vector<uint16_t> ports;
};

/** The ends of one connection, as the socket that is looked for has them: its own address first. */
struct InternetEnds {
  int family = 0;
  int protocol = 0;
  uint32_t local[4] = {};
  uint32_t remote[4] = {};
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
};

/** One socket of family AF_UNIX. */
struct UnixLook {
  /** SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET. */
  uint32_t type = 0;
  /** TCP_LISTEN, TCP_ESTABLISHED, or TCP_CLOSE: connected to nobody. */
  uint32_t state = 0;
  uint64_t cookie = 0;
  uint32_t inode = 0;
  /** The inode of the other end; 0 as long as nobody has accepted it. */
  uint32_t peer = 0;
  /** Bytes; of a listener the connections that wait, and the backlog. */
  uint32_t receive_queue = 0;
  uint32_t send_queue = 0;
  /** As bound, "@" in front of an abstract one, "" for none. Accepted connections have their listener's. */
  std::string name;
};

struct UnixQuery {
  /** Bits 1 << TCP_LISTEN, TCP_ESTABLISHED, TCP_CLOSE. */
  uint32_t states = 0;
  /** Empty: all, those without a name too. */
  std::vector<std::string> names;
};

/** False if the bytes are too short to be one. */
bool parse_internet_look(const uint8_t* bytes, size_t size, InternetLook& look);
bool parse_unix_look(const uint8_t* bytes, size_t size, UnixLook& look);

/** EAGAIN if the dump was interrupted again and again. The other errors are those of ask_sock_diag. */
Result<std::vector<InternetLook>> internet_sockets(const InternetQuery& query);
Result<std::vector<UnixLook>> unix_sockets(const UnixQuery& query);

/** At most one. A listener that would take the connection is what the kernel gives where there is none. */
Result<std::vector<InternetLook>> find_internet_socket(const InternetEnds& ends);
Result<std::vector<UnixLook>> find_unix_socket(uint32_t inode);

}  // namespace holdfast::sys
