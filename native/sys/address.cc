#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace holdfast::sys {

namespace {

constexpr size_t path_offset = offsetof(sockaddr_un, sun_path);
// One byte of sun_path is for the NUL of a path, or for the one in front of an abstract name.
constexpr size_t longest_name = sizeof(sockaddr_un::sun_path) - 1;

// The structures are copied in and out, so that no object is read through a pointer of another type.
template <typename Raw>
Address pack(const Raw& raw, size_t length) {
  Address address;
  memcpy(&address.storage, &raw, sizeof(raw));
  address.length = static_cast<socklen_t>(length);
  return address;
}

template <typename Raw>
Raw unpack(const Address& address) {
  Raw raw{};
  memcpy(&raw, &address.storage, sizeof(raw));
  return raw;
}

uint32_t scope_of(const std::string& name) {
  const unsigned int index = if_nametoindex(name.c_str());
  if (index != 0) return index;
  char* end = nullptr;
  const unsigned long number = strtoul(name.c_str(), &end, 10);
  return name.empty() || *end != '\0' || number > UINT32_MAX ? 0 : static_cast<uint32_t>(number);
}

AddressParts unix_parts(const Address& address) {
  AddressParts parts;
  parts.family = AF_UNIX;
  if (address.length <= path_offset) return parts;
  const auto raw = unpack<sockaddr_un>(address);
  size_t size = address.length - path_offset;
  if (size > sizeof(raw.sun_path)) size = sizeof(raw.sun_path);
  if (raw.sun_path[0] == '\0') {
    parts.name = "@" + std::string(raw.sun_path + 1, size - 1);
  } else {
    parts.name = std::string(raw.sun_path, strnlen(raw.sun_path, size));
  }
  return parts;
}

}  // namespace

Result<Address> ipv4_address(const char* host, uint16_t port) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  if (inet_pton(AF_INET, host, &raw.sin_addr) != 1) return failure<Address>(EINVAL, "inet_pton");
  return success(pack(raw, sizeof(raw)));
}

Result<Address> ipv6_address(const char* host, uint16_t port) {
  std::string literal(host);
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  const size_t percent = literal.find('%');
  if (percent != std::string::npos) {
    raw.sin6_scope_id = scope_of(literal.substr(percent + 1));
    if (raw.sin6_scope_id == 0) return failure<Address>(ENODEV, "if_nametoindex");
    literal.resize(percent);
  }
  if (inet_pton(AF_INET6, literal.c_str(), &raw.sin6_addr) != 1) return failure<Address>(EINVAL, "inet_pton");
  return success(pack(raw, sizeof(raw)));
}

Result<Address> unix_address(const char* name, size_t size) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  if (size == 0) return success(pack(raw, path_offset));
  const bool is_abstract = name[0] == '@';
  const size_t bytes = is_abstract ? size - 1 : size;
  if (bytes > longest_name) return failure<Address>(ENAMETOOLONG, "unix_address");
  if (is_abstract) {
    memcpy(raw.sun_path + 1, name + 1, bytes);
  } else {
    if (memchr(name, '\0', bytes) != nullptr) return failure<Address>(EINVAL, "unix_address");
    memcpy(raw.sun_path, name, bytes);
  }
  // Both count one byte more: the NUL in front of an abstract name, the one that ends a path.
  return success(pack(raw, path_offset + bytes + 1));
}

Result<AddressParts> parts_of(const Address& address) {
  if (address.length < sizeof(sa_family_t)) return success(AddressParts{});
  AddressParts parts;
  parts.family = address.storage.ss_family;
  char text[INET6_ADDRSTRLEN];
  switch (parts.family) {
    case AF_UNIX:
      return success(unix_parts(address));
    case AF_INET: {
      const auto raw = unpack<sockaddr_in>(address);
      parts.name = inet_ntop(AF_INET, &raw.sin_addr, text, sizeof(text));
      parts.port = ntohs(raw.sin_port);
      return success(parts);
    }
    case AF_INET6: {
      const auto raw = unpack<sockaddr_in6>(address);
      parts.name = inet_ntop(AF_INET6, &raw.sin6_addr, text, sizeof(text));
      if (raw.sin6_scope_id != 0) parts.name += "%" + std::to_string(raw.sin6_scope_id);
      parts.port = ntohs(raw.sin6_port);
      return success(parts);
    }
    default:
      return failure<AddressParts>(EAFNOSUPPORT, "getsockname");
  }
}

}  // namespace holdfast::sys
