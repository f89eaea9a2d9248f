#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "result.h"

namespace holdfast::sys {

/** A socket address in the form that the kernel takes. */
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/** The readable parts of an address. */
struct AddressParts {
  int family = AF_UNSPEC;
  std::string name;   // host, or path, or "@" and an abstract name, or "" for an unnamed unix socket
  uint16_t port = 0;  // host byte order; 0 for unix
};

/** EINVAL if `host` is not an address literal. */
Result<Address> ipv4_address(const char* host, uint16_t port);

/** EINVAL if `host` is not an address literal; "%" and an interface name or index may follow. */
Result<Address> ipv6_address(const char* host, uint16_t port);

/** A path, "@" and an abstract name, or "" for the address without a name (bind(2) then picks an abstract one). ENAMETOOLONG over 107 bytes. */
Result<Address> unix_address(const char* name, size_t size);

/** EAFNOSUPPORT for a family that is none of the three. */
Result<AddressParts> parts_of(const Address& address);

}  // namespace holdfast::sys
