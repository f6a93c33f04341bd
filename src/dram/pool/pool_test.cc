// The store contract within one process and over loopback, and what a pool does when its nodes
// disagree, go away and come back.
#include "src/dram/pool/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "src/base/sanitizers.h"
#include "src/dram/loopback/loopback_transport.h"
#include "src/dram/memory/available_memory.h"
#include "src/dram/messages.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Loopback {
 public:
  Result<std::unique_ptr<Pool>> TryOpen(const std::string& json) {
    CAIRN_ASSIGN_OR_RETURN(const Spec spec, ParseSpec(json));
    return Pool::Open(spec, std::make_unique<LoopbackTransport>(network_));
  }
  std::unique_ptr<Pool> Open(const std::string& json) {
    auto pool = TryOpen(json);
    EXPECT_TRUE(pool.ok()) << pool.status().ToString();
    return std::move(*pool);
  }

 private:
  const std::shared_ptr<LoopbackNetwork> network_ = std::make_shared<LoopbackNetwork>();
};

const std::vector<std::string> kNodes = {"n1:1", "n2:1", "n3:1"};

// What to open; the last one is the store under test.
class Harness final : public StoreHarness {
 public:
  explicit Harness(const std::vector<std::string>& specs) {
    for (const std::string& spec : specs) pools_.push_back(loopback_.Open(spec));
  }
  ~Harness() override {
    while (!pools_.empty()) pools_.pop_back();
  }
  RemoteDram& store() override { return *pools_.back(); }

 private:
  Loopback loopback_;
  std::vector<std::unique_ptr<Pool>> pools_;
};

void Register(const std::string& suite, const std::vector<std::string>& specs) {
  RegisterStoreConformance(suite, [specs] { return std::make_unique<Harness>(specs); });
}

const bool kRegistered = [] {
  Register("LocalStoreConformance", {NodeSpec("n1:1", {})});
  Register("LoopbackClientConformance", {NodeSpec("n1:1", {}), R"({"remote_addr": "n1:1"})"});
  Register("LoopbackPoolConformance",
           {NodeSpec("n2:1", kNodes), NodeSpec("n3:1", kNodes), NodeSpec("n1:1", kNodes)});
  Register("LoopbackPoolClientConformance", {NodeSpec("n2:1", kNodes), NodeSpec("n3:1", kNodes),
                                             NodeSpec("n1:1", kNodes), ClientSpec(kNodes)});
  return true;
}();

TEST(PoolTest, SuitesAreRegistered) { EXPECT_TRUE(kRegistered); }

Deadline In(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

// A key that lives on that server.
std::string KeyOn(const RemoteDram& store, const std::string& server) {
  for (int i = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    if (store.RouteOf(key)->server == server) return key;
  }
}

// Writes until it works, for up to `limit`. How long it took.
Result<std::chrono::milliseconds> UntilWritten(RemoteDram& store, const std::string& key,
                                               std::chrono::milliseconds limit) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto written = store.Write(key, Buffer::Copy("v"), {{}, In(limit)}).Get();
    const auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    if (written.ok()) return taken;
    if (taken > limit) return written.status();
  }
}

TEST(PoolTest, AllNodesReadWhatOneWrote) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", kNodes));
  const auto two = loopback.Open(NodeSpec("n2:1", kNodes));
  const auto three = loopback.Open(NodeSpec("n3:1", kNodes));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Put(*one, "k" + std::to_string(i), std::to_string(i)).ok());
  }
  for (Pool* node : {two.get(), three.get()}) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(Value(*node, "k" + std::to_string(i)), std::to_string(i));
    }
  }
  // All of them hold some.
  for (Pool* node : {one.get(), two.get(), three.get()}) {
    EXPECT_THAT(node->store()->figures()[0].second, AllOf(testing::Gt(10), testing::Lt(60)));
  }
}

