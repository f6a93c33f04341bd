#include "src/server/thrift/protocol.h"

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/TProtocolException.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/codec.h"
#include "src/thrift_types/value_types.h"

namespace cairn::server {
namespace {

namespace tp = apache::thrift::protocol;
using thrift_types::CheckedElementType;
using thrift_types::CheckedType;
using thrift_types::LeastBinaryBytes;
using tp::TMessageType;
using tp::TProtocolException;
using tp::TType;

// Heads of messages: binary has the version 0x8001, compact the id 0x82 and version 1 in the low
// five bits of the next byte.
bool IsBinaryHead(const std::uint8_t* bytes) { return bytes[0] == 0x80 && bytes[1] == 0x01; }
bool IsCompactHead(const std::uint8_t* bytes) { return bytes[0] == 0x82 && (bytes[1] & 0x1F) == 1; }

TMessageType CheckedCallType(int type) {
  if (type != tp::T_CALL && type != tp::T_ONEWAY) {
    throw TProtocolException(TProtocolException::INVALID_DATA,
                             "a message of type " + std::to_string(type) + " is no call");
  }
  return static_cast<TMessageType>(type);
}

// The fewest bytes that a container's elements take, which may have no type if there are none.
std::size_t MinBinaryBytes(TType type) { return std::max<std::size_t>(LeastBinaryBytes(type), 1); }
std::size_t MinCompactBytes(TType type) { return type == tp::T_DOUBLE ? 8 : 1; }

void CheckCount(std::int64_t count, const MessageLimits& limits) {
  if (count < 0) {
    throw TProtocolException(TProtocolException::NEGATIVE_SIZE,
                             "a container with " + std::to_string(count) + " elements");
  }
  if (count > limits.container_elements) {
    throw TProtocolException(TProtocolException::SIZE_LIMIT,
                             "a container with " + std::to_string(count) +
                                 " elements is over the limit of " +
                                 std::to_string(limits.container_elements));
  }
}

void CheckStringSize(std::int64_t size, const MessageLimits& limits) {
  if (size < 0) {
    throw TProtocolException(TProtocolException::NEGATIVE_SIZE,
                             "a string of " + std::to_string(size) + " bytes");
  }
  if (static_cast<std::uint64_t>(size) > limits.message_bytes) {
    throw TProtocolException(TProtocolException::SIZE_LIMIT,
                             "a string of " + std::to_string(size) +
                                 " bytes is over the limit of " +
                                 std::to_string(limits.message_bytes) + " (message_bytes)");
  }
}

// The longest name of a call that is looked at.
constexpr std::int32_t kMaxCallNameBytes = 256;

void CheckNameSize(std::int32_t size) {
  if (size >= 0 && size <= kMaxCallNameBytes) return;
  throw TProtocolException(TProtocolException::SIZE_LIMIT,
                           "a call whose name has " + std::to_string(size) + " bytes");
}

void Remember(CallHead* head, const std::string& name, std::int32_t sequence) {
  head->known = true;
  head->name = name;
  head->sequence = sequence;
}

// The reads that a guard replaces. Thrift's protocols dispatch twice: generated code calls the
// virtual X_virt, `skip` calls X by the static type; both must come here.
#define CAIRN_GUARD_VIRTUALS_                                                                    \
  std::uint32_t readMessageBegin_virt(std::string& name, TMessageType& type,                     \
                                      std::int32_t& sequence) override {                         \
    return readMessageBegin(name, type, sequence);                                               \
  }                                                                                              \
  std::uint32_t readFieldBegin_virt(std::string& name, TType& type, std::int16_t& id) override { \
    return readFieldBegin(name, type, id);                                                       \
  }                                                                                              \
  std::uint32_t readMapBegin_virt(TType& key, TType& value, std::uint32_t& size) override {      \
    return readMapBegin(key, value, size);                                                       \
  }                                                                                              \
  std::uint32_t readListBegin_virt(TType& type, std::uint32_t& size) override {                  \
    return readListBegin(type, size);                                                            \
  }                                                                                              \
  std::uint32_t readSetBegin_virt(TType& type, std::uint32_t& size) override {                   \
    return readListBegin(type, size);                                                            \
  }                                                                                              \
  std::uint32_t readString_virt(std::string& out) override { return readBinary(out); }           \
  std::uint32_t readBinary_virt(std::string& out) override { return readBinary(out); }           \
  std::uint32_t skip_virt(TType type) override { return tp::skip(*this, type); }                 \
  std::uint32_t readSetBegin(TType& type, std::uint32_t& size) {                                 \
    return readListBegin(type, size);                                                            \
  }                                                                                              \
  std::uint32_t readString(std::string& out) { return readBinary(out); }

class GuardedBinary final : public tp::TBinaryProtocolT<MessageTransport> {
 public:
  using Base = tp::TBinaryProtocolT<MessageTransport>;

