// What tests of the Thrift front end share: a handler that needs no node, and requests and answers
// as bytes, made by Thrift's own client code (not by the server's).
//
// Thread safety: the handler from any thread; the rest is one test's.
#ifndef CAIRN_SRC_SERVER_THRIFT_WIRE_TESTING_H_
#define CAIRN_SRC_SERVER_THRIFT_WIRE_TESTING_H_

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "api/TransactionalKV.h"
#include "src/server/thrift/protocol.h"

namespace cairn::server::testing {

// get answers the key as its value, ping as the service does; `before_get` runs first.
class EchoHandler final : public thrift_api::TransactionalKVNull {
 public:
  explicit EchoHandler(std::function<void(const std::string&)> before_get = {})
      : before_get_(std::move(before_get)) {}

  void get(thrift_api::GetResponse& response, const thrift_api::GetRequest& request) override {
    if (before_get_) before_get_(request.key);
    response.value = request.key;
    response.found = true;
  }
  void ping(thrift_api::PingResponse& response, const thrift_api::PingRequest& request) override {
    response.message = request.message;
  }
  void atomicCommit(thrift_api::AtomicCommitResponse& response,
                    const thrift_api::AtomicCommitRequest& request) override {
    response.success = true;
    response.__set_committed_version(static_cast<std::int64_t>(request.operations.size()));
  }

 private:
  const std::function<void(const std::string&)> before_get_;
};

inline std::shared_ptr<apache::thrift::TProcessor> MakeEchoProcessor(
    std::function<void(const std::string&)> before_get = {}) {
  return std::make_shared<thrift_api::TransactionalKVProcessor>(
      std::make_shared<EchoHandler>(std::move(before_get)));
}

// A client of some wire format that talks to two memory buffers. Frames are made and taken off
// here: Thrift's TFramedTransport steps over a null pointer, which sanitizers do not let pass.
class WireClient {
 public:
  using Buffer = apache::thrift::transport::TMemoryBuffer;

  explicit WireClient(WireFormat format)
      : framed_(IsFramed(format)),
        requests_(std::make_shared<Buffer>()),
        answers_(std::make_shared<Buffer>()),
        client_(Protocol(format, answers_), Protocol(format, requests_)) {}

  // Calls client().send_X, and returns the bytes that it made.
  template <class Send>
  std::string Bytes(Send send) {
    requests_->resetBuffer();
    send(client_);
    const std::string message = requests_->getBufferAsString();
    return framed_ ? Length(message.size()) + message : message;
  }
  // Gives it answers to read with client().recv_X.
  void Answer(const std::string& bytes) {
    const std::string messages = framed_ ? WithoutFrames(bytes) : bytes;
    answers_->resetBuffer();
    answers_->write(reinterpret_cast<const std::uint8_t*>(messages.data()),
                    static_cast<std::uint32_t>(messages.size()));
  }
  thrift_api::TransactionalKVClient& client() { return client_; }

 private:
  static std::string Length(std::size_t size) {
    std::string length;
    for (int shift = 24; shift >= 0; shift -= 8) length.push_back(static_cast<char>(size >> shift));
    return length;
  }
  static std::string WithoutFrames(const std::string& bytes) {
    std::string messages;
    for (std::size_t at = 0; at + 4 <= bytes.size();) {
      std::size_t size = 0;
      for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<std::uint8_t>(bytes[at + i]);
      messages += bytes.substr(at + 4, size);
      at += 4 + size;
    }
    return messages;
  }
  static std::shared_ptr<apache::thrift::protocol::TProtocol> Protocol(
      WireFormat format, const std::shared_ptr<Buffer>& buffer) {
    if (format == WireFormat::kFramedBinary || format == WireFormat::kUnframedBinary) {
      return std::make_shared<apache::thrift::protocol::TBinaryProtocol>(buffer);
    }
    return std::make_shared<apache::thrift::protocol::TCompactProtocol>(buffer);
  }

  const bool framed_;
  std::shared_ptr<Buffer> requests_;
  std::shared_ptr<Buffer> answers_;
  thrift_api::TransactionalKVClient client_;
};

inline std::string GetBytes(WireFormat format, const std::string& key) {
  thrift_api::GetRequest request;
  request.key = key;
  return WireClient(format).Bytes([&](auto& client) { client.send_get(request); });
}

}  // namespace cairn::server::testing

#endif  // CAIRN_SRC_SERVER_THRIFT_WIRE_TESTING_H_
