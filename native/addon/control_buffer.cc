#include "control_buffer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "../sys/descriptor.h"
#include "arguments.h"
#include "outcome.h"

namespace holdfast::addon {

namespace {

constexpr size_t table_head = 5;
constexpr size_t table_entry = 4;
// net.core.optmem_max bounds what the kernel takes in one call; far more than that is a mistake of the caller.
constexpr uint32_t largest_capacity = 1U << 24;

}  // namespace

void ControlBuffer::export_class(Napi::Env env, Napi::Object exports) {
  exports.Set("ControlBuffer", DefineClass(env, "ControlBuffer",
                                           {
                                               InstanceMethod<&ControlBuffer::memory>("memory"),
                                               InstanceMethod<&ControlBuffer::table>("table"),
                                               InstanceMethod<&ControlBuffer::clear>("clear"),
                                               InstanceMethod<&ControlBuffer::add_fds>("addFds"),
                                               InstanceMethod<&ControlBuffer::add_credentials>("addCredentials"),
                                               InstanceMethod<&ControlBuffer::take>("take"),
                                               InstanceMethod<&ControlBuffer::send>("send"),
                                               InstanceMethod<&ControlBuffer::receive>("receive"),
                                               InstanceMethod<&ControlBuffer::sender>("sender"),
                                           }));
}

ControlBuffer::ControlBuffer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ControlBuffer>(info) {
  Arguments arguments(info);
  const uint32_t capacity = arguments.natural(0);
  if (!arguments.ok()) return;
  if (capacity > largest_capacity) {
    Napi::RangeError::New(info.Env(), "capacity is at most 16777216 bytes").ThrowAsJavaScriptException();
    return;
  }
  const size_t most_messages = capacity / sys::control_header_size;
  const Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(info.Env(), (static_cast<size_t>(capacity) + 7) & ~static_cast<size_t>(7));
  const Napi::Int32Array table = Napi::Int32Array::New(info.Env(), table_head + most_messages * table_entry);
  if (info.Env().IsExceptionPending()) return;
  memory_reference_ = Napi::Persistent(memory);
  table_reference_ = Napi::Persistent(table);
  bytes_ = static_cast<uint8_t*>(const_cast<Napi::ArrayBuffer&>(memory).Data());
  table_ = const_cast<Napi::Int32Array&>(table).Data();
  capacity_ = capacity;
  pending_.reserve(capacity / sizeof(int));
}

ControlBuffer::~ControlBuffer() { close_pending(); }

Napi::Value ControlBuffer::memory(const Napi::CallbackInfo&) { return memory_reference_.Value(); }

Napi::Value ControlBuffer::table(const Napi::CallbackInfo&) { return table_reference_.Value(); }

void ControlBuffer::close_pending() {
  for (const Pending& entry : pending_) sys::close_all(&entry.fd, 1);
  pending_.clear();
}

void ControlBuffer::reset(Holds next) {
  close_pending();
  length_ = 0;
  messages_ = 0;
  holds_ = next;
  table_[0] = 0;
  table_[1] = 0;
  table_[2] = 0;
  table_[3] = 0;
  table_[4] = 0;
}

void ControlBuffer::own(const sys::ControlMessage& message) {
  const size_t slots = message.size / sizeof(int);
  for (size_t i = 0; i < slots && pending_.size() < pending_.capacity(); i++) {
    const int fd = sys::descriptor_at(bytes_, message, i);
    // A negative slot holds an errno: the kernel refused that descriptor (SO_RIGHTS_NOTRUNC, or a pidfd of a reaped process).
    if (fd >= 0) pending_.push_back({fd, messages_});
  }
}

void ControlBuffer::describe() {
  size_t position = 0;
  sys::ControlMessage message;
  messages_ = 0;
  while (sys::next_control_message(bytes_, length_, position, message)) {
    if (holds_ == Holds::incoming && message.carries_descriptors()) own(message);
    int32_t* entry = table_ + table_head + messages_ * table_entry;
    entry[0] = message.level;
    entry[1] = message.type;
    entry[2] = static_cast<int32_t>(message.offset);
    entry[3] = static_cast<int32_t>(message.size);
    messages_++;
  }
  table_[0] = static_cast<int32_t>(length_);
  table_[2] = static_cast<int32_t>(messages_);
}

Napi::Value ControlBuffer::clear(const Napi::CallbackInfo& info) {
  reset(Holds::outgoing);
  return info.Env().Undefined();
}

Napi::Value ControlBuffer::add_fds(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::vector<int> fds = arguments.integers(0);
  if (!arguments.ok()) return {};
  if (holds_ == Holds::incoming) reset(Holds::outgoing);
  table_[1] = 0;
  const bool fits = sys::append_rights(bytes_, capacity_, length_, fds.data(), fds.size());
  if (fits) describe();
  return Napi::Boolean::New(info.Env(), fits);
}

Napi::Value ControlBuffer::add_credentials(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::vector<sys::Credentials> credentials = arguments.credentials(0);
  if (!arguments.ok()) return {};
  if (holds_ == Holds::incoming) reset(Holds::outgoing);
  table_[1] = 0;
  const bool fits = sys::append_credentials(bytes_, capacity_, length_, credentials.data(), credentials.size());
  if (fits) describe();
  return Napi::Boolean::New(info.Env(), fits);
}

Napi::Value ControlBuffer::take(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int32_t wanted = arguments.integer(0);
  if (!arguments.ok()) return {};
  if (wanted < 0) {
    pending_.clear();
  } else {
    const auto is_wanted = [wanted](const Pending& entry) { return entry.message == static_cast<size_t>(wanted); };
    pending_.erase(std::remove_if(pending_.begin(), pending_.end(), is_wanted), pending_.end());
  }
  return info.Env().Undefined();
}

Napi::Value ControlBuffer::send(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int flags = arguments.integer(2);
  const bool has_address = info.Length() > 3;
  const sys::Address to = has_address ? arguments.address(3) : sys::Address{};
  DataArgument data;
  if (!arguments.ok() || !data.read(info.Env(), info[1])) return {};
  table_[1] = 0;
  // What came in is never passed on: only what was added is sent.
  const size_t length = holds_ == Holds::outgoing ? length_ : 0;
  return outcome_or(info.Env(), sys::send_message(fd, data.buffers(), bytes_, length, has_address ? &to : nullptr, flags), EAGAIN);
}

Napi::Value ControlBuffer::receive(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.descriptor(0);
  const int flags = arguments.integer(2);
  const bool with_sender = arguments.boolean(3);
  const size_t limit = arguments.natural(4);
  DataArgument data;
  if (!arguments.ok() || !data.read(info.Env(), info[1])) return {};
  reset(Holds::incoming);
  if (with_sender) sender_ = sys::Address{};
  const sys::Result<sys::Received> received =
      sys::receive_message(fd, data.buffers(), bytes_, std::min(limit, capacity_), with_sender ? &sender_ : nullptr, flags);
  if (!received.ok()) return outcome_or(info.Env(), sys::failure<sys::Done>(received.error, received.call), EAGAIN);
  length_ = std::min(received.value.control_length, capacity_);
  describe();
  table_[1] = received.value.flags;
  table_[3] = static_cast<int32_t>(received.value.bytes);
  table_[4] = with_sender ? static_cast<int32_t>(sender_.length) : 0;
  return Napi::Number::New(info.Env(), static_cast<double>(received.value.bytes));
}

Napi::Value ControlBuffer::sender(const Napi::CallbackInfo& info) { return address_value(info.Env(), sender_); }

}  // namespace holdfast::addon
