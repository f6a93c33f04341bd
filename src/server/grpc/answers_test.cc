// Answers of calls with one response, and clients that do not take them.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/server/grpc/grpc_test_util.h"

namespace cairn::server {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class AnswersTest : public GrpcTest {
 protected:
  // With room for 8 MiB of answers, and a value of 1 MiB as "big" and of 100 bytes as "small".
  void SetUp() override { ServeWith(GrpcServerOptions().scan_stall); }
  // And with answers that may wait for so long while there is little room. A server's default is
  // longer than a busy machine makes a client wait.
  void ServeWith(Duration stall) {
    if (server_) TearDown();
    GrpcServerOptions options;
    options.answer_bytes = 8 * kMiB;
    options.scan_stall = stall;
    Serve({}, options);
    Set("big", std::string(kMiB, 'b'));
    Set("small", std::string(100, 's'));
  }

  // A call of a method with one response whose client does not take that: gRPC's own stubs do, so
  // it is called as a stream that nobody reads from.
  template <class Request, class Response>
  struct Untaken {
    Untaken(const std::shared_ptr<grpc::Channel>& channel, const char* method,
            const Request& request)
        : reader(grpc::internal::ClientReaderFactory<Response>::Create(
              channel.get(),
              grpc::internal::RpcMethod(method, grpc::internal::RpcMethod::SERVER_STREAMING),
              &context, request)) {}
    ~Untaken() { context.TryCancel(); }
    // The status, with or without the answer before it.
    grpc::Status Take() {
      Response response;
      while (reader->Read(&response)) {
      }
      return reader->Finish();
    }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<Response>> reader;
  };
  using UntakenGet = Untaken<v1::GetRequest, v1::GetResponse>;

  // Its windows do not grow by themselves.
  [[nodiscard]] std::shared_ptr<grpc::Channel> SlowChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
  }
  std::vector<std::unique_ptr<UntakenGet>> Gets(const std::shared_ptr<grpc::Channel>& channel,
                                                int count) {
    v1::GetRequest request;
    request.set_key("big");
    std::vector<std::unique_ptr<UntakenGet>> calls;
    for (int i = 0; i < count; ++i) {
      calls.push_back(std::make_unique<UntakenGet>(channel, "/cairn.v1.KV/Get", request));
    }
    return calls;
  }
  template <class Done>
  static void Await(Done done) {
    while (!done()) std::this_thread::yield();
  }
  // How a call of an ordinary client ends.
  std::string TryGet(const std::string& key) {
    v1::GetRequest request;
    request.set_key(key);
    v1::GetResponse response;
    return Show(Try(kv_, &v1::KV::Stub::Get, request, &response));
  }
  std::string TryRange() {
    v1::GetRangeResponse response;
    return Show(Try(kv_, &v1::KV::Stub::GetRange, v1::GetRangeRequest(), &response));
  }
  // Its answer gives the value back.
  std::string TryStamp() {
    v1::SetVersionstampedValueRequest request;
    request.set_key("stamped");
    request.set_value_template(std::string(kMiB, '\0'));
    v1::VersionstampedResponse response;
    return Show(Try(kv_, &v1::KV::Stub::SetVersionstampedValue, request, &response));
  }
  std::string TryPing() {
    v1::PingRequest request;
    request.set_message(std::string(kMiB, 'p'));
    v1::PingResponse response;
    return Show(Try(kv_, &v1::KV::Stub::Ping, request, &response));
  }
};

TEST_F(AnswersTest, ClientsThatDoNotReadHoldBoundedMemory) {
  const auto slow = SlowChannel();
  auto calls = Gets(slow, 40);
  // Seven answers of 1 MiB fit, and an eighth with the bytes that the seven are short of.
  Await([&] { return server_->figures().answer_bytes >= 7 * kMiB; });
  EXPECT_LE(server_->figures().answer_bytes, 8 * kMiB);
  Await([&] { return server_->figures().calls >= 42; });
  EXPECT_LE(server_->figures().answer_bytes, 8 * kMiB);
  // Nobody else gets what is large, whichever call it comes by; what is small goes on.
  const std::string refused = "8/REASON_RESOURCE_EXHAUSTED";
  EXPECT_EQ(TryGet("big"), refused);
  EXPECT_EQ(TryRange(), refused);
  EXPECT_EQ(TryPing(), refused);
  EXPECT_EQ(TryStamp(), refused);
  EXPECT_EQ(TryGet("stamped"), "OK");
  kvstore::GetRequest request;
  request.set_key("big");
  kvstore::GetResponse response;
  EXPECT_EQ(Try(legacy_, &kvstore::KVStore::Stub::Get, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(TryGet("small"), "OK");

  // Those that have their answer can still take it: they only were slow. The others were told.
  int taken = 0;
  for (const auto& call : calls) {
    const grpc::Status status = call->Take();
    taken += status.ok() ? 1 : 0;
    EXPECT_EQ(Show(status), status.ok() ? "OK" : refused);
  }
  EXPECT_GE(taken, 7);
  EXPECT_LT(taken, 40);
  Await([&] { return server_->figures().answer_bytes == 0; });
  EXPECT_EQ(TryGet("big"), "OK");
}

TEST_F(AnswersTest, AnAnswerThatIsNotTakenForTooLongIsCut) {
  ServeWith(std::chrono::seconds(2));
  const auto slow = SlowChannel();
  auto calls = Gets(slow, 7);
  Await([&] { return server_->figures().answer_bytes == 7 * kMiB; });
  // After scan_stall there is room again, with nobody having read. What fits into half of the room
  // stays, for those that are only slow.
  Await([&] { return server_->figures().answer_bytes <= 4 * kMiB; });
  EXPECT_EQ(TryGet("big"), "OK");
  int cut = 0;
  for (const auto& call : calls) cut += call->Take().ok() ? 0 : 1;
  EXPECT_GE(cut, 3);
  calls = Gets(slow, 3);
  for (const auto& call : calls) EXPECT_TRUE(call->Take().ok());
}

TEST_F(AnswersTest, OneAnswerAlwaysFits) {
  Set("huge", std::string(8 * kMiB - 10, 'h'));
  EXPECT_EQ(TryGet("huge"), "OK");
  // The client may have it before the server knows.
  Await([&] { return server_->figures().answer_bytes == 0; });
  EXPECT_EQ(TryRange(), "OK");
  Await([&] { return server_->figures().answer_bytes == 0; });
}

}  // namespace
}  // namespace cairn::server
