// The pipelines of a client over gRPC: against a node, and against a server that answers as a test
// says.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/cairn.grpc.pb.h"
#include "cairn/client.h"
#include "src/base/sanitizers.h"
#include "src/client/library/node_client_test_util.h"

namespace cairn {
namespace {

using std::chrono::milliseconds;

// Single calls are answered at once, with the value "single" and version 1.
class FakeKv final : public v1::KV::Service {
 public:
  // What happens to a pipelined operation: an answer, which is given its id, or none.
  using Script = std::function<std::optional<v1::PipelinedAnswer>(const v1::PipelinedOperation&)>;

  grpc::Status Ping(grpc::ServerContext*, const v1::PingRequest*, v1::PingResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest*, v1::GetResponse* to) override {
    ++singles;
    to->set_found(true);
    to->set_value("single");
    to->set_version(1);
    return grpc::Status::OK;
  }
  grpc::Status Set(grpc::ServerContext*, const v1::SetRequest*, v1::WriteResponse* to) override {
    ++singles;
    to->set_version(1);
    return grpc::Status::OK;
  }
  grpc::Status Pipeline(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::PipelineResponse, v1::PipelineRequest>* stream) override {
    if (!script) return {grpc::StatusCode::UNIMPLEMENTED, "no such method"};
    stream->Write({});
    ++opened;
    v1::PipelineRequest request;
    while (stream->Read(&request)) {
      ++messages;
      v1::PipelineResponse response;
      for (const v1::PipelinedOperation& operation : request.operations()) {
        ++pipelined;
        if (end) return *end;
        auto answer = script(operation);
        if (!answer) continue;
        answer->set_id(operation.id());
        *response.add_answers() = *std::move(answer);
      }
      if (!response.answers().empty()) stream->Write(response);
    }
    return grpc::Status::OK;
  }

  Script script;                    // none: a node that is older than pipelines
  std::optional<grpc::Status> end;  // of the call, at the first operation
  std::atomic<int> singles{0};
  std::atomic<int> pipelined{0};
  std::atomic<int> messages{0};
  std::atomic<int> opened{0};
};

v1::PipelinedAnswer Found(const std::string& value) {
  v1::PipelinedAnswer answer;
  answer.mutable_get()->set_found(true);
  answer.mutable_get()->set_value(value);
  return answer;
}
v1::PipelinedAnswer Written(std::uint64_t version) {
  v1::PipelinedAnswer answer;
  answer.mutable_write()->set_version(version);
  return answer;
}
// Every Get finds "piped", every write has version 2.
std::optional<v1::PipelinedAnswer> Usual(const v1::PipelinedOperation& operation) {
  return operation.has_get() ? Found("piped") : Written(2);
}

class PipelineClientTest : public ::testing::Test {
 protected:
  ~PipelineClientTest() override {
    client_.reset();
    server_->Shutdown();
  }
  void Serve() {
    grpc::ServerBuilder builder;
    int port = 0;
    // A small window that does not grow: a server that does not read soon stops the client.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 16);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&kv_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ClientOptions options;
    options.sessions = false;
    options.connect_timeout = kConnectPatience;
    auto client = NodeClient::Connect("grpc://127.0.0.1:" + std::to_string(port), options);
    ASSERT_TRUE(client.ok()) << client.status().ToString();
    client_ = *std::move(client);
  }
  // Reads until one goes through the pipeline. The script is Usual.
  void AwaitPipeline() {
    while (Show(client_->GetAsync("k").Get()) != "piped") std::this_thread::yield();
  }

