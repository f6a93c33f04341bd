// Thrift's binary protocol, made safe for what somebody else wrote: types that are none are refused
// before they become an enum, and no container is allocated before the bytes that it declares are
// there (src/thrift_types says why). src/server/thrift has the same for requests.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_SRC_CLIENT_THRIFT_WIRE_ANSWER_PROTOCOL_H_
#define CAIRN_SRC_CLIENT_THRIFT_WIRE_ANSWER_PROTOCOL_H_

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <cstdint>
#include <memory>
#include <string>

namespace cairn::client {

// Reads one message from `buffer`, which holds all of it. Every read may throw Thrift's exceptions,
// and std::bad_alloc.
class AnswerProtocol final
    : public apache::thrift::protocol::TBinaryProtocolT<apache::thrift::transport::TMemoryBuffer> {
 public:
  using TType = apache::thrift::protocol::TType;
  using TMessageType = apache::thrift::protocol::TMessageType;

  AnswerProtocol(const std::shared_ptr<apache::thrift::transport::TMemoryBuffer>& buffer,
                 std::int32_t limit)
      : TBinaryProtocolT(buffer, limit, limit, /*strict_read=*/true, /*strict_write=*/true),
        buffer_(buffer.get()) {}

  std::uint32_t readMessageBegin(std::string& name, TMessageType& type, std::int32_t& sequence);
  std::uint32_t readFieldBegin(std::string& name, TType& type, std::int16_t& id);
  std::uint32_t readMapBegin(TType& key, TType& value, std::uint32_t& size);
  std::uint32_t readListBegin(TType& type, std::uint32_t& size);
  std::uint32_t readSetBegin(TType& type, std::uint32_t& size) { return readListBegin(type, size); }
  std::uint32_t skip(TType type) { return apache::thrift::protocol::skip(*this, type); }

  // What the generated code calls.
  std::uint32_t readMessageBegin_virt(std::string& name, TMessageType& type,
                                      std::int32_t& sequence) override {
    return readMessageBegin(name, type, sequence);
  }
  std::uint32_t readFieldBegin_virt(std::string& name, TType& type, std::int16_t& id) override {
    return readFieldBegin(name, type, id);
  }
  std::uint32_t readMapBegin_virt(TType& key, TType& value, std::uint32_t& size) override {
    return readMapBegin(key, value, size);
  }
  std::uint32_t readListBegin_virt(TType& type, std::uint32_t& size) override {
    return readListBegin(type, size);
  }
  std::uint32_t readSetBegin_virt(TType& type, std::uint32_t& size) override {
    return readListBegin(type, size);
  }
  std::uint32_t skip_virt(TType type) override { return skip(type); }

 private:
  // The size of a container whose elements take at least `element_bytes` each.
  std::uint32_t ReadSize(std::size_t element_bytes);

  apache::thrift::transport::TMemoryBuffer* const buffer_;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_THRIFT_WIRE_ANSWER_PROTOCOL_H_
