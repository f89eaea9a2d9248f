#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../sys/address.h"
#include "../sys/control.h"
#include "../sys/message.h"

namespace holdfast::addon {

/**
 * A buffer for control messages, registered once and used for many messages.
 *
 * `memory` (an ArrayBuffer) holds the bytes; `table` (an Int32Array) says what is in them, so that script reads both without a call:
 * [0] length, [1] msg_flags of the last receive, [2] messages, [3] what the last send or receive gave: bytes, or -EAGAIN, [4] length of the
 * sender's address (0: it has none), then for each message level, type, offset of the payload, size of the payload.
 *
 * `request` (an Int32Array) is the same in the other direction: what the next call works with, at the places of `Field`. Script writes
 * integers there instead of passing them, because each argument costs nearly as much as a call.
 *
 * It either holds messages to be sent (`add…`) or messages that came (`receive`), never both. Descriptors that came belong to
 * the buffer until `take`; what was not taken is closed by `clear`, by the next receive or add, and when the buffer dies
 * or its environment ends.
 */
class ControlBuffer {
 public:
  /** Places in `request`. */
  enum Field : size_t {
    field_fd,
    field_flags,
    field_limit,             // bytes of the buffer that a receive may use
    field_with_sender,       // 0 or 1: a receive asks for the address
    field_message,           // whose descriptors `take` gives away; negative: those of all
    field_clear,             // 1: clear before an add or a send; the call makes it 0
    field_count,             // how many items there are, or triples of them
    field_with_credentials,  // 0 or 1: `compose` adds the three that follow
    field_pid,
    field_uid,
    field_gid,
    field_items,
  };

  /** `capacity` in bytes. An exception may be pending after it; then the buffer must not be used. */
  ControlBuffer(Napi::Env env, size_t capacity);
  ~ControlBuffer() { close_pending(); }
  ControlBuffer(const ControlBuffer&) = delete;
  ControlBuffer& operator=(const ControlBuffer&) = delete;

  Napi::Value memory() const { return memory_reference_.Value(); }
  Napi::Value table() const { return table_reference_.Value(); }
  Napi::Value request() const { return request_reference_.Value(); }
  /** The address that the last receive asked for. */
  const sys::Address& sender() const { return sender_; }

  /** Where the data of a call was, for the next one that uses the same. It is not kept alive here. */
  void keep_data(iovec data) { kept_data_ = data; }
  sys::DataBuffers kept_data() { return {&kept_data_, 1}; }

  void clear() { reset(Holds::outgoing); }
  /** One message with the items. False, and nothing added, if it does not fit. */
  bool add_fds();
  /** One message with the items, three for each. False, and nothing added, if it does not fit. */
  bool add_credentials();
  /** Clears, then adds a message with the items as descriptors, if there are any, and one with credentials. False if they do not fit. The table does not show them. */
  bool compose();
  void drop_composed() { length_ = 0; }
  void take();
  sys::Result<sys::Done> send(sys::DataBuffers data, const sys::Address* to);
  sys::Result<sys::Done> receive(sys::DataBuffers data);

 private:
  enum class Holds { outgoing, incoming };

  int32_t asked(Field field) const { return request_[field]; }
  /** What is out of its range becomes a number that does not fit either. */
  size_t asked_count() const { return asked(field_count) < 0 ? capacity_ : static_cast<size_t>(asked(field_count)); }
  bool append_fds() { return sys::append_rights(bytes_, capacity_, length_, request_ + field_items, asked_count()); }
  void clear_if_asked();
  void start_adding();
  /** Keeps what a call gave for the script to read; a failure other than EAGAIN is passed on. */
  sys::Result<sys::Done> keep(int error, const char* call, size_t bytes);
  void reset(Holds next);
  /** Describes the buffer in the table and owns the descriptors that came. Allocates nothing. */
  void describe();
  void own(const sys::ControlMessage& message);
  void close_pending();

  Napi::Reference<Napi::ArrayBuffer> memory_reference_;
  Napi::Reference<Napi::Int32Array> table_reference_;
  Napi::Reference<Napi::Int32Array> request_reference_;
  uint8_t* bytes_ = nullptr;
  int32_t* table_ = nullptr;
  int32_t* request_ = nullptr;
  size_t capacity_ = 0;
  size_t length_ = 0;
  size_t messages_ = 0;
  Holds holds_ = Holds::outgoing;
  sys::Address sender_;
  iovec kept_data_{};

  /** Descriptors that came and were not taken, with the message they came in. Room for all is reserved at the start. */
  struct Pending {
    int fd;
    size_t message;
  };
  std::vector<Pending> pending_;
};

}  // namespace holdfast::addon
