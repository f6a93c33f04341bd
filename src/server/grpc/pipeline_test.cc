// KV.Pipeline of a whole node, over a socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/sanitizers.h"
#include "src/server/grpc/grpc_test_util.h"
#include "src/server/grpc/pipeline.h"

namespace cairn::server {
namespace {

using Stream = grpc::ClientReaderWriter<v1::PipelineRequest, v1::PipelineResponse>;
using Answers = std::map<std::uint64_t, v1::PipelinedAnswer>;

// One call, made by this thread.
class Client {
 public:
  explicit Client(v1::KV::Stub* stub) : stream_(stub->Pipeline(&context)) {}
  ~Client() {
    if (!stream_) return;
    context.TryCancel();
    (void)End();
  }

  // The node's first message. False: it refuses.
  bool Greeted() {
    v1::PipelineResponse greeting;
    const bool read = stream_->Read(&greeting);
    EXPECT_TRUE(!read || greeting.answers().empty());
    return read;
  }
  v1::PipelinedOperation* Add() {
    v1::PipelinedOperation* operation = request_.add_operations();
    operation->set_id(++last_id_);
    return operation;
  }
  std::uint64_t Get(const std::string& key) {
    v1::PipelinedOperation* operation = Add();
    operation->mutable_get()->set_key(key);
    return operation->id();
  }
  std::uint64_t Set(const std::string& key, const std::string& value) {
    v1::PipelinedOperation* operation = Add();
    operation->mutable_set()->set_key(key);
    operation->mutable_set()->set_value(value);
    return operation->id();
  }
  v1::PipelineRequest& request() { return request_; }
  // What was added, as one message.
  bool Send() {
    const bool sent = stream_->Write(request_);
    request_.Clear();
    return sent;
  }
  void NoMore() { stream_->WritesDone(); }
  // `count` answers more, by number, or as many as come.
  Answers Read(std::size_t count) {
    Answers answers;
    v1::PipelineResponse response;
    while (answers.size() < count && stream_->Read(&response)) {
      longest_ = std::max(longest_, response.ByteSizeLong());
      for (v1::PipelinedAnswer& answer : *response.mutable_answers()) {
        const std::uint64_t id = answer.id();
        EXPECT_TRUE(answers.emplace(id, std::move(answer)).second) << "twice: " << id;
      }
    }
    return answers;
  }
  // Reads to the end.
  grpc::Status End() {
    v1::PipelineResponse response;
    while (stream_->Read(&response)) {
    }
    const grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }
  // Of the messages that were read.
  [[nodiscard]] std::size_t longest() const { return longest_; }

  grpc::ClientContext context;

