// The core of the client against fake nodes: finding the leader, retries under sessions, breakers.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/client/core.h"
#include "src/client/net/io_loop.h"
#include "src/client/transaction_state.h"

namespace cairn::client {
namespace {

using std::chrono::milliseconds;

std::string EndpointOf(std::size_t node) { return "127.0.0.1:" + std::to_string(9090 + node); }

// A cluster of nodes that share one state, as if replication took no time.
class FakeCluster {
 public:
  struct Behaviour {
    bool down = false;
    int lose_answers = 0;   // to so many writes: applied, but nobody hears of it
    int lose_openings = 0;  // the same for sessions, which are not opened either
    Status refusal;         // of writes, once answers were lost, before they get anywhere
    int calls = 0;
  };

  explicit FakeCluster(std::size_t nodes) : nodes_(nodes) {}

  NodeChannel::Outcome Serve(std::size_t node, const Request& request, const CallContext& context) {
    MutexLock lock(&mutex_);
    Behaviour& behaviour = nodes_[node];
    ++behaviour.calls;
    if (behaviour.down) return {UnavailableError(EndpointOf(node) + ": connection refused"), false};
    const auto* operation = std::get_if<kv::KvOperation>(&request);
    if (operation == nullptr) {
      NodeInfo info;
      info.is_leader = node == leader_;
      return {Answer(info), true};
    }
    if (std::holds_alternative<kv::GetReadVersion>(*operation)) {
      return {Answer(kv::VersionResult{Version(version_)}), true};
    }
    if (!IsWrite(request)) {
      kv::GetResult result;
      result.found = true;
      result.value = value_;
      return {Answer(result), true};
    }
    if (node != leader_) {
      return {NotLeaderError("not the leader").WithLeaderHint(EndpointOf(leader_)), true};
    }
    if (std::holds_alternative<kv::OpenSession>(*operation) && behaviour.lose_openings > 0) {
      --behaviour.lose_openings;
      return {UnavailableError("no majority").WithMaybeApplied(), true};
    }
    if (TakesSession(request) && behaviour.lose_answers == 0 && !behaviour.refusal.ok()) {
      return {behaviour.refusal, true};
    }
    NodeChannel::Outcome outcome = Write(*operation, context);
    if (TakesSession(request) && behaviour.lose_answers > 0) {
      --behaviour.lose_answers;
      return {UnavailableError("connection reset").WithMaybeApplied(), false};
    }
    return outcome;
  }

  void SetLeader(std::size_t node) {
    MutexLock lock(&mutex_);
    leader_ = node;
  }
  void SetDown(std::size_t node, bool down) {
    MutexLock lock(&mutex_);
    nodes_[node].down = down;
  }
  void LoseAnswers(std::size_t node, int count) {
    MutexLock lock(&mutex_);
    nodes_[node].lose_answers = count;
  }
  void Refuse(std::size_t node, Status refusal) {
    MutexLock lock(&mutex_);
    nodes_[node].refusal = std::move(refusal);
  }
  void LoseOpenings(std::size_t node, int count) {
    MutexLock lock(&mutex_);
    nodes_[node].lose_openings = count;
  }
  void ExpireSessions() {
    MutexLock lock(&mutex_);
    sessions_.clear();
  }
  void ExpireSessionsAfterNextSet() {
    MutexLock lock(&mutex_);
    expire_after_set_ = true;
  }
  int calls(std::size_t node) {
    MutexLock lock(&mutex_);
    return nodes_[node].calls;
  }
  int applied() {
    MutexLock lock(&mutex_);
    return applied_;
  }
  std::size_t open_sessions() {
    MutexLock lock(&mutex_);
    return sessions_.size();
  }

