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
 * [0] length, [1] msg_flags of the last receive, [2] messages, [3] bytes of data of the last receive, [4] length of the
 * sender's address (0: it has none), then for each message level, type, offset of the payload, size of the payload.
 *
 * It either holds messages to be sent (`add…`) or messages that came (`receive`), never both. Descriptors that came belong to
 * the buffer until `take`; what was not taken is closed by `clear`, by the next receive or add, and when the buffer dies
 * or its environment ends.
 */
class ControlBuffer : public Napi::ObjectWrap<ControlBuffer> {
 public:
  static void export_class(Napi::Env env, Napi::Object exports);

  /** (capacity in bytes) */
  explicit ControlBuffer(const Napi::CallbackInfo& info);
  ~ControlBuffer() override;
  ControlBuffer(const ControlBuffer&) = delete;
  ControlBuffer& operator=(const ControlBuffer&) = delete;

 private:
  enum class Holds { outgoing, incoming };

  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value table(const Napi::CallbackInfo& info);
  Napi::Value clear(const Napi::CallbackInfo& info);
  /** (fds: number[]) -> boolean */
  Napi::Value add_fds(const Napi::CallbackInfo& info);
  /** ([pid, uid, gid, …]) -> boolean */
  Napi::Value add_credentials(const Napi::CallbackInfo& info);
  /** (message) gives the descriptors of one message away, (-1) those of all. */
  Napi::Value take(const Napi::CallbackInfo& info);
  /** (fd, data, flags[, family, name, port]) -> bytes, or -EAGAIN */
  Napi::Value send(const Napi::CallbackInfo& info);
  /** (fd, data, flags, withSender, limit: bytes of the buffer to use at most) -> bytes, or -EAGAIN */
  Napi::Value receive(const Napi::CallbackInfo& info);
  /** The address that the last receive with `withSender` saw. */
  Napi::Value sender(const Napi::CallbackInfo& info);

  void reset(Holds next);
  /** Describes the buffer in the table and owns the descriptors that came. Allocates nothing. */
  void describe();
  void own(const sys::ControlMessage& message);
  void close_pending();

  Napi::Reference<Napi::ArrayBuffer> memory_reference_;
  Napi::Reference<Napi::Int32Array> table_reference_;
  uint8_t* bytes_ = nullptr;
  int32_t* table_ = nullptr;
  size_t capacity_ = 0;
  size_t length_ = 0;
  size_t messages_ = 0;
  Holds holds_ = Holds::outgoing;
  sys::Address sender_;

  /** Descriptors that came and were not taken, with the message they came in. Room for all is reserved at the start. */
  struct Pending {
    int fd;
    size_t message;
  };
  std::vector<Pending> pending_;
};

}  // namespace holdfast::addon