 private:
  std::unique_ptr<Stream> stream_;
  v1::PipelineRequest request_;
  std::uint64_t last_id_ = 0;
  std::size_t longest_ = 0;
};

using server::Show;
std::string Show(const v1::PipelinedAnswer& answer) {
  if (!answer.has_error()) return "OK";
  const v1::RpcStatus& error = answer.error();
  return Show(grpc::Status(static_cast<grpc::StatusCode>(error.code()), error.message(),
                           error.SerializeAsString()));
}

class PipelineTest : public GrpcTest {
 protected:
  void ServeWith(const GrpcServerOptions& options) {
    TearDown();
    Serve({}, options);
  }
  // A client without a read-ahead that grows by itself.
  [[nodiscard]] std::unique_ptr<v1::KV::Stub> SlowReaders() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::KV::NewStub(
        grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
  }
};

TEST_F(PipelineTest, EveryKindOfOperation) {
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  const std::string zeros(10, '\0');
  const auto set = client.Set("a", "1");
  ASSERT_TRUE(client.Send());
  const std::uint64_t version = client.Read(1)[set].write().version();
  EXPECT_GT(version, 0);

  const auto get = client.Get("a");
  const auto missing = client.Get("b");
  v1::PipelinedOperation* past = client.Add();
  past->mutable_get()->set_key("a");
  past->mutable_get()->mutable_read()->set_at_version(version);
  const auto read_version = client.Add();
  read_version->mutable_get_read_version();
  ASSERT_TRUE(client.Send());
  Answers answers = client.Read(4);
  ASSERT_EQ(answers.size(), 4);
  EXPECT_EQ(answers[get].get().value(), "1");
  EXPECT_EQ(answers[get].get().version(), version);
  EXPECT_FALSE(answers[missing].get().found());
  EXPECT_EQ(answers[3].id(), 3);
  EXPECT_EQ(answers[4].get().value(), "1");
  EXPECT_EQ(answers[5].get_read_version().version(), version);

  client.Add()->mutable_delete_()->set_key("a");
  client.Add()->mutable_set_versionstamped_key()->set_key_template("k" + zeros);
  client.Add()->mutable_set_versionstamped_value()->set_key("v");
  client.request().mutable_operations(2)->mutable_set_versionstamped_value()->set_value_template(
      zeros);
  v1::Mutation* mutation = client.Add()->mutable_commit()->add_mutations();
  mutation->set_type(v1::Mutation::TYPE_SET);
  mutation->set_key("c");
  mutation->set_value("2");
  ASSERT_TRUE(client.Send());
  answers = client.Read(4);
  ASSERT_EQ(answers.size(), 4);
  EXPECT_GT(answers[6].write().version(), version);
  EXPECT_EQ(answers[7].versionstamped().generated().size(), 11);
  EXPECT_EQ(answers[8].versionstamped().generated().size(), 10);
  EXPECT_GT(answers[9].write().version(), version);
  EXPECT_EQ(Get("a"), "(none)");
  EXPECT_EQ(Get("v"), answers[8].versionstamped().generated());
  EXPECT_EQ(Get("c"), "2");

  client.NoMore();
  EXPECT_TRUE(client.End().ok());
}

TEST_F(PipelineTest, EachFailsAlone) {
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  const std::uint64_t old = Set("k", "1");
  Set("k", "2");
  client.Add();                               // 1: nothing that the node knows
  client.Get("");                             // 2
  client.Add()->mutable_get()->set_key("k");  // 3
  client.request().mutable_operations(2)->mutable_get()->mutable_read()->set_level(
      static_cast<v1::ReadLevel>(9));
  client.Add()->mutable_set()->set_column_family("missing");  // 4
  client.request().mutable_operations(3)->mutable_set()->set_key("k");
  v1::CommitRequest* commit = client.Add()->mutable_commit();  // 5
  commit->set_read_version(old);
  commit->add_read_conflict_keys()->set_key("k");
  v1::Mutation* mutation = commit->add_mutations();
  mutation->set_type(v1::Mutation::TYPE_SET);
  mutation->set_key("lost");
  client.Add()->mutable_commit()->add_mutations()->set_key("k");  // 6: without a type
  client.Add()->mutable_set()->set_key("k");                      // 7: half a session
  client.request().mutable_operations(6)->mutable_set()->mutable_write()->mutable_session();
  client.Get("k");  // 8
  ASSERT_TRUE(client.Send());
  Answers answers = client.Read(8);
  ASSERT_EQ(answers.size(), 8);
  EXPECT_EQ(Show(answers[1]), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(Show(answers[2]), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(Show(answers[3]), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(Show(answers[4]), "5/REASON_NOT_FOUND");
  EXPECT_EQ(Show(answers[5]), "10/REASON_CONFLICT");
  EXPECT_EQ(Show(answers[6]), "3/REASON_INVALID_OPERATION");
  EXPECT_EQ(Show(answers[7]), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(answers[8].get().value(), "2");
}

TEST_F(PipelineTest, ASessionAppliesOnce) {
  const std::uint64_t session =
      Call(kv_, &v1::KV::Stub::OpenSession, v1::OpenSessionRequest()).session_id();
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  std::uint64_t version = 0;
  for (int i = 0; i < 2; ++i) {
    v1::SetRequest* set = client.Add()->mutable_set();
    set->set_key("k");
    set->set_value(i == 0 ? "first" : "second");
    v1::SessionStamp* stamp = set->mutable_write()->mutable_session();
    stamp->set_id(session);
    stamp->set_sequence(1);
    stamp->set_first_outstanding(1);
    ASSERT_TRUE(client.Send());
    const v1::PipelinedAnswer answer = client.Read(1)[static_cast<std::uint64_t>(i + 1)];
    EXPECT_EQ(Show(answer), "OK");
    EXPECT_TRUE(i == 0 || answer.write().version() == version);
    version = answer.write().version();
  }
  EXPECT_EQ(Get("k"), "first");
}

TEST_F(PipelineTest, AnOperationHasItsOwnDeadlineAndOvertakesOthers) {
  const std::uint64_t version = Set("k", "v");
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  const auto waiting = [&](std::uint64_t timeout_ms, std::uint64_t at) {
    v1::PipelinedOperation* operation = client.Add();
    operation->set_timeout_ms(timeout_ms);
    operation->mutable_get()->set_key("k");
    operation->mutable_get()->mutable_read()->set_min_version(at);
  };
  waiting(60'000, version + 1);  // 1
  client.Get("k");               // 2
  ASSERT_TRUE(client.Send());
  const Answers first = client.Read(1);
  ASSERT_EQ(first.size(), 1);
  EXPECT_EQ(first.begin()->first, 2);
  waiting(200, version + 1000);  // 3
  ASSERT_TRUE(client.Send());
  const Answers late = client.Read(1);
  ASSERT_EQ(late.size(), 1);
  EXPECT_EQ(late.begin()->first, 3);
  // The latter if the machine is so busy that the time was over before the node looked at it.
  EXPECT_THAT(Show(late.begin()->second), ::testing::AnyOf("14/REASON_STALE", "4/REASON_TIMEOUT"));
  client.Set("k", "w");  // 4
  ASSERT_TRUE(client.Send());
  Answers rest = client.Read(2);
  ASSERT_EQ(rest.size(), 2);
  EXPECT_EQ(rest[1].get().value(), "w");
  EXPECT_EQ(Show(rest[4]), "OK");
}

TEST_F(PipelineTest, AMessageAndAnAnswerHaveBounds) {
  Set("large", std::string(1000, 'v'));
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  client.request().set_longest_answer(500);
  client.Get("large");
  client.Set("k", "v");
  ASSERT_TRUE(client.Send());
  Answers answers = client.Read(2);
  EXPECT_EQ(Show(answers[1]), "3/REASON_INVALID_ARGUMENT");
  EXPECT_NE(answers[1].error().message().find("larger than max"), std::string::npos);
  EXPECT_EQ(Show(answers[2]), "OK");
  // The answer of a write is lost, but not the write.
  v1::PipelinedOperation* stamped = client.Add();
  const std::uint64_t id = stamped->id();
  stamped->mutable_set_versionstamped_value()->set_key("stamped");
  stamped->mutable_set_versionstamped_value()->set_value_template(std::string(1000, 'v') +
                                                                  std::string(10, '\0'));
  ASSERT_TRUE(client.Send());
  answers = client.Read(1);
  v1::ErrorDetail detail;
  ASSERT_EQ(answers[id].error().details_size(), 1);
  ASSERT_TRUE(answers[id].error().details(0).UnpackTo(&detail));
  EXPECT_EQ(detail.reason(), v1::REASON_INVALID_ARGUMENT);
  EXPECT_TRUE(detail.maybe_applied());
  EXPECT_NE(Get("stamped"), "(none)");
  // Many answers are many messages.
  for (int i = 0; i < 100; ++i) client.Get("k");
  ASSERT_TRUE(client.Send());
  EXPECT_EQ(client.Read(100).size(), 100);
  EXPECT_LE(client.longest(), 500);

  for (int i = 0; i <= kMaxRunning; ++i) client.Set("never", "v");
  ASSERT_TRUE(client.Send());
  const grpc::Status status = client.End();
  EXPECT_EQ(Show(status), "3/REASON_INVALID_ARGUMENT");
  EXPECT_NE(status.error_message().find("1025"), std::string::npos) << status.error_message();
  EXPECT_EQ(Get("never"), "(none)");
}

TEST_F(PipelineTest, AMessageOverTheLimitIsRefused) {
  GrpcServerOptions options;
  options.message_bytes = 1 << 16;
  ServeWith(options);
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  client.Set("k", std::string(1 << 16, 'v'));
  (void)client.Send();
  EXPECT_EQ(client.End().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Get("k"), "(none)");
}

TEST_F(PipelineTest, NoMorePipelinesThanTheNodeTakes) {
  GrpcServerOptions options;
  options.max_pipelines = 1;
  ServeWith(options);
  Client first(kv_.get());
  ASSERT_TRUE(first.Greeted());
  {
    Client second(kv_.get());
    EXPECT_FALSE(second.Greeted());
    EXPECT_EQ(Show(second.End()), "8/REASON_RESOURCE_EXHAUSTED");
  }
  EXPECT_EQ(server_->figures().pipelines_open, 1);
  first.NoMore();
  EXPECT_TRUE(first.End().ok());
  while (server_->figures().pipelines_open != 0) std::this_thread::yield();
  Client third(kv_.get());
  EXPECT_TRUE(third.Greeted());
}

// What is begun is answered, and the call's end says that nothing else was.
TEST_F(PipelineTest, AStoppingNodeAnswersWhatItHasBegun) {
  const std::uint64_t version = Set("k", "v");
  Client client(kv_.get());
  ASSERT_TRUE(client.Greeted());
  v1::PipelinedOperation* waits = client.Add();
  waits->mutable_get()->set_key("k");
  waits->mutable_get()->mutable_read()->set_min_version(version + 1);
  client.Get("k");
  ASSERT_TRUE(client.Send());
  ASSERT_EQ(client.Read(1).begin()->first, 2);  // so that both are begun
  auto stopped =
      std::async(std::launch::async, [&] { return server_->Stop(std::chrono::seconds(60)); });
  // The node itself goes on: the next write ends the wait.
  auto written = std::async(std::launch::async, [&] {
    std::promise<Status> done;
    node_->service().ExecuteAsync(
        Wire::kGrpc, {}, kv::KvOperation(kv::Set{"k", "w", ""}),
        [&](const Result<kv::OperationResult>& result) { done.set_value(result.status()); });
    return done.get_future().get();
  });
  EXPECT_TRUE(written.get().ok());
  Answers answers = client.Read(1);
  EXPECT_EQ(answers[1].get().value(), "w");
  EXPECT_EQ(Show(client.End()), "14/REASON_UNAVAILABLE");
  EXPECT_TRUE(stopped.get());
}

TEST_F(PipelineTest, ACancelledCallLeavesNothingBehind) {
  const std::uint64_t version = Set("k", "v");
  {
    Client client(kv_.get());
    ASSERT_TRUE(client.Greeted());
    v1::PipelinedOperation* waits = client.Add();
    waits->mutable_get()->set_key("k");
    waits->mutable_get()->mutable_read()->set_min_version(version + 1);
    client.Get("k");
    ASSERT_TRUE(client.Send());
    ASSERT_EQ(client.Read(1).size(), 1);
    client.context.TryCancel();
    EXPECT_EQ(client.End().error_code(), grpc::StatusCode::CANCELLED);
  }
  while (server_->figures().pipelines_open != 0) std::this_thread::yield();
  Set("k", "w");  // the read that waited finds nobody
  EXPECT_EQ(Get("k"), "w");
}

TEST_F(PipelineTest, ASlowReaderIsNotReadFor) {
  constexpr int kReads = 400;
  constexpr int kEach = 64 << 10;
  Set("large", std::string(kEach, 'v'));
  const auto slow = SlowReaders();
  Client client(slow.get());
  ASSERT_TRUE(client.Greeted());
  const std::uint64_t before = server_->figures().calls;
  for (int i = 0; i < kReads; ++i) client.Get("large");
  ASSERT_TRUE(client.Send());
  // The node stops when it holds kMaxHeldBytes.
  while (server_->figures().calls - before < kMaxHeldBytes / kEach) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) Call(kv_, &v1::KV::Stub::Ping, v1::PingRequest());
  // One more than fits, and what the network took off: a message or two, and the window.
  EXPECT_LE(server_->figures().calls - before - 100, kMaxHeldBytes / kEach + 8);
  // And goes on as the client reads.
  const Answers answers = client.Read(kReads);
  EXPECT_EQ(answers.size(), kReads);
  EXPECT_EQ(server_->figures().calls - before, kReads + 100);
}

TEST_F(PipelineTest, AReaderThatTakesNothingIsCutOff) {
  GrpcServerOptions options;
  options.scan_stall = std::chrono::seconds(2);
  ServeWith(options);
  Set("small", "v");
  Set("large", std::string(1 << 20, 'v'));
  const auto slow = SlowReaders();
  Client idle(kv_.get());  // owes nothing, so that it may stay
  ASSERT_TRUE(idle.Greeted());
  Client client(slow.get());
  ASSERT_TRUE(client.Greeted());
  for (int i = 0; i < 10; ++i) client.Get("large");
  ASSERT_TRUE(client.Send());
  while (server_->figures().pipelines_open != 1) std::this_thread::yield();
  EXPECT_EQ(client.End().error_code(), grpc::StatusCode::CANCELLED);
  idle.Get("small");
  ASSERT_TRUE(idle.Send());
  EXPECT_EQ(idle.Read(1).size(), 1);
}

// Messages, answers and begun operations of many kinds at once, from several threads.
TEST_F(PipelineTest, ManyAtOnce) {
  constexpr int kClients = 4;
  const int rounds = kSanitized ? 5 : 30;
  std::vector<std::thread> threads;
  threads.reserve(kClients);
  for (int number = 0; number < kClients; ++number) {
    threads.emplace_back([&, number] {
      Client client(kv_.get());
      ASSERT_TRUE(client.Greeted());
      const std::string own = "own" + std::to_string(number);
      for (int round = 0; round < rounds; ++round) {
        // More reads that wait for a barrier than may at once, and writes among them.
        for (int i = 0; i < 100; ++i) {
          v1::PipelinedOperation* read = client.Add();
          read->mutable_get()->set_key(own);
          read->mutable_get()->mutable_read()->set_level(v1::READ_LEVEL_READ_INDEX);
          if (i % 4 == 0) client.Set(own, std::to_string(i));
        }
        ASSERT_TRUE(client.Send());
        const Answers answers = client.Read(125);
        ASSERT_EQ(answers.size(), 125);
        for (const auto& [id, answer] : answers) EXPECT_EQ(Show(answer), "OK");
      }
      client.NoMore();
      EXPECT_TRUE(client.End().ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace cairn::server