 private:
  NodeChannel::Outcome Write(const kv::KvOperation& operation, const CallContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::holds_alternative<kv::OpenSession>(operation)) {
      sessions_[SessionId(++version_)];
      return {Answer(kv::WriteResult{Version(version_), {}}), true};
    }
    if (const auto* close = std::get_if<kv::CloseSession>(&operation)) {
      sessions_.erase(close->session);
      return {Answer(kv::WriteResult{Version(++version_), {}}), true};
    }
    if (context.session != SessionId()) {
      const auto session = sessions_.find(context.session);
      if (session == sessions_.end()) return {SessionExpiredError("no such session"), true};
      const auto [answer, first] = session->second.try_emplace(context.sequence, version_ + 1);
      if (!first) return {Answer(kv::WriteResult{Version(answer->second), {}}), true};
    }
    if (const auto* set = std::get_if<kv::Set>(&operation)) value_ = set->value;
    ++applied_;
    ++version_;
    if (std::exchange(expire_after_set_, false)) sessions_.clear();
    return {Answer(kv::WriteResult{Version(version_), {}}), true};
  }

  Mutex mutex_;
  std::vector<Behaviour> nodes_ ABSL_GUARDED_BY(mutex_);
  std::size_t leader_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  int applied_ ABSL_GUARDED_BY(mutex_) = 0;
  bool expire_after_set_ ABSL_GUARDED_BY(mutex_) = false;
  std::string value_ ABSL_GUARDED_BY(mutex_);
  std::map<SessionId, std::map<std::uint64_t, std::uint64_t>> sessions_ ABSL_GUARDED_BY(mutex_);
};

class FakeChannel final : public NodeChannel {
 public:
  FakeChannel(FakeCluster* cluster, std::size_t node, std::shared_ptr<IoLoop> loop)
      : cluster_(cluster), node_(node), loop_(std::move(loop)) {}
  std::shared_ptr<Call> Start(std::shared_ptr<const Request> request, const CallContext& context,
                              Done done) override {
    loop_->Post([this, request = std::move(request), context, done = std::move(done)]() mutable {
      done(cluster_->Serve(node_, *request, context));
    });
    return nullptr;
  }
  void Close() override {}

