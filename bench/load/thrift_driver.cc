#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <exception>
#include <utility>

#include "api/TransactionalKV.h"
#include "bench/load/driver.h"

namespace cairn::bench {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TBufferedTransport;
using apache::thrift::transport::TSocket;

// Thrift reports a broken connection by throwing.
template <class Call>
Status Guard(Call&& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return {StatusCode::kUnavailable, std::string("Thrift: ") + error.what()};
  }
}

class ThriftConnection : public Connection {
 public:
  ThriftConnection(const std::string& host, std::uint16_t port)
      : socket_(std::make_shared<TSocket>(host, port)),
        transport_(std::make_shared<TBufferedTransport>(socket_)),
        client_(std::make_shared<TBinaryProtocol>(transport_)) {}

  Status Open() {
    return Guard([this] {
      socket_->setNoDelay(true);
      transport_->open();
      return Status::Ok();
    });
  }

  Status Set(const std::string& key, const std::string& value) override {
    return Guard([&] {
      thrift_api::SetRequest request;
      request.__set_key(key);
      request.__set_value(value);
      thrift_api::SetResponse response;
      client_.setKey(response, request);
      if (response.success) return Status::Ok();
      return Status(StatusCode::kUnavailable, response.error_code + ": " + response.error);
    });
  }

  Status Get(const std::string& key, std::string* value) override {
    return Guard([&] {
      thrift_api::GetRequest request;
      request.__set_key(key);
      thrift_api::GetResponse response;
      client_.get(response, request);
      if (response.__isset.error) return Status(StatusCode::kUnavailable, response.error);
      if (!response.found) return Status(StatusCode::kNotFound, "no key " + key);
      *value = std::move(response.value);
      return Status::Ok();
    });
  }

 private:
  std::shared_ptr<TSocket> socket_;
  std::shared_ptr<TBufferedTransport> transport_;
  thrift_api::TransactionalKVClient client_;
};

class ThriftDriver : public Driver {
 public:
  ThriftDriver(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    auto connection = std::make_unique<ThriftConnection>(host_, port_);
    if (Status opened = connection->Open(); !opened.ok()) return opened;
    return std::unique_ptr<Connection>(std::move(connection));
  }

 private:
  const std::string host_;
  const std::uint16_t port_;
};

}  // namespace

std::unique_ptr<Driver> MakeThriftDriver(const std::string& host, std::uint16_t port) {
  return std::make_unique<ThriftDriver>(host, port);
}

}  // namespace cairn::bench