  GuardedBinary(const std::shared_ptr<MessageTransport>& transport, const MessageLimits& limits,
                CallHead* head)
      : Base(transport), limits_(limits), head_(head) {}

  std::uint32_t readMessageBegin(std::string& name, TMessageType& type, std::int32_t& sequence) {
    std::int32_t version = 0;
    readI32(version);
    const auto bits = static_cast<std::uint32_t>(version);
    if ((bits & 0xFFFF0000) != 0x80010000) {
      throw TProtocolException(TProtocolException::BAD_VERSION,
                               "a message does not begin with the version of strict binary");
    }
    std::int32_t size = 0;
    readI32(size);
    CheckNameSize(size);
    trans_->ReadString(&name, static_cast<std::size_t>(size));
    readI32(sequence);
    Remember(head_, name, sequence);
    trans_->CheckFrame();
    type = CheckedCallType(static_cast<int>(bits & 0xFF));
    return static_cast<std::uint32_t>(size) + 12;
  }
  std::uint32_t readFieldBegin(std::string& /*name*/, TType& type, std::int16_t& id) {
    std::int8_t wire_type = 0;
    readByte(wire_type);
    id = 0;
    if (wire_type == tp::T_STOP) {
      type = tp::T_STOP;
      return 1;
    }
    type = CheckedType(wire_type);
    return 1 + readI16(id);
  }
  std::uint32_t readMapBegin(TType& key, TType& value, std::uint32_t& size) {
    std::int8_t key_type = 0;
    std::int8_t value_type = 0;
    std::int32_t count = 0;
    readByte(key_type);
    readByte(value_type);
    readI32(count);
    CheckCount(count, limits_);
    size = static_cast<std::uint32_t>(count);
    key = CheckedElementType(key_type, size);
    value = CheckedElementType(value_type, size);
    trans_->RequireBuffered(size * (MinBinaryBytes(key) + MinBinaryBytes(value)));
    return 6;
  }
  std::uint32_t readListBegin(TType& type, std::uint32_t& size) {
    std::int8_t element_type = 0;
    std::int32_t count = 0;
    readByte(element_type);
    readI32(count);
    CheckCount(count, limits_);
    size = static_cast<std::uint32_t>(count);
    type = CheckedElementType(element_type, size);
    trans_->RequireBuffered(size * MinBinaryBytes(type));
    return 5;
  }
  std::uint32_t readBinary(std::string& out) {
    std::int32_t size = 0;
    readI32(size);
    CheckStringSize(size, limits_);
    trans_->ReadString(&out, static_cast<std::size_t>(size));
    return 4 + static_cast<std::uint32_t>(size);
  }
  CAIRN_GUARD_VIRTUALS_

 private:
  const MessageLimits limits_;
  CallHead* const head_;
};

class GuardedCompact final : public tp::TCompactProtocolT<MessageTransport> {
 public:
  using Base = tp::TCompactProtocolT<MessageTransport>;

  GuardedCompact(const std::shared_ptr<MessageTransport>& transport, const MessageLimits& limits,
                 CallHead* head)
      : Base(transport), limits_(limits), head_(head) {}

