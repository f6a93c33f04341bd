// A whole node in this process that serves one wire, for the tests of the clients.
//
// Thread safety: none; the test's thread.
#ifndef CAIRN_SRC_CLIENT_LIBRARY_NODE_CLIENT_TEST_UTIL_H_
#define CAIRN_SRC_CLIENT_LIBRARY_NODE_CLIENT_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "cairn/client.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/testing/test_node.h"
#include "src/server/thrift/kv_processor.h"
#include "src/server/thrift/thrift_server.h"

namespace cairn {

enum class Wire : std::uint8_t { kThrift, kGrpc };

// A node that serves one wire on a free port.
class ServedNode {
 public:
  explicit ServedNode(Wire wire, std::size_t message_bytes = std::size_t{64} << 20)
      : wire_(wire), message_bytes_(message_bytes) {
    Serve(0);
  }
  ~ServedNode() {
    // Whoever still waits is answered; a gRPC server waits for that.
    node_.StopReplica();
    Cut();
  }
  void Serve(std::uint16_t port) { wire_ == Wire::kGrpc ? ServeGrpc(port) : ServeThrift(port); }
  void ServeGrpc(std::uint16_t port) {
    server::GrpcServerOptions options;
    options.port = port;
    options.message_bytes = message_bytes_;
    auto server = server::GrpcServer::Start(options, &node_.service());
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    grpc_ = std::move(*server);
    port_ = grpc_->port();
  }
  void ServeThrift(std::uint16_t port) {
    server::ThriftServerOptions options;
    options.port = port;
    options.message_bytes = message_bytes_;
    auto server =
        server::ThriftServer::Start(options, server::MakeKvProcessor(&node_.service()), &clock_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    port_ = server_->port();
  }
  // Ends the server, not the node.
  void Cut() {
    if (server_) server_->Stop(Duration::zero());
    server_.reset();
    if (grpc_) grpc_->Stop(Duration::zero());
    grpc_.reset();
  }
  void Restart() {
    Cut();
    Serve(port_);
  }
  [[nodiscard]] std::size_t sessions() { return node_.service().Sessions(); }
  [[nodiscard]] std::string endpoint() const {
    return (wire_ == Wire::kGrpc ? "grpc://127.0.0.1:" : "127.0.0.1:") + std::to_string(port_);
  }

 private:
  const Wire wire_;
  const std::size_t message_bytes_;
  SystemClock clock_;
  server::testing::TestNode node_;
  std::unique_ptr<server::GrpcServer> grpc_;
  std::unique_ptr<server::ThriftServer> server_;
  std::uint16_t port_ = 0;
};

// For clients of a node that is there: it answers in the end, however busy the machine is.
constexpr std::chrono::minutes kConnectPatience{1};

class NodeClientTest : public ::testing::TestWithParam<Wire> {
 protected:
  std::unique_ptr<NodeClient> Connect(ClientOptions options = {}) {
    options.connect_timeout = kConnectPatience;
    auto client = NodeClient::Connect(node_.endpoint(), options);
    EXPECT_TRUE(client.ok()) << client.status().ToString();
    return std::move(*client);
  }
  ServedNode node_{GetParam()};
};

// The value, or what went wrong, as text.
inline std::string Show(const Result<GetResult>& result) {
  if (!result.ok()) return result.status().ToString();
  return result->found ? result->value : "(none)";
}

}  // namespace cairn

#endif  // CAIRN_SRC_CLIENT_LIBRARY_NODE_CLIENT_TEST_UTIL_H_