TEST(PoolTest, ANodeThatIsDownTakesOnlyItsOwnKeys) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", kNodes));
  const auto two = loopback.Open(NodeSpec("n2:1", kNodes));
  auto three = loopback.Open(NodeSpec("n3:1", kNodes));
  const std::string on_two = KeyOn(*one, "n2:1");
  const std::string on_three = KeyOn(*one, "n3:1");
  ASSERT_TRUE(UntilWritten(*one, on_three, std::chrono::seconds(20)).ok());
  three.reset();
  // Bounds on time hold for the best of a few, on a machine that may be busy.
  using Steady = std::chrono::steady_clock;
  const std::chrono::seconds patience(kSanitized ? 20 : 2);
  Steady::duration best = Steady::duration::max();
  for (int i = 0; i < 5 && best >= patience; ++i) {
    const Steady::time_point start = Steady::now();
    const auto read = one->Read(on_three, {{}, {}, {}, In(std::chrono::milliseconds(300))}).Get();
    best = std::min(best, Steady::now() - start);
    EXPECT_EQ(read.status().code(), StatusCode::kUnavailable);
    EXPECT_THAT(read.status().message(), HasSubstr("n3:1"));
  }
  EXPECT_LT(best, patience);
  // Nodes that are there have longer for their answers than the third has to come.
  EXPECT_EQ(one->List({{}, 0, In(std::chrono::seconds(10))}).Get().status().code(),
            StatusCode::kUnavailable);
  EXPECT_TRUE(Put(*one, on_two, "v").ok());
  const auto stats = one->Stat(In(std::chrono::seconds(10))).Get();
  ASSERT_TRUE(stats.ok());
  EXPECT_TRUE((*stats)[1].status.ok());
  EXPECT_EQ((*stats)[2].status.code(), StatusCode::kUnavailable);
  EXPECT_FALSE(one->Peers()[2].connected);
  // It comes back, empty, and is whole again within a second.
  const auto limit = std::chrono::milliseconds(kSanitized ? 20'000 : 1'000);
  best = Steady::duration::max();
  for (int i = 0; i < 5 && best >= limit; ++i) {
    three.reset();
    three = loopback.Open(NodeSpec("n3:1", kNodes));
    const auto taken = UntilWritten(*one, on_three, std::chrono::seconds(20));
    ASSERT_TRUE(taken.ok()) << taken.status().ToString();
    best = std::min<Steady::duration>(best, *taken);
  }
  EXPECT_LT(best, limit);
}

TEST(PoolTest, OperationsWaitForAServerThatIsAboutToCome) {
  Loopback loopback;
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  auto early = client->Write("k", Buffer::Copy("v"));
  auto listed = client->List({});
  EXPECT_FALSE(early.ready());
  const auto server = loopback.Open(NodeSpec("n1:1", {}));
  EXPECT_TRUE(early.Get().ok());
  EXPECT_TRUE(listed.Get().ok());
}

