#include "src/replication/routing_manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/replication/replica_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;

using RoutingTest = ReplicaTest;

TEST_F(RoutingTest, RequestsAreValidatedBeforeAnything) {
  routing_.limits.value_bytes = 10;
  Start();
  EXPECT_EQ(process_->Execute(kv::Set{"k", std::string(11, 'v'), ""}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(process_->Execute(kv::Get{"", ""}).status().code(), StatusCode::kInvalidArgument);
  RequestContext session;
  session.session = SessionId(1);
  EXPECT_EQ(process_->Execute(kv::Set{"k", "v", ""}, session).status().code(),
            StatusCode::kInvalidArgument);
  session.sequence = 5000;
  session.first_outstanding = 1;
  const Status far = process_->Execute(kv::Set{"k", "v", ""}, session).status();
  EXPECT_NE(far.message().find("session_window"), std::string::npos) << far.message();
}

// Reads are slow at times (a long scan, a cold disk): the threads that write must not serve them.
TEST_F(RoutingTest, AReadThatWaitedIsServedWhereItsCallerWants) {
  Start();
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "v", ""}).ok());
  ThreadExecutor reads("reads", &process_->clock());
  RequestContext barrier;
  barrier.read_level = ReadLevel::kLeader;
  RequestContext version;
  version.min_version = Version(4);  // The next but one: each turn writes one.
  for (RequestContext* context : {&barrier, &version}) {
    context->read_on = &reads;
    std::promise<bool> on_thread;
    process_->routing()->Execute(
        *context, kv::Get{"k", ""},
        [&](const Result<kv::OperationResult>&) { on_thread.set_value(reads.OnThread()); });
    ASSERT_TRUE(process_->Execute(kv::Set{"k", "w", ""}).ok());
    EXPECT_TRUE(on_thread.get_future().get());
  }
}

// The thread that waits for its write applies it: waking another one for that would take longer.
TEST_F(RoutingTest, AWaitingCallerAppliesItsWrite) {
  Start();
  ThreadExecutor waiting("waiting", &process_->clock());
  RequestContext context;
  context.write_on = &waiting;
  // The apply executor may be busy with what it did before; then it goes on by itself.
  bool lent = false;
  for (int i = 0; i < 1000 && !lent; ++i) {
    std::promise<bool> on_thread;
    process_->routing()->Execute(context, kv::Set{"k", std::to_string(i), ""},
                                 [&](const Result<kv::OperationResult>& result) {
                                   EXPECT_TRUE(result.ok());
                                   on_thread.set_value(waiting.OnThread());
                                 });
    lent = on_thread.get_future().get();
  }
  EXPECT_TRUE(lent);
}

TEST_F(RoutingTest, AReadWhoseDeadlinePassedIsNotServed) {
  Start();
  RequestContext context;
  context.deadline = process_->clock().Now();
  EXPECT_EQ(process_->Execute(kv::Get{"k", ""}, context).status().code(), StatusCode::kTimeout);
}

TEST_F(RoutingTest, AMinimumVersionIsWaitedFor) {
  Start();
  RequestContext context;
  context.min_version = Version(2);
  std::promise<Result<kv::OperationResult>> answer;
  process_->routing()->Execute(context, kv::Get{"k", ""}, [&](Result<kv::OperationResult> r) {
    answer.set_value(std::move(r));
  });
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "v", ""}).ok());
  const auto got = answer.get_future().get();
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(std::get<kv::GetResult>(*got).value, "v");
  context.min_version = Version(99);
  context.deadline = process_->clock().Now() + milliseconds(30);
  EXPECT_EQ(process_->Execute(kv::Get{"k", ""}, context).status().code(), StatusCode::kStale);
}

TEST_F(RoutingTest, ASnapshotVersionThatWasNeverGivenOutIsRefusedByTheLeader) {
  Start();
  EXPECT_EQ(process_->Execute(kv::SnapshotRead{"k", Version(99), ""}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(RoutingTest, ReadsBeyondTheBoundAreQueuedAndAllServed) {
  routing_.max_read_concurrency = 1;
  Start();
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "v", ""}).ok());
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) served += process_->Get("k") == "v";
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, 16'000);
}

TEST_F(RoutingTest, InjectedFaultsFailTheOperationTheyName) {
  FaultInjector faults(true, 1);
  Start(&faults);
  ASSERT_TRUE(faults.Configure({"DISK_ON_FIRE", 1.0, milliseconds(0), "setKey"}).ok());
  const Status failed = process_->Execute(kv::Set{"k", "v", ""}).status();
  EXPECT_EQ(failed.code(), StatusCode::kInjectedFault);
  EXPECT_EQ(failed.fault_name(), "DISK_ON_FIRE");
  EXPECT_EQ(process_->Get("k"), "-");
  ASSERT_TRUE(faults.Configure({"DISK_ON_FIRE", 0, milliseconds(0), "setKey"}).ok());
  EXPECT_TRUE(process_->Execute(kv::Set{"k", "v", ""}).ok());
  // A delay comes before the failure.
  ASSERT_TRUE(faults.Configure({"SLOW", 1.0, milliseconds(50), ""}).ok());
  const MonotonicTime before = process_->clock().Now();
  EXPECT_EQ(process_->Execute(kv::Get{"k", ""}).status().fault_name(), "SLOW");
  EXPECT_GE(process_->clock().Now() - before, milliseconds(50));
}

TEST(FaultInjectorTest, IsOffUnlessAllowedAndChecksItsRules) {
  FaultInjector off(false, 1);
  EXPECT_EQ(off.Configure({"X", 1.0, {}, ""}).code(), StatusCode::kPermissionDenied);
  EXPECT_FALSE(off.Check("get"));
  FaultInjector on(true, 1);
  EXPECT_EQ(on.Configure({"X", 1.5, {}, ""}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(on.Configure({"X", -0.1, {}, ""}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(on.Configure({"X", 0.5, Duration(-1), ""}).code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(on.Configure({"X", 0.25, {}, "get"}).ok());
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) {
    hits += on.Check("get").has_value();
    EXPECT_FALSE(on.Check("set"));
  }
  EXPECT_NEAR(hits, 2500, 200);
}

TEST(FaultInjectorTest, ClearingWithoutATargetClearsEveryTargetAndWithoutATypeEveryType) {
  FaultInjector faults(true, 1);
  ASSERT_TRUE(faults.Configure({"X", 1.0, {}, "get"}).ok());
  ASSERT_TRUE(faults.Configure({"X", 1.0, {}, "commit"}).ok());
  ASSERT_TRUE(faults.Configure({"Y", 1.0, {}, "set"}).ok());
  ASSERT_TRUE(faults.Configure({"X", 0, {}, "get"}).ok());
  EXPECT_FALSE(faults.Check("get"));
  EXPECT_TRUE(faults.Check("atomic_commit"));
  ASSERT_TRUE(faults.Configure({"X", 0, {}, ""}).ok());
  EXPECT_FALSE(faults.Check("atomic_commit"));
  EXPECT_TRUE(faults.Check("set"));
  ASSERT_TRUE(faults.Configure({"", 0, {}, ""}).ok());
  EXPECT_FALSE(faults.Check("set"));
}

TEST(FaultInjectorTest, ATargetThatIsNoOperationIsNamed) {
  FaultInjector faults(true, 1);
  const Status refused = faults.Configure({"X", 1.0, {}, "setkey"});
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("'setkey'"), std::string::npos) << refused.message();
}

}  // namespace
}  // namespace cairn::replication