  std::uint32_t readMessageBegin(std::string& name, TMessageType& type, std::int32_t& sequence) {
    std::uint8_t bytes[2];
    trans_->readAll(bytes, 2);
    if (!IsCompactHead(bytes)) {
      throw TProtocolException(TProtocolException::BAD_VERSION,
                               "a message does not begin with the id and version of compact");
    }
    const std::uint32_t read = 2 + readVarint32(sequence);
    std::int32_t size = 0;
    readVarint32(size);
    CheckNameSize(size);
    trans_->ReadString(&name, static_cast<std::size_t>(size));
    Remember(head_, name, sequence);
    trans_->CheckFrame();
    type = CheckedCallType(bytes[1] >> 5);
    return read + static_cast<std::uint32_t>(size) + 1;
  }
  std::uint32_t readMapBegin(TType& key, TType& value, std::uint32_t& size) {
    std::int32_t count = 0;
    std::int8_t types = 0;
    std::uint32_t read = readVarint32(count);
    CheckCount(count, limits_);
    if (count > 0) read += readByte(types);
    size = static_cast<std::uint32_t>(count);
    key = getTType(static_cast<std::int8_t>((types >> 4) & 0xF));
    value = getTType(static_cast<std::int8_t>(types & 0xF));
    trans_->RequireBuffered(size * (MinCompactBytes(key) + MinCompactBytes(value)));
    return read;
  }
  std::uint32_t readListBegin(TType& type, std::uint32_t& size) {
    std::int8_t head = 0;
    std::uint32_t read = readByte(head);
    std::int32_t count = (head >> 4) & 0xF;
    if (count == 0xF) read += readVarint32(count);
    CheckCount(count, limits_);
    size = static_cast<std::uint32_t>(count);
    type = getTType(static_cast<std::int8_t>(head & 0xF));
    trans_->RequireBuffered(size * MinCompactBytes(type));
    return read;
  }
  std::uint32_t readBinary(std::string& out) {
    std::int32_t size = 0;
    const std::uint32_t read = readVarint32(size);
    CheckStringSize(size, limits_);
    trans_->ReadString(&out, static_cast<std::size_t>(size));
    return read + static_cast<std::uint32_t>(size);
  }
  CAIRN_GUARD_VIRTUALS_

 private:
  const MessageLimits limits_;
  CallHead* const head_;
};
#undef CAIRN_GUARD_VIRTUALS_

Status UnknownHead(const std::uint8_t* bytes, std::size_t size) {
  return InvalidArgumentError(
      "the first bytes \"" + Printable({reinterpret_cast<const char*>(bytes), size}) +
      "\" begin no Thrift message this port takes: strict binary or compact, framed or not");
}

}  // namespace

Result<WireFormat> DetectWireFormat(MessageTransport* transport) {
  const std::uint8_t* bytes = transport->Peek(2);
  if (bytes != nullptr && (bytes[0] & 0x80) != 0) {
    if (IsBinaryHead(bytes)) return WireFormat::kUnframedBinary;
    if (IsCompactHead(bytes)) return WireFormat::kUnframedCompact;
    return UnknownHead(bytes, 2);
  }
  // The length of a frame, and the head of the message in it.
  if (bytes != nullptr) bytes = transport->Peek(6);
  if (bytes == nullptr) return UnavailableError("the connection was closed before a message");
  if (IsBinaryHead(bytes + 4)) return WireFormat::kFramedBinary;
  if (IsCompactHead(bytes + 4)) return WireFormat::kFramedCompact;
  return UnknownHead(bytes, 6);
}

std::shared_ptr<tp::TProtocol> MakeProtocol(WireFormat format,
                                            const std::shared_ptr<MessageTransport>& transport,
                                            const MessageLimits& limits, CallHead* head) {
  switch (format) {
    case WireFormat::kUnframedBinary:
    case WireFormat::kFramedBinary:
      return std::make_shared<GuardedBinary>(transport, limits, head);
    case WireFormat::kUnframedCompact:
    case WireFormat::kFramedCompact:
      return std::make_shared<GuardedCompact>(transport, limits, head);
  }
  return nullptr;
}

}  // namespace cairn::server
