#include "src/client/thrift_wire/answer_protocol.h"

#include <algorithm>

namespace cairn::client {
namespace {

namespace tp = apache::thrift::protocol;
using tp::TProtocolException;
using tp::TType;

// The fewest bytes that a value of a type takes on the wire; 0 for what is no type of a value.
std::size_t LeastBytes(int type) {
  switch (type) {
    case tp::T_BOOL:
    case tp::T_BYTE:
    case tp::T_STRUCT:  // the end of an empty one
      return 1;
    case tp::T_I16:
      return 2;
    case tp::T_I32:
    case tp::T_STRING:
      return 4;
    case tp::T_SET:
    case tp::T_LIST:
      return 5;
    case tp::T_MAP:
      return 6;
    case tp::T_I64:
    case tp::T_DOUBLE:
      return 8;
    default:
      return 0;
  }
}

TType Checked(int type) {
  if (LeastBytes(type) == 0) {
    throw TProtocolException(TProtocolException::INVALID_DATA,
                             "there is no type " + std::to_string(type));
  }
  return static_cast<TType>(type);
}

}  // namespace

std::uint32_t AnswerProtocol::readMessageBegin(std::string& name, TMessageType& type,
                                               std::int32_t& sequence) {
  std::int32_t head = 0;
  std::uint32_t bytes = readI32(head);
  if ((static_cast<std::uint32_t>(head) & 0xFFFF'0000U) != 0x8001'0000U) {
    throw TProtocolException(TProtocolException::BAD_VERSION,
                             "it does not begin a message of the binary protocol");
  }
  const int kind = head & 0xFF;
  if (kind != tp::T_REPLY && kind != tp::T_EXCEPTION) {
    throw TProtocolException(TProtocolException::INVALID_DATA,
                             "a message of type " + std::to_string(kind) + " is no answer");
  }
  type = static_cast<tp::TMessageType>(kind);
  bytes += readString(name);
  return bytes + readI32(sequence);
}

std::uint32_t AnswerProtocol::readFieldBegin(std::string& /*name*/, TType& type, std::int16_t& id) {
  std::int8_t byte = 0;
  const std::uint32_t bytes = readByte(byte);
  if (byte == tp::T_STOP) {
    type = tp::T_STOP;
    id = 0;
    return bytes;
  }
  type = Checked(byte);
  return bytes + readI16(id);
}

std::uint32_t AnswerProtocol::ReadSize(std::size_t element_bytes) {
  std::int32_t size = 0;
  readI32(size);
  if (size < 0 || static_cast<std::uint64_t>(size) * element_bytes > buffer_->available_read()) {
    throw TProtocolException(TProtocolException::SIZE_LIMIT,
                             "a container of " + std::to_string(size) +
                                 " elements in a message that has " +
                                 std::to_string(buffer_->available_read()) + " bytes more");
  }
  return static_cast<std::uint32_t>(size);
}

std::uint32_t AnswerProtocol::readListBegin(TType& type, std::uint32_t& size) {
  std::int8_t byte = 0;
  readByte(byte);
  size = ReadSize(std::max<std::size_t>(LeastBytes(byte), 1));
  // An empty one may say no type.
  type = size == 0 && byte == tp::T_STOP ? tp::T_STOP : Checked(byte);
  return 5;
}

std::uint32_t AnswerProtocol::readMapBegin(TType& key, TType& value, std::uint32_t& size) {
  std::int8_t key_byte = 0;
  std::int8_t value_byte = 0;
  readByte(key_byte);
  readByte(value_byte);
  size = ReadSize(std::max<std::size_t>(LeastBytes(key_byte) + LeastBytes(value_byte), 1));
  key = size == 0 && key_byte == tp::T_STOP ? tp::T_STOP : Checked(key_byte);
  value = size == 0 && value_byte == tp::T_STOP ? tp::T_STOP : Checked(value_byte);
  return 6;
}

}  // namespace cairn::client
