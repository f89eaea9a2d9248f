#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "../sys/diag.h"
#include "../sys/open_sockets.h"
#include "arguments.h"
#include "exports.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

/** Rows of numbers, one after another, instead of one object for each of ten thousand sockets: src/ancillary/socket-diag.ts has the names. */
constexpr size_t kInternetColumns = 26;
constexpr size_t kUnixColumns = 8;

void write_halves(double* row, uint64_t number) {
  row[0] = static_cast<double>(number & UINT32_MAX);
  row[1] = static_cast<double>(number >> 32);
}

void write_row(double* row, const sys::InternetLook& look) {
  row[0] = look.family == AF_INET6 ? 6 : 4;
  row[1] = look.state;
  row[2] = look.local_port;
  row[3] = look.remote_port;
  write_halves(row + 4, look.cookie);
  row[6] = look.inode;
  row[7] = look.uid;
  row[8] = look.receive_queue;
  row[9] = look.send_queue;
  row[10] = look.drops;
  row[11] = look.has_info ? 1 : 0;
  row[12] = look.last_received_ms;
  row[13] = look.last_sent_ms;
  row[14] = look.last_ack_ms;
  row[15] = static_cast<double>(look.bytes_received);
  row[16] = static_cast<double>(look.bytes_sent);
  row[17] = look.segments_received;
  for (size_t i = 0; i < 4; i++) {
    row[18 + i] = look.local[i];
    row[22 + i] = look.remote[i];
  }
}

void write_row(double* row, const sys::UnixLook& look) {
  row[0] = look.type;
  row[1] = look.state;
  write_halves(row + 2, look.cookie);
  row[4] = look.inode;
  row[5] = look.peer;
  row[6] = look.receive_queue;
  row[7] = look.send_queue;
}

template <typename Look>
Napi::Float64Array table_of(Napi::Env env, const std::vector<Look>& looks, size_t columns) {
  Napi::Float64Array table = Napi::Float64Array::New(env, looks.size() * columns);
  for (size_t i = 0; i < looks.size(); i++) write_row(table.Data() + i * columns, looks[i]);
  return table;
}

Napi::Value internet_outcome(Napi::Env env, const sys::Result<std::vector<sys::InternetLook>>& looks) {
  if (!looks.ok()) return outcome(env, sys::failure<sys::Done>(looks.error, looks.call));
  return table_of(env, looks.value, kInternetColumns);
}

/** The names stand beside the table, one for each row. */
Napi::Value unix_outcome(Napi::Env env, const sys::Result<std::vector<sys::UnixLook>>& looks) {
  if (!looks.ok()) return outcome(env, sys::failure<sys::Done>(looks.error, looks.call));
  Napi::Array names = Napi::Array::New(env, looks.value.size());
  for (size_t i = 0; i < looks.value.size(); i++) {
    names.Set(static_cast<uint32_t>(i), Napi::String::New(env, looks.value[i].name));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("table", table_of(env, looks.value, kUnixColumns));
  object.Set("names", names);
  return object;
}

Napi::Value internet_sockets(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  sys::InternetQuery query;
  query.family = arguments.integer(0) == 6 ? AF_INET6 : AF_INET;
  query.protocol = arguments.integer(1);
  query.states = arguments.natural(2);
  for (const int port : arguments.integers(3)) query.ports.push_back(static_cast<uint16_t>(port));
  if (!arguments.ok()) return {};
  return internet_outcome(info.Env(), sys::internet_sockets(query));
}

/** The words of an address as diag has them. */
void read_words(const sys::Address& address, uint32_t words[4], uint16_t& port) {
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 whole;
    memcpy(&whole, &address.storage, sizeof(whole));
    memcpy(words, &whole.sin6_addr, sizeof(whole.sin6_addr));
    port = ntohs(whole.sin6_port);
  } else {
    sockaddr_in whole;
    memcpy(&whole, &address.storage, sizeof(whole));
    words[0] = whole.sin_addr.s_addr;
    port = ntohs(whole.sin_port);
  }
  for (size_t i = 0; i < 4; i++) words[i] = ntohl(words[i]);
}

Napi::Value find_internet_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  sys::InternetEnds ends;
  ends.protocol = arguments.integer(0);
  const sys::Address local = arguments.address(1);
  const sys::Address remote = arguments.address(4);
  if (!arguments.ok()) return {};
  ends.family = local.storage.ss_family;
  read_words(local, ends.local, ends.local_port);
  read_words(remote, ends.remote, ends.remote_port);
  return internet_outcome(info.Env(), sys::find_internet_socket(ends));
}

Napi::Value unix_sockets(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  sys::UnixQuery query;
  query.states = arguments.natural(0);
  query.names = arguments.texts(1);
  if (!arguments.ok()) return {};
  return unix_outcome(info.Env(), sys::unix_sockets(query));
}

Napi::Value find_unix_socket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint32_t inode = arguments.natural(0);
  if (!arguments.ok()) return {};
  return unix_outcome(info.Env(), sys::find_unix_socket(inode));
}

Napi::Value open_socket_inodes(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int pid = arguments.integer(0);
  if (!arguments.ok()) return {};
  const sys::Result<std::vector<uint64_t>> inodes = sys::open_socket_inodes(pid);
  if (!inodes.ok()) return outcome(info.Env(), sys::failure<sys::Done>(inodes.error, inodes.call));
  Napi::Float64Array array = Napi::Float64Array::New(info.Env(), inodes.value.size());
  for (size_t i = 0; i < inodes.value.size(); i++) array[i] = static_cast<double>(inodes.value[i]);
  return array;
}

}  // namespace

void export_diag_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("internetSockets", Napi::Function::New<internet_sockets>(env, "internetSockets"));
  exports.Set("findInternetSocket", Napi::Function::New<find_internet_socket>(env, "findInternetSocket"));
  exports.Set("unixSockets", Napi::Function::New<unix_sockets>(env, "unixSockets"));
  exports.Set("findUnixSocket", Napi::Function::New<find_unix_socket>(env, "findUnixSocket"));
  exports.Set("openSocketInodes", Napi::Function::New<open_socket_inodes>(env, "openSocketInodes"));
}

}  // namespace holdfast::addon