 private:
  FakeCluster* const cluster_;
  const std::size_t node_;
  const std::shared_ptr<IoLoop> loop_;
};

class FailoverTest : public ::testing::Test {
 protected:
  void Make(CoreOptions options, std::size_t nodes = 3) {
    options.follow_leader = true;
    if (options.client.timeout == ClientOptions().timeout) {
      options.client.timeout = milliseconds(5'000);
    }
    options.client.retry.initial_backoff = milliseconds(1);
    options.client.retry.max_backoff = milliseconds(4);
    if (!options.nodes.breaker) options.nodes.breaker = CircuitBreakerOptions();
    // One of before ends as clients do: its last task must not be what destroys the loop.
    if (core_) core_->Close();
    const auto loop = std::make_shared<IoLoop>();
    options.stop = [loop] { loop->Stop(); };
    std::vector<std::string> endpoints;
    for (std::size_t i = 0; i < nodes; ++i) endpoints.push_back(EndpointOf(i));
    const auto factory = [this, loop](const std::string& endpoint) {
      const std::size_t node = std::stoul(endpoint.substr(endpoint.find(':') + 1)) - 9090;
      return std::make_shared<FakeChannel>(&cluster_, node, loop);
    };
    core_ = ClientCore::Create(std::move(options), endpoints, factory, loop);
  }
  ~FailoverTest() override {
    if (core_) core_->Close();
  }
  Result<Answer> Set(const std::string& value) {
    RunOptions run;
    run.deadline = core_->DeadlineIn({});
    return core_->Execute(kv::KvOperation(kv::Set{"k", value, {}}), run);
  }
  Result<Answer> Get() {
    RunOptions run;
    run.deadline = core_->DeadlineIn({});
    return core_->Execute(kv::KvOperation(kv::Get{"k", {}}), run);
  }

  FakeCluster cluster_{4};
  std::shared_ptr<ClientCore> core_;
};

CoreOptions Strategy(ReadStrategy strategy) {
  CoreOptions options;
  options.nodes.strategy = strategy;
  return options;
}

TEST_F(FailoverTest, WritesFollowTheLeader) {
  Make(Strategy(ReadStrategy::kRoundRobin));
  cluster_.SetLeader(2);
  ASSERT_TRUE(Set("1").ok());
  const int asked = cluster_.calls(0) + cluster_.calls(1);
  ASSERT_TRUE(Set("2").ok());
  EXPECT_EQ(cluster_.calls(0) + cluster_.calls(1), asked) << "the leader was known";
  cluster_.SetLeader(1);
  ASSERT_TRUE(Set("3").ok());
  cluster_.SetLeader(3);  // of which the client was not told
  ASSERT_TRUE(Set("4").ok());
  EXPECT_EQ(core_->nodes().size(), 4U);
  const auto leader = core_->DiscoverLeader();
  ASSERT_TRUE(leader.ok()) << leader.status().ToString();
  EXPECT_EQ(*leader, EndpointOf(3));
}

TEST_F(FailoverTest, AWriteWhoseAnswersAreLostIsAppliedOnce) {
  Make({});
  cluster_.LoseAnswers(0, 3);
  const auto answer = Set("1");
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(cluster_.applied(), 1);
}

// A node with other limits, say, which does not get as far as to look at the session.
TEST_F(FailoverTest, ARefusedTrySaysNothingOfAnEarlierOne) {
  for (const Status& refusal : {InvalidArgumentError("too long"), UnimplementedError("no such")}) {
    Make({});
    cluster_.Refuse(0, Status());
    const int before = cluster_.applied();
    cluster_.LoseAnswers(0, 1);
    cluster_.Refuse(0, refusal);
    const auto answer = Set("1");
    EXPECT_EQ(answer.status().code(), refusal.code());
    EXPECT_TRUE(answer.status().maybe_applied());
    EXPECT_EQ(cluster_.applied(), before + 1);
    // Where no try was lost it is certain.
    const auto certain = Set("2");
    EXPECT_EQ(certain.status().code(), refusal.code());
    EXPECT_FALSE(certain.status().maybe_applied());
  }
}

TEST_F(FailoverTest, WithoutASessionItIsNotSentAgain) {
  CoreOptions options;
  options.client.sessions = false;
  Make(options);
  cluster_.LoseAnswers(0, 1);
  const auto answer = Set("1");
  EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(answer.status().maybe_applied());
  EXPECT_EQ(cluster_.applied(), 1);
}

// A second drop would take a family along that somebody else has made in between.
TEST_F(FailoverTest, AColumnFamilyIsMadeAndDroppedOnce) {
  Make({});
  const std::vector<kv::KvOperation> writes = {kv::CreateColumnFamily{"f"},
                                               kv::DropColumnFamily{"f"}};
  for (const kv::KvOperation& write : writes) {
    const int before = cluster_.applied();
    cluster_.LoseAnswers(0, 2);
    RunOptions run;
    run.deadline = core_->DeadlineIn({});
    const auto answer = core_->Execute(write, run);
    EXPECT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(cluster_.applied(), before + 1) << kv::operation_name(write);
  }
}

TEST_F(FailoverTest, WithoutASessionAColumnFamilyIsNotDroppedAgain) {
  CoreOptions options;
  options.client.sessions = false;
  Make(options);
  cluster_.LoseAnswers(0, 1);
  RunOptions run;
  run.deadline = core_->DeadlineIn({});
  const auto answer = core_->Execute(kv::KvOperation(kv::DropColumnFamily{"f"}), run);
  EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(answer.status().maybe_applied());
  EXPECT_EQ(cluster_.applied(), 1);
}

TEST_F(FailoverTest, ANewSessionOnlyForWhatWasNotApplied) {
  Make({});
  ASSERT_TRUE(Set("1").ok());
  cluster_.ExpireSessions();
  ASSERT_TRUE(Set("2").ok());
  EXPECT_EQ(cluster_.applied(), 2);
  // Applied, its answer lost, its session gone: nobody can tell any more.
  cluster_.ExpireSessionsAfterNextSet();
  cluster_.LoseAnswers(0, 1);
  const auto answer = Set("3");
  EXPECT_EQ(answer.status().code(), StatusCode::kSessionExpired);
  EXPECT_TRUE(answer.status().maybe_applied());
  EXPECT_EQ(cluster_.applied(), 3);
  core_->Close();
  EXPECT_EQ(cluster_.open_sessions(), 0U);
}

// 40 tries take 70 ms at least, as most waits between them are 2 ms and more.
TEST_F(FailoverTest, AWriteWaitsForItsSessionAsLongAsItMay) {
  CoreOptions options;
  options.client.timeout = milliseconds(20);
  Make(options);
  cluster_.LoseOpenings(0, 40);
  // One that has no more time than the client gives asks for the session first.
  std::promise<Result<Answer>> brief;
  RunOptions run;
  run.deadline = core_->DeadlineIn({});
  (void)core_->ExecuteAsync(kv::KvOperation(kv::Set{"k", "1", {}}), run,
                            [&](Result<Answer> answer) { brief.set_value(std::move(answer)); });
  run.deadline = core_->DeadlineIn(std::chrono::seconds(20));
  const auto patient = core_->Execute(kv::KvOperation(kv::Set{"k", "2", {}}), run);
  EXPECT_TRUE(patient.ok()) << patient.status().ToString();
  EXPECT_FALSE(brief.get_future().get().ok());
}

TEST_F(FailoverTest, AWriteThatGotNoSessionIsCertainlyNotApplied) {
  CoreOptions options;
  options.client.retry.max_attempts = 1;
  Make(options);
  cluster_.LoseOpenings(0, 1);
  const auto answer = Set("1");
  EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(answer.status().maybe_applied()) << answer.status().ToString();
  EXPECT_EQ(cluster_.applied(), 0);
}

TEST_F(FailoverTest, ReadsGoAroundANodeThatIsDown) {
  Make(Strategy(ReadStrategy::kRoundRobin));
  cluster_.SetDown(1, true);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(Get().ok());
  EXPECT_GT(cluster_.calls(0), 20);
  EXPECT_GT(cluster_.calls(2), 10);
  EXPECT_LT(cluster_.calls(1), 10) << "its breaker is open";
  EXPECT_EQ(core_->nodes().States()[1].breaker, EndpointState::Breaker::kOpen);
}

TEST_F(FailoverTest, StickyReadsStay) {
  CoreOptions options = Strategy(ReadStrategy::kSticky);
  options.nodes.sticky_node = 2;
  Make(options);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Get().ok());
  EXPECT_EQ(cluster_.calls(2), 10);
  cluster_.SetDown(2, true);
  ASSERT_TRUE(Get().ok());
}

TEST_F(FailoverTest, AllDownIsUnavailable) {
  CoreOptions options;
  options.client.retry.max_attempts = 4;
  Make(options);
  for (std::size_t node = 0; node < 3; ++node) cluster_.SetDown(node, true);
  EXPECT_EQ(Get().status().code(), StatusCode::kUnavailable);
}

TEST_F(FailoverTest, ThreadsWriteUnderOneClient) {
  Make({});
  // The breaker of the one leader opens, and must not lock everybody out.
  cluster_.LoseAnswers(0, 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) EXPECT_EQ(Set("v").status().ToString(), "OK");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cluster_.applied(), 200);
}

