// A whole node behind a gRPC server, and a client of it, for the tests of this folder.
//
// Thread safety: none; the test's thread.
#ifndef CAIRN_SRC_SERVER_GRPC_GRPC_TEST_UTIL_H_
#define CAIRN_SRC_SERVER_GRPC_GRPC_TEST_UTIL_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "api/cairn.grpc.pb.h"
#include "api/kvstore.grpc.pb.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/testing/test_node.h"

namespace cairn::server {

class GrpcTest : public ::testing::Test {
 protected:
  // Serves with these options instead of the defaults. The first thing that a test does.
  void Serve(const testing::TestNodeOptions& node_options, GrpcServerOptions options) {
    node_ = std::make_unique<testing::TestNode>(node_options);
    options.port = 0;
    auto server = GrpcServer::Start(options, &node_->service());
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    node_->service().SetEndpoints(address(), "");
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
    kv_ = v1::KV::NewStub(channel_);
    admin_ = v1::Admin::NewStub(channel_);
    legacy_ = kvstore::KVStore::NewStub(channel_);
  }
  void SetUp() override { Serve({}, {}); }
  void TearDown() override {
    // Whoever still waits is answered; the server waits for that.
    node_->StopReplica();
    server_.reset();
  }

  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(server_->port());
  }

  // Calls `method` of the stub with `request`, and expects it to do well.
  template <class Response, class Stub, class Request>
  Response Call(const std::unique_ptr<Stub>& stub,
                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request) {
    Response response;
    const grpc::Status status = Try(stub, method, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  template <class Response, class Stub, class Request>
  grpc::Status Try(const std::unique_ptr<Stub>& stub,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return (stub.get()->*method)(&context, request, response);
  }

  std::uint64_t Set(const std::string& key, const std::string& value,
                    const std::string& family = "") {
    v1::SetRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_column_family(family);
    return Call(kv_, &v1::KV::Stub::Set, request).version();
  }
  // The value; "(none)" if there is none.
  std::string Get(const std::string& key, const std::string& family = "",
                  std::uint64_t at_version = 0) {
    v1::GetRequest request;
    request.set_key(key);
    request.set_column_family(family);
    request.mutable_read()->set_at_version(at_version);
    const v1::GetResponse response = Call(kv_, &v1::KV::Stub::Get, request);
    return response.found() ? response.value() : "(none)";
  }

  std::unique_ptr<testing::TestNode> node_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::KV::Stub> kv_;
  std::unique_ptr<v1::Admin::Stub> admin_;
  std::unique_ptr<kvstore::KVStore::Stub> legacy_;
};

// What an error of the node carries; the reason is REASON_UNSPECIFIED, or OK, for one of gRPC's
// own.
inline v1::ErrorDetail DetailOf(const grpc::Status& status) {
  v1::RpcStatus wire;
  v1::ErrorDetail detail;
  if (!wire.ParseFromString(status.error_details()) || wire.details().empty()) return detail;
  EXPECT_EQ(wire.code(), status.error_code());
  EXPECT_EQ(wire.message(), status.error_message());
  wire.details(0).UnpackTo(&detail);
  return detail;
}

// As "code/reason".
inline std::string Show(const grpc::Status& status) {
  return status.ok() ? "OK"
                     : std::to_string(status.error_code()) + "/" +
                           v1::Reason_Name(DetailOf(status).reason());
}

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_GRPC_TEST_UTIL_H_
