#include <atomic>
#include <chrono>
#include <utility>

#include "bench/load/driver.h"
#include "src/client/thrift/node_connection.h"

namespace cairn::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};

class ThriftConnection : public Connection {
 public:
  ThriftConnection(std::unique_ptr<client::NodeConnection> node, const std::string& read_level)
      : node_(std::move(node)), read_level_(read_level) {}

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
    if (!read_level_.empty()) request.__set_read_level(read_level_);
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
  const std::string read_level_;
};

class ThriftDriver : public Driver {
 public:
  ThriftDriver(std::vector<Endpoint> endpoints, std::string read_level)
      : endpoints_(std::move(endpoints)), read_level_(std::move(read_level)) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    const Endpoint& endpoint = endpoints_[next_.fetch_add(1) % endpoints_.size()];
    CAIRN_ASSIGN_OR_RETURN(auto node, client::NodeConnection::Connect(endpoint, kTimeout));
    return std::unique_ptr<Connection>(
        std::make_unique<ThriftConnection>(std::move(node), read_level_));
  }

 private:
  const std::vector<Endpoint> endpoints_;
  const std::string read_level_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace

std::unique_ptr<Driver> MakeThriftDriver(std::vector<Endpoint> endpoints, std::string read_level) {
  return std::make_unique<ThriftDriver>(std::move(endpoints), std::move(read_level));
}

}  // namespace cairn::bench
