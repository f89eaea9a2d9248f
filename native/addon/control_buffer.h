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
 * sender's address (0: it has none), [5] descriptors that came and were not taken, then for each message level, type, offset of the payload, size of the payload.
 *
 * `request` (an Int32Array) is the same in the other direction: what the next call works with, at the places of `Field`. Script writes
 * integers there instead of passing them, because each argument costs nearly as much as a call.
 *
 * It either holds messages to be sent or messages that came (`receive`), never both. Those to be sent are written by script, into memory and table, after
 * `clear`: a call for that would cost more than the writing. Descriptors that came belong to the buffer until `take`; what was not taken is closed by `clear`,
 * by the next receive, and when the buffer dies or its environment ends.
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
    field_count,             // how many items `compose` adds as descriptors
    field_with_credentials,  // 0 or 1: it adds the three that follow
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
  /** Clears, then writes a message with the items as descriptors, if there are any, and one with credentials. False if they do not fit. The table has their length only. */
  bool compose();
  /** After the send of what was composed, which leaves nothing behind; what the send gave stays in the table. */
  void clear_composed() { table_[0] = 0; }
  void take();
  sys::Result<sys::Done> send(sys::DataBuffers data, const sys::Address* to);
  sys::Result<sys::Done> receive(sys::DataBuffers data);

 private:
  enum class Holds { outgoing, incoming };

  int32_t asked(Field field) const { return request_[field]; }
  /** Keeps what a call gave for the script to read; a failure other than EAGAIN is passed on. */
  sys::Result<sys::Done> keep(int error, const char* call, size_t bytes);
  void reset(Holds next);
  /** Describes what came, `length` bytes, in the table and owns the descriptors in it. Allocates nothing. */
  void describe(size_t length);
  void own(const sys::ControlMessage& message, size_t index);
  void close_pending();

  Napi::Reference<Napi::ArrayBuffer> memory_reference_;
  Napi::Reference<Napi::Int32Array> table_reference_;
  Napi::Reference<Napi::Int32Array> request_reference_;
  uint8_t* bytes_ = nullptr;
  int32_t* table_ = nullptr;
  int32_t* request_ = nullptr;
  size_t capacity_ = 0;
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