TEST(CircuitBreakerTest, OpensProbesAndCloses) {
  CircuitBreakerOptions options;
  CircuitBreaker breaker(options);
  MonotonicTime now{1};
  for (std::uint32_t i = 0; i < options.failures_to_open; ++i) {
    ASSERT_TRUE(breaker.Allows(now));
    breaker.OnFailure(now);
  }
  EXPECT_FALSE(breaker.Allows(now));
  now = breaker.open_until();
  ASSERT_TRUE(breaker.Allows(now));
  breaker.Take(now);
  EXPECT_FALSE(breaker.Allows(now)) << "one probe at a time";
  breaker.OnFailure(now);
  EXPECT_EQ(breaker.open_until() - now, Duration(options.open_for) * 2);
  now = breaker.open_until();
  breaker.Take(now);
  breaker.OnSuccess();
  EXPECT_TRUE(breaker.Allows(now));
}

// While no node answers, a call is sent again and again.
TEST_F(FailoverTest, ATransactionIsCancelledFromAnotherThread) {
  Make(Strategy(ReadStrategy::kRoundRobin));
  for (std::size_t node = 0; node < 3; ++node) cluster_.SetDown(node, true);
  using Wait = std::function<Status(TransactionState&)>;
  const std::vector<Wait> waits = {
      [](TransactionState& tx) { return tx.Get("k", {}, false).status(); },
      [](TransactionState& tx) { return tx.GetAsync("k", {}, false).Get().status(); },
      [](TransactionState& tx) { return tx.GetRange({}, {}, true).status(); },
      [](TransactionState& tx) { return tx.GetRangeAsync({}, {}, false).Get().status(); },
      [](TransactionState& tx) { return tx.GetKey({}, {}, false).status(); },
      [](TransactionState& tx) { return tx.ReadVersion().status(); },
      [](TransactionState& tx) { return tx.Commit().status(); },
      [](TransactionState& tx) { return tx.CommitAsync().Get().status(); }};
  for (const Wait& wait : waits) {
    for (int round = 0; round < 4; ++round) {
      const auto tx = std::make_shared<TransactionState>(core_, TransactionOptions());
      tx->Write({kv::MutationType::kSet, "w", "v", ""});
      const int calls = cluster_.calls(0);
      Status ended[2];
      std::thread first([&] { ended[0] = wait(*tx); });
      // Two wait for one read version.
      std::thread second([&] { ended[1] = tx->Get("other", {}, true).status(); });
      // At whatever point of their way, and surely when they are on it.
      while (round % 2 == 1 && cluster_.calls(0) == calls) std::this_thread::yield();
      tx->Cancel();
      first.join();
      second.join();
      for (const Status& status : ended) {
        // A commit may have ended the transaction before the other began to read.
        EXPECT_TRUE(status.code() == StatusCode::kCancelled ||
                    status.code() == StatusCode::kFailedPrecondition)
            << status.ToString();
      }
      EXPECT_EQ(ended[0].code(), StatusCode::kCancelled) << ended[0].ToString();
      EXPECT_EQ(tx->Get("k", {}, false).status().code(), StatusCode::kCancelled);
      EXPECT_EQ(tx->OnErrorAsync(ended[0]).Get().status().code(), StatusCode::kCancelled);
    }
  }
}

