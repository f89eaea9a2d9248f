#include "control_buffer.h"

#include <algorithm>
#include <cerrno>

#include "../sys/descriptor.h"

namespace holdfast::addon {

namespace {

constexpr size_t table_head = 6;
constexpr size_t table_entry = 4;

}  // namespace

ControlBuffer::ControlBuffer(Napi::Env env, size_t capacity) {
  const size_t most_messages = capacity / sys::control_header_size;
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(env, (capacity + 7) & ~static_cast<size_t>(7));
  Napi::Int32Array table = Napi::Int32Array::New(env, table_head + most_messages * table_entry);
  Napi::Int32Array request = Napi::Int32Array::New(env, field_items + capacity / sizeof(int32_t));
  if (env.IsExceptionPending()) return;
  memory_reference_ = Napi::Persistent(memory);
  table_reference_ = Napi::Persistent(table);
  request_reference_ = Napi::Persistent(request);
  bytes_ = static_cast<uint8_t*>(memory.Data());
  table_ = table.Data();
  request_ = request.Data();
  capacity_ = capacity;
  pending_.reserve(capacity / sizeof(int));
}

void ControlBuffer::close_pending() {
  for (const Pending& entry : pending_) sys::close_all(&entry.fd, 1);
  pending_.clear();
}

void ControlBuffer::reset(Holds next) {
  close_pending();
  holds_ = next;
  std::fill_n(table_, table_head, 0);
}

void ControlBuffer::own(const sys::ControlMessage& message, size_t index) {
  const size_t slots = message.size / sizeof(int);
  for (size_t i = 0; i < slots && pending_.size() < pending_.capacity(); i++) {
    const int fd = sys::descriptor_at(bytes_, message, i);
    // A negative slot holds an errno: the kernel refused that descriptor (SO_RIGHTS_NOTRUNC, or a pidfd of a reaped process).
    if (fd >= 0) pending_.push_back({fd, index});
  }
}

void ControlBuffer::describe(size_t length) {
  size_t position = 0;
  size_t count = 0;
  sys::ControlMessage message;
  while (sys::next_control_message(bytes_, length, position, message)) {
    if (message.carries_descriptors()) own(message, count);
    int32_t* entry = table_ + table_head + count * table_entry;
    entry[0] = message.level;
    entry[1] = message.type;
    entry[2] = static_cast<int32_t>(message.offset);
    entry[3] = static_cast<int32_t>(message.size);
    count++;
  }
  table_[0] = static_cast<int32_t>(length);
  table_[2] = static_cast<int32_t>(count);
  table_[5] = static_cast<int32_t>(pending_.size());
}

bool ControlBuffer::compose() {
  reset(Holds::outgoing);
  size_t length = 0;
  const size_t count = asked(field_count) < 0 ? capacity_ : static_cast<size_t>(asked(field_count));
  if (count > 0 && !sys::append_rights(bytes_, capacity_, length, request_ + field_items, count)) return false;
  if (asked(field_with_credentials) != 0) {
    const sys::Credentials credentials = {asked(field_pid), static_cast<uint32_t>(asked(field_uid)), static_cast<uint32_t>(asked(field_gid))};
    if (!sys::append_credentials(bytes_, capacity_, length, &credentials, 1)) return false;
  }
  table_[0] = static_cast<int32_t>(length);
  return true;
}

void ControlBuffer::take() {
  const int32_t wanted = asked(field_message);
  if (wanted < 0) pending_.clear();
  const auto is_wanted = [wanted](const Pending& entry) { return entry.message == static_cast<size_t>(wanted); };
  pending_.erase(std::remove_if(pending_.begin(), pending_.end(), is_wanted), pending_.end());
  table_[5] = static_cast<int32_t>(pending_.size());
}

sys::Result<sys::Done> ControlBuffer::keep(int error, const char* call, size_t bytes) {
  table_[3] = error == 0 ? static_cast<int32_t>(bytes) : -error;
  return error == 0 || error == EAGAIN ? sys::done() : sys::failure<sys::Done>(error, call);
}

sys::Result<sys::Done> ControlBuffer::send(sys::DataBuffers data, const sys::Address* to) {
  table_[1] = 0;
  // What came in is never passed on: only what was added is sent.
  const size_t length = holds_ == Holds::outgoing ? std::min(static_cast<size_t>(std::max(table_[0], 0)), capacity_) : 0;
  const sys::Result<size_t> sent = sys::send_message(asked(field_fd), data, bytes_, length, to, asked(field_flags));
  return keep(sent.error, sent.call, sent.value);
}

sys::Result<sys::Done> ControlBuffer::receive(sys::DataBuffers data) {
  reset(Holds::incoming);
  sender_.length = 0;
  const size_t room = std::min(static_cast<size_t>(std::max(asked(field_limit), 0)), capacity_);
  sys::Address* from = asked(field_with_sender) != 0 ? &sender_ : nullptr;
  const sys::Result<sys::Received> received = sys::receive_message(asked(field_fd), data, bytes_, room, from, asked(field_flags));
  if (received.ok()) {
    describe(std::min(received.value.control_length, capacity_));
    table_[1] = received.value.flags;
    table_[4] = static_cast<int32_t>(sender_.length);
  }
  return keep(received.error, received.call, received.value.bytes);
}

}  // namespace holdfast::addon
