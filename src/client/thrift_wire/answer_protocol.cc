#include "src/client/thrift_wire/answer_protocol.h"

#include <algorithm>

#include "src/thrift_types/value_types.h"

namespace cairn::client {
namespace {

namespace tp = apache::thrift::protocol;
using thrift_types::CheckedElementType;
using thrift_types::CheckedType;
using thrift_types::LeastBinaryBytes;
using tp::TProtocolException;

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
  type = CheckedType(byte);
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
  size = ReadSize(std::max<std::size_t>(LeastBinaryBytes(byte), 1));
  type = CheckedElementType(byte, size);
  return 5;
}

std::uint32_t AnswerProtocol::readMapBegin(TType& key, TType& value, std::uint32_t& size) {
  std::int8_t key_byte = 0;
  std::int8_t value_byte = 0;
  readByte(key_byte);
  readByte(value_byte);
  size =
      ReadSize(std::max<std::size_t>(LeastBinaryBytes(key_byte) + LeastBinaryBytes(value_byte), 1));
  key = CheckedElementType(key_byte, size);
  value = CheckedElementType(value_byte, size);
  return 6;
}

}  // namespace cairn::client