TEST(PoolTest, WaitingOperationsCanBeCancelledAndEndWithThePool) {
  Loopback loopback;
  auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  auto cancelled = client->Read("k");
  auto listed = client->List({});
  auto left = client->Write("k", Buffer::Copy("v"));
  cancelled.Cancel();
  listed.Cancel();
  EXPECT_EQ(cancelled.Get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(listed.Get().status().code(), StatusCode::kCancelled);
  const auto cancel_later = left.Canceller();
  client.reset();
  EXPECT_EQ(left.Get().status().code(), StatusCode::kUnavailable);
  cancel_later();
}

// A batch of more operations than may be in flight takes turns.
TEST(PoolTest, ABatchThatWouldOverrunTheServer) {
  Loopback loopback;
  const auto server = loopback.Open(NodeSpec("n1:1", {}));
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  std::vector<WriteRequestItem> writes;
  const std::size_t count = kMaxUnansweredRequests * 2;
  for (std::size_t i = 0; i < count; ++i) {
    writes.push_back({std::to_string(i), Buffer::Copy("v"), {}});
  }
  auto futures = client->WriteBatch(std::move(writes));
  // One of the last is given up before its turn.
  futures[count - 1].Cancel();
  std::size_t written = 0;
  for (auto& future : futures) written += future.Get().ok() ? 1 : 0;
  EXPECT_GE(written, count - 1);
  EXPECT_EQ(client->List({}).Get().value().size(), written);
}

TEST(PoolTest, OtherTablesAreRefusedAndBothAreShown) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", {"n1:1", "n2:1"}));
  const auto two = loopback.Open(NodeSpec("n2:1", {"n1:1", "n2:1"}));
  const auto client = loopback.Open(ClientSpec({"n1:1", "n2:1", "n9:1"}));
  const std::string key = KeyOn(*client, "n1:1");
  const auto written = Put(*client, key, "v");
  EXPECT_EQ(written.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(written.status().message(),
              AllOf(HasSubstr("servers n1:1 n2:1 n9:1"), HasSubstr("servers n1:1 n2:1}")));
  // Once more, without waiting.
  EXPECT_EQ(Value(*client, key), "FAILED_PRECONDITION");
  EXPECT_EQ(one->store()->figures()[0].second, 0U);
}

// Else a value would be lost to the pool, which never looks for it there.
TEST(PoolTest, AClientWithoutATableIsRefusedKeysOfOtherServers) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", {"n1:1", "n2:1"}));
  const auto two = loopback.Open(NodeSpec("n2:1", {"n1:1", "n2:1"}));
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  const std::string own = KeyOn(*one, "n1:1");
  const std::string other = KeyOn(*one, "n2:1");
  ASSERT_TRUE(Put(*one, other, "kept").ok());
  for (const Status& status :
       {Put(*client, other, "v").status(), Put(*client, other, Bytes(1 << 20, 1)).status(),
        client->Delete(other).Get().status(), client->Read(other).Get().status()}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("n2:1 holds the key '" + other + "', not n1:1"),
                      HasSubstr("\"remote_addrs\" of all its servers (n1:1, n2:1)")));
  }
  EXPECT_EQ(Value(*two, other), "kept");
  // What is the server's own is served, and so is what asks about the server itself.
  ASSERT_TRUE(Put(*client, own, "v").ok());
  EXPECT_EQ(Value(*two, own), "v");
  EXPECT_EQ(client->List({}).Get().value().size(), 1U);
  EXPECT_TRUE(client->Stat().Get().value()[0].status.ok());
  EXPECT_EQ(client->DeleteRange({}).Get().value(), 1U);
  EXPECT_EQ(Value(*two, other), "kept");
}

TEST(PoolTest, AClientWithoutATableAndAKeyThatNoRuleNames) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", {"n1:1", "n2:1"}, R"(, "key_routing": "explicit",
      "prefix_to_server_mapping": {"raw/": "n1:1"})"));
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  EXPECT_EQ(Value(*client, "elsewhere"), "NOT_FOUND");
  EXPECT_TRUE(Put(*client, "raw/1", "v").ok());
}

