// The port of TensorStore's protocol, fed calls of every method with any bytes as the request, over
// a socket: every call ends by its deadline, with an error that says what it is, and the
// port goes on serving. The first byte chooses the method, the second a request that the bytes are
// added to, which protobuf takes as changing its fields, so that not every run has to find one.
#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/tensorstore_kvstore.grpc.pb.h"
#include "cairn/remote_dram.h"
#include "src/base/check.h"
#include "src/server/tensorstore/tensorstore_server.h"
#include "tests/fuzz/grpc_calls.h"

namespace {

using namespace cairn;  // NOLINT(google-build-using-namespace): a fuzzer's own file
namespace wire = tensorstore_grpc::kvstore;

// A key, one with a generation of no value in either condition, with a value, with 1 to 3 of its
// bytes, and ranges: of a delete and of a list, with 1 byte of its prefix taken off.
const std::string kHeads[] = {"",
                              "\x0a\x01k",
                              "\x0a\x01k\x12\x01\x05",
                              "\x0a\x01k\x1a\x01\x05",
                              "\x0a\x01k\x1a\x05value",
                              "\x0a\x01k\x2a\x04\x08\x01\x10\x03",
                              "\x12\x06\x0a\x01j\x12\x01l",
                              "\x0a\x06\x0a\x01j\x12\x01l\x10\x01"};

class Fixture {
 public:
  Fixture() {
    auto store = RemoteDram::Open(
        R"({"listen_addr": "fuzz:0", "transport": "loopback", "capacity_bytes": 1048576})");
    CAIRN_CHECK(store.ok());
    store_ = *std::move(store);
    server::TensorstoreServerOptions options;
    options.address = {"127.0.0.1", 0};
    options.message_bytes = 1 << 16;
    auto server = server::TensorstoreServer::Start(options, store_.get());
    CAIRN_CHECK(server.ok());
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  }

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // What is written is what is read.
  void CheckAlive() const {
    const auto stub = wire::KvStoreService::NewStub(channel_);
    {
      grpc::ClientContext context;
      wire::WriteResponse response;
      const auto write = stub->Write(&context, &response);
      wire::WriteRequest request;
      request.set_key("alive");
      request.set_value_part("yes");
      CAIRN_CHECK(write->Write(request) && write->WritesDone() && write->Finish().ok());
    }
    grpc::ClientContext context;
    wire::ReadRequest request;
    request.set_key("alive");
    const auto read = stub->Read(&context, request);
    wire::ReadResponse response;
    CAIRN_CHECK(read->Read(&response) && response.value_part() == "yes");
    while (read->Read(&response)) {
    }
    CAIRN_CHECK(read->Finish().ok());
  }

 private:
  std::unique_ptr<RemoteDram> store_;
  std::unique_ptr<server::TensorstoreServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static auto* const fixture = new Fixture();
  static std::uint64_t runs = 0;
  static const std::vector<std::string> methods =
      fuzz::MethodsOf({"tensorstore_grpc.kvstore.KvStoreService"});
  const std::string request = kHeads[data[1] % std::size(kHeads)] +
                              std::string(reinterpret_cast<const char*>(data) + 2, size - 2);
  const grpc::Status status =
      fuzz::CallMethod(fixture->channel(), methods[data[0] % methods.size()], request);
  // gRPC's blocking handlers say INTERNAL of bytes that are no message; no answer of the pool may.
  CAIRN_CHECK(status.error_code() != grpc::StatusCode::UNKNOWN, status.error_message());
  if (++runs % 100 == 0) fixture->CheckAlive();
  return 0;
}
