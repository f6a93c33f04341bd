#include <chrono>
#include <utility>

#include "bench/load/driver.h"
#include "src/client/thrift/node_connection.h"

namespace cairn::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};

class ThriftConnection : public Connection {
 public:
  explicit ThriftConnection(std::unique_ptr<client::NodeConnection> node)
      : node_(std::move(node)) {}

  Status Set(const std::string& key, const std::string& value) override {
    thrift_api::SetRequest request;
    request.__set_key(key);
    request.__set_value(value);
    thrift_api::SetResponse response;
    CAIRN_RETURN_IF_ERROR(
        node_->Call([&](client::ThriftClient& thrift) { thrift.setKey(response, request); }));
    if (response.success) return Status::Ok();
    return UnavailableError(response.error_code + ": " + response.error);
  }

  Status Get(const std::string& key, std::string* value) override {
    thrift_api::GetRequest request;
    request.__set_key(key);
    thrift_api::GetResponse response;
    CAIRN_RETURN_IF_ERROR(
        node_->Call([&](client::ThriftClient& thrift) { thrift.get(response, request); }));
    if (response.__isset.error) return UnavailableError(response.error);
    if (!response.found) return NotFoundError("no key " + key);
    *value = std::move(response.value);
    return Status::Ok();
  }

 private:
  const std::unique_ptr<client::NodeConnection> node_;
};

class ThriftDriver : public Driver {
 public:
  explicit ThriftDriver(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(auto node, client::NodeConnection::Connect(endpoint_, kTimeout));
    return std::unique_ptr<Connection>(std::make_unique<ThriftConnection>(std::move(node)));
  }

 private:
  const Endpoint endpoint_;
};

}  // namespace

std::unique_ptr<Driver> MakeThriftDriver(const std::string& host, std::uint16_t port) {
  return std::make_unique<ThriftDriver>(Endpoint{host, port});
}

}  // namespace cairn::bench
