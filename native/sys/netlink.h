#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "result.h"

namespace holdfast::sys {

/** The payload of one answer; valid during the call. */
using TakePayload = std::function<void(const uint8_t* payload, size_t size)>;

/** How far the bytes of one datagram lead. */
enum class DatagramEnd {
  more,         // the answer goes on in the next datagram
  done,         // it is complete
  interrupted,  // complete, but what it tells of changed while it was told (NLM_F_DUMP_INTR)
  failed,       // the kernel answered with an error
  malformed,    // a length leads beyond the end
};

struct Datagram {
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  uint32_t sequence = 0;
  /** False: the first payload is the whole answer. */
  bool is_dump = false;
};

/** Walks the messages of one datagram within its end; messages of another sequence number are passed over. `error` is set with `failed`. */
DatagramEnd walk_datagram(const Datagram& datagram, const TakePayload& take, int& error);

/** Calls `take` with type and value of each attribute (rtnetlink(7)) until one does not fit. */
void walk_attributes(const uint8_t* bytes, size_t size, const std::function<void(uint16_t type, const uint8_t* value, size_t length)>& take);

/**
 * One request to NETLINK_SOCK_DIAG (sock_diag(7)), on a socket that lives as long as the call.
 * `request` is what follows the netlink header. The value is false if the dump was interrupted: ask again, and drop what came.
 * ENOENT: there is no such socket, or this kernel has no such module. EPROTONOSUPPORT: it has none of it.
 */
Result<bool> ask_sock_diag(const void* request, size_t size, bool is_dump, const TakePayload& take);

}  // namespace holdfast::sys