TEST(PoolTest, AServerUnderAnotherNameIsRefused) {
  Loopback loopback;
  // It says that it is n1, and has the right table.
  const auto wrong = loopback.Open(
      R"({"listen_addr": "n2:1", "advertise_addr": "n1:1", "remote_addrs": ["n2:1"]})");
  const auto client = loopback.Open(ClientSpec({"n1:1", "n2:1"}));
  const auto written = Put(*client, KeyOn(*client, "n2:1"), "v");
  EXPECT_EQ(written.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(written.status().message(), HasSubstr("this server is n1:1, not n2:1"));
}

// It is served all the same: what else runs may make room, and nothing is taken before values come.
TEST(PoolTest, ACapacityBeyondTheMachinesMemoryIsWarnedOf) {
  const std::uint64_t available = AvailableMemory().value();
  Loopback loopback;
  const auto log_of = [&](std::uint64_t capacity) {
    ::testing::internal::CaptureStderr();
    const auto pool = loopback.TryOpen(R"({"listen_addr": "n1:1", "capacity_bytes": )" +
                                       std::to_string(capacity) + "}");
    std::string log = ::testing::internal::GetCapturedStderr();
    // A kernel that overcommits nothing, or a limit of the shell, says so itself.
    EXPECT_TRUE(pool.ok() || pool.status().code() == StatusCode::kResourceExhausted);
    return pool.ok() ? log : "no memory";
  };
  EXPECT_THAT(log_of(1 << 20), AllOf(HasSubstr("serving"), Not(HasSubstr("the capacity is"))));
  const std::uint64_t too_much = (available + (std::uint64_t{64} << 30)) >> 12 << 12;
  EXPECT_THAT(log_of(too_much),
              AnyOf("no memory", AllOf(HasSubstr(std::to_string(too_much) + " bytes, but the"),
                                       HasSubstr("Lower capacity_bytes"))));
}

// What a peer may not ask, over a connection of its own.
TEST(PoolTest, PeersThatDoNotKeepTheOrder) {
  const auto network = std::make_shared<LoopbackNetwork>();
  const auto pool = Pool::Open(ParseSpec(NodeSpec("n1:1", {})).value(),
                               std::make_unique<LoopbackTransport>(network));
  ASSERT_TRUE(pool.ok());
  LoopbackTransport transport(network);
  const auto connection = transport.Connect({"n1", 1}, nullptr);
  const auto ask = [&](const std::string& header, Buffer payload = {}) {
    std::promise<Status> answered;
    Call call;
    call.header = header;
    call.payload = std::move(payload);
    call.done = [&](const Result<Answer>& answer) {
      // The status that every answer begins with.
      answered.set_value(answer.ok() ? DecodeAnswer<StatAnswer>(answer->header).status()
                                     : answer.status());
    };
    (void)connection->Start(std::move(call));
    return answered.get_future().get().code();
  };
  EXPECT_EQ(ask(Encode(StatRequest())), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ask("\x63garbage"), StatusCode::kCorruption);
  const std::string hello = Encode(HelloRequest{0, "n1:1"});
  EXPECT_EQ(ask(hello, Buffer::Take(std::string(17 << 20, 'x'))), StatusCode::kCorruption);
  // That was its hello.
  EXPECT_EQ(ask(hello), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ask(Encode(StatRequest())), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ask(Encode(ListRequest{1, 0}), Buffer::Copy("nonsense")),
            StatusCode::kFailedPrecondition);
}

TEST(PoolTest, ServersWithoutATableTakeAnyClient) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", {}));
  const auto two = loopback.Open(NodeSpec("n2:1", {}));
  const auto client = loopback.Open(ClientSpec({"n1:1", "n2:1"}));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Put(*client, std::to_string(i), "v").ok());
  EXPECT_EQ(client->List({}).Get().value().size(), 20U);
  EXPECT_GT(one->store()->figures()[0].second, 0U);
  EXPECT_GT(two->store()->figures()[0].second, 0U);
}

TEST(PoolTest, ListShowsWhatReadFinds) {
  Loopback loopback;
  const auto one = loopback.Open(NodeSpec("n1:1", {}));
  const auto two = loopback.Open(NodeSpec("n2:1", {}));
  const auto pool = loopback.Open(ClientSpec({"n1:1", "n2:1"}));
  const auto direct = loopback.Open(R"({"remote_addr": "n1:1"})");
  // On the server that the pool would not ask for it.
  ASSERT_TRUE(Put(*direct, KeyOn(*pool, "n2:1"), "v").ok());
  EXPECT_EQ(Value(*pool, KeyOn(*pool, "n2:1")), "(missing)");
  EXPECT_TRUE(pool->List({}).Get().value().empty());
  EXPECT_EQ(direct->List({}).Get().value().size(), 1U);
}

