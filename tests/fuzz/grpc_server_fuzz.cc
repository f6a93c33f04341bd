// A node's gRPC port, fed calls of every method with any bytes as the request, over a socket: every
// call ends by its deadline, an error of the node says what it is, and the node goes on serving.
// The first byte chooses the method, the second a request that the bytes are added to, which
// protobuf takes as changing its fields, so that not every run has to find one.
#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/cairn.grpc.pb.h"
#include "api/kvstore.grpc.pb.h"
#include "src/base/check.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/testing/test_node.h"
#include "tests/fuzz/grpc_calls.h"

namespace {

using namespace cairn;  // NOLINT(google-build-using-namespace): a fuzzer's own file

// Field 1 as "k", as a selector or range of it, and fields 1 and 2 as bytes: most requests' own.
// Then a Get and a Set as operations 1 and 2 of a pipeline.
const std::string kHeads[] = {"",
                              "\x0a\x01k",
                              "\x0a\x03\x0a\x01k",
                              "\x0a\x05\x0a\x03\x0a\x01k",
                              "\x0a\x01k\x12\x01v",
                              "\x0a\x07\x08\x01\x1a\x03\x0a\x01k",
                              "\x0a\x0a\x08\x02\x2a\x06\x0a\x01k\x12\x01v"};

class Fixture {
 public:
  Fixture() {
    server::GrpcServerOptions options;
    options.port = 0;
    options.message_bytes = 1 << 16;
    auto server = server::GrpcServer::Start(options, &node_.service());
    CAIRN_CHECK(server.ok());
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                   grpc::InsecureChannelCredentials());
    for (const char* key : {"a", "k", "k1", "z"}) {
      v1::SetRequest request;
      request.set_key(key);
      request.set_value("value");
      grpc::ClientContext context;
      v1::WriteResponse response;
      CAIRN_CHECK(v1::KV::NewStub(channel_)->Set(&context, request, &response).ok());
    }
  }

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  void CheckAlive() {
    grpc::ClientContext context;
    v1::PingResponse response;
    CAIRN_CHECK(v1::KV::NewStub(channel_)->Ping(&context, v1::PingRequest(), &response).ok());
  }

 private:
  server::testing::TestNode node_;
  std::unique_ptr<server::GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

void CheckStatus(const grpc::Status& status) {
  if (status.error_details().empty()) return;  // gRPC's own: the deadline, a message it can't read
  v1::RpcStatus wire;
  v1::ErrorDetail detail;
  CAIRN_CHECK(wire.ParseFromString(status.error_details()));
  CAIRN_CHECK(wire.details_size() == 1 && wire.details(0).UnpackTo(&detail));
  CAIRN_CHECK(wire.code() == status.error_code());
  CAIRN_CHECK(detail.reason() != v1::REASON_OK && !v1::Reason_Name(detail.reason()).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static auto* const fixture = new Fixture();
  static std::uint64_t runs = 0;
  const std::string request = kHeads[data[1] % std::size(kHeads)] +
                              std::string(reinterpret_cast<const char*>(data) + 2, size - 2);
  // Whatever api/ declares.
  static const std::vector<std::string> methods =
      fuzz::MethodsOf({"cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore"});
  CheckStatus(fuzz::CallMethod(fixture->channel(), methods[data[0] % methods.size()], request));
  if (++runs % 100 == 0) fixture->CheckAlive();
  return 0;
}