  FakeKv kv_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<NodeClient> client_;
};

TEST_F(PipelineClientTest, WhatRunsInTheBackgroundTravelsTogether) {
  kv_.script = Usual;
  Serve();
  AwaitPipeline();
  const int singles = kv_.singles;
  const int before = kv_.pipelined;
  const int messages = kv_.messages;
  std::vector<Future<std::uint64_t>> sets;
  for (int i = 0; i < 1000; ++i) sets.push_back(client_->SetAsync("k", "v"));
  for (auto& set : sets) {
    const auto version = set.Get();
    ASSERT_TRUE(version.ok()) << version.status().ToString();
    EXPECT_EQ(*version, 2);
  }
  EXPECT_EQ(kv_.pipelined, before + 1000);
  EXPECT_LT(kv_.messages, messages + 1000);
  EXPECT_EQ(kv_.singles, singles);
  // A thread that waits makes a call of its own, and so does what is large.
  EXPECT_EQ(Show(client_->Get("k")), "single");
  EXPECT_TRUE(client_->SetAsync("k", std::string(100 << 10, 'v')).Get().ok());
  EXPECT_EQ(kv_.singles, singles + 2);
  EXPECT_EQ(kv_.opened, 1);
}

TEST_F(PipelineClientTest, AnOlderNodeGetsSingleCalls) {
  Serve();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Show(client_->GetAsync("k").Get()), "single");
}

TEST_F(PipelineClientTest, ADeadlineEndsTheWaitForASilentNode) {
  std::atomic<bool> silent{false};
  kv_.script = [&](const auto& operation) { return silent ? std::nullopt : Usual(operation); };
  Serve();
  AwaitPipeline();
  silent = true;
  ReadOptions read;
  read.timeout = milliseconds(60);
  WriteOptions write;
  write.timeout = milliseconds(20);
  auto get = client_->GetAsync("k", read);
  Status late;
  do {  // one that was not yet sent, on a busy machine, is told so
    late = client_->SetAsync("k", "v", write).Get().status();
    ASSERT_EQ(late.code(), StatusCode::kTimeout) << late.ToString();
    EXPECT_FALSE(late.message().empty());
  } while (!late.maybe_applied());
  EXPECT_EQ(get.Get().status().code(), StatusCode::kTimeout);
  // Later operations have timers as well, and the pipeline goes on.
  EXPECT_EQ(client_->GetAsync("k", read).Get().status().code(), StatusCode::kTimeout);
  silent = false;
  EXPECT_EQ(Show(client_->GetAsync("k").Get()), "piped");
  EXPECT_EQ(kv_.opened, 1);
}

TEST_F(PipelineClientTest, ACancelledOperationIsForgotten) {
  std::atomic<bool> silent{false};
  kv_.script = [&](const auto& operation) { return silent ? std::nullopt : Usual(operation); };
  Serve();
  AwaitPipeline();
  silent = true;
  auto get = client_->GetAsync("k");
  get.Cancel();
  EXPECT_EQ(get.Get().status().code(), StatusCode::kCancelled);
  auto open = client_->GetAsync("k");
  client_->Close();
  EXPECT_EQ(open.Get().status().code(), StatusCode::kCancelled);
}

// What waits behind the operations of a node that does not read is not sent when nobody waits for
// it any more: its error says that it was not applied.
TEST_F(PipelineClientTest, WhatEndsInTheClientsQueueIsNeverSent) {
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  std::atomic<int> wanted{0};
  std::atomic<int> unwanted{0};
  kv_.script = [&](const v1::PipelinedOperation& operation) {
    if (operation.has_set()) {
      gate.wait();
      ++(operation.set().key() == "wanted" ? wanted : unwanted);
    }
    return Usual(operation);
  };
  Serve();
  AwaitPipeline();
  WriteOptions patient;
  patient.timeout = std::chrono::minutes(1);
  std::vector<Future<std::uint64_t>> sets;
  // Far more than the window takes.
  for (int i = 0; i < 20; ++i) {
    sets.push_back(client_->SetAsync("wanted", std::string(60'000, 'v'), patient));
  }
  auto cancelled = client_->SetAsync("unwanted", "v", patient);
  WriteOptions hurried;
  hurried.timeout = milliseconds(50);
  auto late = client_->SetAsync("unwanted", "v", hurried);
  sets.push_back(client_->SetAsync("wanted", "v", patient));
  cancelled.Cancel();
  EXPECT_EQ(cancelled.Get().status().code(), StatusCode::kCancelled);
  const Status status = late.Get().status();
  EXPECT_EQ(status.code(), StatusCode::kTimeout) << status.ToString();
  EXPECT_FALSE(status.maybe_applied());
  go_on.set_value();
  for (auto& set : sets) {
    const auto version = set.Get();
    EXPECT_TRUE(version.ok()) << version.status().ToString();
  }
  EXPECT_EQ(wanted, 21);
  EXPECT_EQ(unwanted, 0);
}

// The node's own end says that what has no answer was not begun; it is sent again.
TEST_F(PipelineClientTest, WhatANodeDidNotBeginIsSentAgain) {
  kv_.script = Usual;
  Serve();
  AwaitPipeline();
  v1::RpcStatus wire;
  v1::ErrorDetail detail;
  detail.set_reason(v1::REASON_UNAVAILABLE);
  wire.set_code(grpc::StatusCode::UNAVAILABLE);
  wire.add_details()->PackFrom(detail);
  kv_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping", wire.SerializeAsString());
  const int singles = kv_.singles;
  const auto set = client_->SetAsync("k", "v").Get();
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  EXPECT_EQ(*set, 1);
  EXPECT_EQ(kv_.singles, singles + 1);
}

// Any other end leaves it open.
TEST_F(PipelineClientTest, AWriteInABrokenPipelineIsInDoubt) {
  kv_.script = Usual;
  Serve();
  AwaitPipeline();
  for (const grpc::Status& end :
       {grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut"), grpc::Status::OK}) {
    kv_.end = end;
    const Status in_doubt = client_->SetAsync("k", "v").Get().status();
    EXPECT_EQ(in_doubt.code(), StatusCode::kUnavailable) << in_doubt.ToString();
    EXPECT_TRUE(in_doubt.maybe_applied());
    // A read is made again, by itself.
    EXPECT_EQ(Show(client_->GetAsync("k").Get()), "single");
    kv_.end.reset();
    AwaitPipeline();
  }
  EXPECT_EQ(kv_.opened, 3);
}

TEST_F(PipelineClientTest, AnAnswerOfAnotherKindIsAnError) {
  std::atomic<bool> wrong{false};
  kv_.script = [&](const auto& operation) -> std::optional<v1::PipelinedAnswer> {
    if (!wrong) return Usual(operation);
    return operation.has_get() ? Written(7) : Found("v");
  };
  Serve();
  AwaitPipeline();
  wrong = true;
  ReadOptions read;
  read.timeout = milliseconds(50);  // it is tried again until then
  EXPECT_FALSE(client_->GetAsync("k", read).Get().ok());
  const Status status = client_->SetAsync("k", "v").Get().status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(status.maybe_applied());
  // An error that the node sends, and an answer to nobody.
  kv_.script = [&](const auto&) {
    v1::PipelinedAnswer answer;
    answer.mutable_error()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
    answer.mutable_error()->set_message("the key is bad");
    return answer;
  };
  const Status bad = client_->SetAsync("k", "v").Get().status();
  EXPECT_EQ(bad.code(), StatusCode::kInvalidArgument) << bad.ToString();
}

// Writes that run while the node goes away and comes back are each applied once.
TEST(PipelineNodeTest, WritesOutliveRestarts) {
  ServedNode node(Wire::kGrpc);
  ClientOptions options;
  options.connect_timeout = kConnectPatience;
  auto client = NodeClient::Connect(node.endpoint(), options);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  const int rounds = kSanitized ? 3 : 10;
  std::uint64_t newest = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Future<std::uint64_t>> sets;
    for (int i = 0; i < 100; ++i) {
      sets.push_back((*client)->SetAsync("k" + std::to_string(i), std::to_string(round)));
      if (i == 50) node.Restart();
    }
    for (auto& set : sets) {
      const auto version = set.Get();
      ASSERT_TRUE(version.ok()) << version.status().ToString();
      newest = std::max(newest, *version);
    }
  }
  // A version a write, and two for the sessions that may have been opened meanwhile.
  EXPECT_LE(newest, static_cast<std::uint64_t>(rounds) * 100 + 10);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Show((*client)->Get("k" + std::to_string(i))), std::to_string(rounds - 1));
  }
}

}  // namespace
}  // namespace cairn