TEST(PoolTest, RoutingByPrefixWithAHole) {
  Loopback loopback;
  const std::string rules = R"(, "key_routing": "explicit",
      "prefix_to_server_mapping": {"raw/": "n1:1", "result/": "n2:1"})";
  const auto one = loopback.Open(NodeSpec("n1:1", {"n1:1", "n2:1"}, rules));
  const auto two = loopback.Open(NodeSpec("n2:1", {"n1:1", "n2:1"}, rules));
  ASSERT_TRUE(Put(*two, "raw/1", "r").ok());
  ASSERT_TRUE(Put(*one, "result/1", "s").ok());
  EXPECT_TRUE(one->RouteOf("raw/1")->local);
  EXPECT_EQ(one->RouteOf("result/1")->server, "n2:1");
  EXPECT_EQ(Value(*one, "elsewhere"), "NOT_FOUND");
  EXPECT_EQ(Put(*one, "elsewhere", "v").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(one->store()->figures()[0].second, 1U);
}

TEST(PoolTest, CapacityIsHardAndNothingStoredIsLost) {
  Loopback loopback;
  const auto server = loopback.Open(R"({"listen_addr": "n1:1", "capacity_bytes": "4MiB"})");
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  const std::string value = Bytes(1 << 20, 1);
  int stored = 0;
  Status status;
  while (status.ok() && stored < 10) {
    status = Put(*client, std::to_string(stored), value).status();
    if (status.ok()) ++stored;
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("raise capacity_bytes"));
  EXPECT_GE(stored, 2);
  for (int i = 0; i < stored; ++i) EXPECT_TRUE(Value(*client, std::to_string(i)) == value);
  ASSERT_TRUE(client->Delete("0").Get().ok());
  EXPECT_TRUE(Put(*client, "again", value).ok());
}

TEST(PoolTest, SpecsThatCannotBe) {
  Loopback loopback;
  const std::pair<const char*, const char*> bad[] = {
      {R"({"remote_addr": "n1:1", "replication_factor": 2})", "set it to 1"},
      {R"({"listen_addr": "n1:1", "capacity_bytes": 5})", "give 4096 or more"},
      {R"({"remote_addrs": ["n1:1", "n2:1"], "key_routing": "range", "range_to_server_mapping":
          [{"server": "n3:1"}]})",
       "add it to remote_addrs"}};
  for (const auto& [spec, advice] : bad) {
    const auto pool = loopback.TryOpen(spec);
    EXPECT_EQ(pool.status().code(), StatusCode::kInvalidArgument) << spec;
    EXPECT_THAT(pool.status().message(), HasSubstr(advice));
  }
  const auto first = loopback.Open(NodeSpec("n1:1", {}));
  EXPECT_EQ(loopback.TryOpen(NodeSpec("n1:1", {})).status().code(), StatusCode::kIoError);
}

TEST(PoolTest, AWildcardIsAdvertisedByTheHostsName) {
  Loopback loopback;
  const auto server = loopback.Open(R"({"listen_addr": "0.0.0.0:7", "remote_addrs": ["n2:1"]})");
  EXPECT_EQ(server->listen_address(), "0.0.0.0:7");
  for (const PeerStatus& peer : server->Peers()) {
    if (!peer.local) continue;
    EXPECT_THAT(peer.address, testing::EndsWith(":7"));
    EXPECT_THAT(peer.address, testing::Not(HasSubstr("0.0.0.0")));
  }
}

TEST(PoolTest, AServerKnowsItsOwnFigures) {
  Loopback loopback;
  const auto server = loopback.Open(NodeSpec("n1:1", {}));
  const auto client = loopback.Open(R"({"remote_addr": "n1:1"})");
  ASSERT_TRUE(Put(*client, "k", "v").ok());
  const auto own = server->LocalStat();
  ASSERT_TRUE(own.has_value());
  EXPECT_EQ(own->address, "n1:1");
  EXPECT_EQ(own->figures, client->Stat().Get().value()[0].figures);
  EXPECT_FALSE(client->LocalStat().has_value());
}

TEST(PoolTest, BuffersOutliveThePool) {
  Loopback loopback;
  auto server = loopback.Open(NodeSpec("n1:1", {}));
  const std::string value = Bytes(1 << 20, 1);
  ASSERT_TRUE(Put(*server, "k", value).ok());
  const Buffer kept = server->Read("k").Get().value().value;
  server.reset();
  EXPECT_TRUE(kept.view() == value);
}

}  // namespace
}  // namespace cairn::dram