// All wait for the read version first, which no node gives.
TEST_F(FailoverTest, AFutureOfATransactionCancelsWhatWaitsForItsVersion) {
  Make(Strategy(ReadStrategy::kRoundRobin));
  for (std::size_t node = 0; node < 3; ++node) cluster_.SetDown(node, true);
  const auto tx = std::make_shared<TransactionState>(core_, TransactionOptions());
  tx->Write({kv::MutationType::kSet, "w", "v", ""});
  tx->AddConflictKey("k", {});
  const auto cancelled = [](auto future) {
    future.Cancel();
    return future.Get().status();
  };
  const std::vector<Status> ended = {
      cancelled(tx->GetAsync("k", {}, false)), cancelled(tx->GetRangeAsync({}, {}, false)),
      cancelled(tx->GetKeyAsync({}, {}, false)), cancelled(tx->CommitAsync())};
  for (const Status& status : ended) {
    EXPECT_EQ(status.code(), StatusCode::kCancelled) << status.ToString();
    EXPECT_FALSE(status.maybe_applied());
  }
  // The version, once it comes, starts none of them, and the transaction goes on.
  for (std::size_t node = 0; node < 3; ++node) cluster_.SetDown(node, false);
  EXPECT_TRUE(tx->ReadVersion().ok());
  EXPECT_EQ(cluster_.applied(), 0);
  EXPECT_EQ(tx->pending_writes(), 1U);
  EXPECT_TRUE(tx->Commit().ok());
  EXPECT_EQ(cluster_.applied(), 1);
}

TEST_F(FailoverTest, AResetRevivesACancelledTransaction) {
  Make(Strategy(ReadStrategy::kRoundRobin));
  const auto tx = std::make_shared<TransactionState>(core_, TransactionOptions());
  tx->Cancel();
  tx->Cancel();
  EXPECT_EQ(tx->Commit().status().code(), StatusCode::kCancelled);
  tx->Reset();
  EXPECT_EQ(*tx->Commit(), 0U);  // nothing was written
}

}  // namespace
}  // namespace cairn::client
