// The replica on real threads, over the real journal on a disk that can fill up, fail and crash.
#include "src/replication/replica.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/consensus/solo/solo_core.h"
#include "src/replication/routing_manager.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One process: everything between a disk and a RoutingManager.
class Process {
 public:
  Process(FaultFileSystem* disk, storage::MemoryEngine* engine, const ReplicaOptions& options,
          const RoutingOptions& routing_options, FaultInjector* faults = nullptr)
      : core_("core", &clock_),
        journal_thread_("journal", &clock_),
        apply_("apply", &clock_),
        upkeep_("upkeep", &clock_) {
    consensus::JournalOptions journal;
    journal.directory = "/journal";
    journal.segment_bytes = 256 << 10;
    auto opened = consensus::Journal::Open(journal, disk, &random_);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    journal_ = *std::move(opened);
    auto executor = StateMachineExecutor::Open(engine);
    EXPECT_TRUE(executor.ok()) << executor.status().ToString();
    executor_ = *std::move(executor);
    ReplicaEnvironment environment;
    environment.clock = &clock_;
    environment.core = &core_;
    environment.journal = &journal_thread_;
    environment.apply = &apply_;
    environment.upkeep = &upkeep_;
    environment.fatal = [this](const Status& why) { fatal_.set_value(why); };
    replica_ =
        Replica::Create(options, environment, std::make_unique<consensus::SoloCore>(NodeId(0)),
                        journal_.get(), executor_.get(), engine);
    routing_ = std::make_unique<RoutingManager>(routing_options, executor_.get(), replica_.get(),
                                                &clock_, faults);
  }

  ~Process() {
    replica_->Stop();
    core_.Stop();
    journal_thread_.Stop();
    apply_.Stop();
    upkeep_.Stop();
  }

  Status StartAndRecover() {
    std::promise<Status> recovered;
    CAIRN_RETURN_IF_ERROR(
        replica_->Start([&](const Status& status) { recovered.set_value(status); }));
    return recovered.get_future().get();
  }

  Result<kv::OperationResult> Execute(kv::KvOperation operation, RequestContext context = {}) {
    return ExecuteAndWait(routing_.get(), context, std::move(operation));
  }

  std::string Get(const std::string& key) {
    const auto result = Execute(kv::Get{key, ""});
    if (!result.ok()) return result.status().ToString();
    const auto& get = std::get<kv::GetResult>(*result);
    return get.found ? get.value : "-";
  }

  Replica* replica() { return replica_.get(); }
  RoutingManager* routing() { return routing_.get(); }
  const Clock& clock() { return clock_; }
  std::future<Status> fatal() { return fatal_.get_future(); }

 private:
  SystemClock clock_;
  SeededRandom random_{1};
  std::promise<Status> fatal_;
  ThreadExecutor core_;
  ThreadExecutor journal_thread_;
  ThreadExecutor apply_;
  ThreadExecutor upkeep_;
  std::unique_ptr<consensus::Journal> journal_;
  std::unique_ptr<StateMachineExecutor> executor_;
  std::shared_ptr<Replica> replica_;
  std::unique_ptr<RoutingManager> routing_;
};

class ReplicaTest : public testing::Test {
 protected:
  void Start(FaultInjector* faults = nullptr) {
    process_ = std::make_unique<Process>(&disk_, &engine_, options_, routing_, faults);
    const Status s = process_->StartAndRecover();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  void Crash() {
    process_.reset();
    disk_.Crash(CrashMode::kDropUnsynced, nullptr);
    engine_.Crash();
  }

  ReplicaOptions options_;
  RoutingOptions routing_;
  FaultFileSystem disk_;
  storage::MemoryEngine engine_;
  std::unique_ptr<Process> process_;
};

TEST_F(ReplicaTest, AcknowledgedWritesSurviveACrashByReplay) {
  Start();
  for (int i = 0; i < 100; ++i) {
    const std::string n = std::to_string(i);
    ASSERT_TRUE(process_->Execute(kv::Set{"k" + n, n, ""}).ok());
  }
  Crash();
  Start();
  for (int i = 0; i < 100; ++i) {
    const std::string n = std::to_string(i);
    EXPECT_EQ(process_->Get("k" + n), n);
  }
  const auto version = process_->Execute(kv::GetReadVersion{});
  EXPECT_EQ(std::get<kv::VersionResult>(*version).version, Version(101));
}

TEST_F(ReplicaTest, ConcurrentWritersShareSyncs) {
  Start();
  constexpr int kThreads = 16;
  constexpr int kWrites = 200;
  const std::uint64_t before = disk_.Count(FileOperation::kSync);
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        if (!process_->Execute(kv::Set{key, "v", ""}).ok()) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  const ReplicaStatus status = process_->replica()->status();
  EXPECT_EQ(status.commands, kThreads * kWrites);
  const std::uint64_t syncs = disk_.Count(FileOperation::kSync) - before;
  EXPECT_LT(syncs, kThreads * kWrites / 2);
  EXPECT_GE(syncs, status.commands / options_.max_batch_size);
}

TEST_F(ReplicaTest, ReadsAtEveryLevelSeeWhatWasAcknowledged) {
  Start();
  for (int i = 0; i < 50; ++i) {
    const std::string value = std::to_string(i);
    ASSERT_TRUE(process_->Execute(kv::Set{"k", value, ""}).ok());
    for (const ReadLevel level : {ReadLevel::kLocal, ReadLevel::kLeader, ReadLevel::kReadIndex}) {
      RequestContext context;
      context.read_level = level;
      const auto result = process_->Execute(kv::Get{"k", ""}, context);
      ASSERT_TRUE(result.ok());
      EXPECT_EQ(std::get<kv::GetResult>(*result).value, value);
    }
  }
}

TEST_F(ReplicaTest, TheJournalIsCutBehindFlushes) {
  options_.max_journal_bytes = 300 << 10;
  options_.limits.entry_bytes = options_.limits.transaction_bytes = 64 << 10;
  Start();
  const std::string value(4 << 10, 'v');
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(process_->Execute(kv::Set{"k" + std::to_string(i % 7), value, ""}).ok());
  }
  // Two megabytes went through; what is kept is the bound, a few segments and what came meanwhile.
  EXPECT_LT(disk_.UsedBytes(), 1'500'000u);
  EXPECT_GT(engine_.FlushedMeta()->applied_slot, Slot(0));
  Crash();
  Start();
  EXPECT_EQ(process_->Get("k3"), value);
}

TEST_F(ReplicaTest, AFullDiskRefusesWritesKeepsReadingAndResumes) {
  Start();
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "before", ""}).ok());
  disk_.SetCapacity(disk_.UsedBytes());
  // What fits into the allocated segments is still taken; then writes are refused.
  RequestContext context;
  Result<kv::OperationResult> last = UnavailableError("none yet");
  const std::string value(32 << 10, 'v');
  std::vector<std::string> acknowledged;
  for (int i = 0; i < 200; ++i) {
    context.deadline = process_->clock().Now() + seconds(5);
    last = process_->Execute(kv::Set{"f" + std::to_string(i), value, ""}, context);
    if (!last.ok()) break;
    acknowledged.push_back("f" + std::to_string(i));
  }
  ASSERT_EQ(last.status().code(), StatusCode::kResourceExhausted) << last.status().ToString();
  EXPECT_FALSE(last.status().maybe_applied());
  EXPECT_EQ(process_->Get("k"), "before");
  EXPECT_FALSE(process_->replica()->status().health.ok());
  disk_.SetCapacity(std::nullopt);
  // Writes are taken again without a restart.
  Result<kv::OperationResult> again = UnavailableError("none yet");
  const MonotonicTime limit = process_->clock().Now() + seconds(20);
  while (process_->clock().Now() < limit) {
    again = process_->Execute(kv::Set{"k", "after", ""});
    if (again.ok()) break;
    std::this_thread::yield();
  }
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  Crash();
  Start();
  EXPECT_EQ(process_->Get("k"), "after");
  for (const std::string& key : acknowledged) EXPECT_EQ(process_->Get(key), value);
}

TEST_F(ReplicaTest, AnEntryThatFoundNoRoomIsWrittenLaterAndWritesGoOn) {
  options_.disk_retry = milliseconds(1);
  Start();
  // Room had been made, as far as anyone knew: a batch may also be larger than what is reserved.
  disk_.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room after all"));
  EXPECT_TRUE(process_->Execute(kv::Set{"k", "1", ""}).ok());
  EXPECT_TRUE(process_->Execute(kv::Set{"k", "2", ""}).ok());
  EXPECT_TRUE(process_->replica()->status().health.ok());
  Crash();
  Start();
  EXPECT_EQ(process_->Get("k"), "2");
}

TEST_F(ReplicaTest, AFullEngineHoldsWritesAndGoesOn) {
  options_.disk_retry = milliseconds(1);
  Start();
  engine_.SetCapacity(0);
  RequestContext context;
  context.deadline = process_->clock().Now() + milliseconds(200);
  const auto held = process_->Execute(kv::Set{"k", "v", ""}, context);
  EXPECT_EQ(held.status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(held.status().maybe_applied());
  EXPECT_EQ(process_->Execute(kv::Set{"k2", "v", ""}).status().code(),
            StatusCode::kResourceExhausted);
  engine_.SetCapacity(std::nullopt);
  // The held write was in the log: it is applied in the end.
  RequestContext wait;
  wait.min_version = Version(2);
  EXPECT_TRUE(process_->Execute(kv::Get{"k", ""}, wait).ok());
  EXPECT_EQ(process_->Get("k"), "v");
}

TEST_F(ReplicaTest, AFailedSyncEndsTheNode) {
  Start();
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "1", ""}).ok());
  std::future<Status> fatal = process_->fatal();
  disk_.FailNth(FileOperation::kSync, 1, IoError("no"));
  const auto lost = process_->Execute(kv::Set{"k", "2", ""});
  EXPECT_EQ(lost.status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(lost.status().maybe_applied());
  EXPECT_EQ(fatal.get().code(), StatusCode::kIoError);
  EXPECT_EQ(process_->Execute(kv::Set{"k", "3", ""}).status().code(), StatusCode::kUnavailable);
  Crash();
  Start();
  EXPECT_EQ(process_->Get("k"), "1");
}

TEST_F(ReplicaTest, TooManyProposalsAreRefused) {
  options_.max_outstanding_proposals = 2;
  options_.disk_retry = milliseconds(1);
  Start();
  engine_.SetCapacity(0);  // Holds whatever is proposed.
  std::vector<std::future<Status>> answers;
  for (int i = 0; i < 3; ++i) {
    auto answer = std::make_shared<std::promise<Status>>();
    answers.push_back(answer->get_future());
    kv::Command command;
    command.operation = kv::Set{"k", "v", ""};
    process_->replica()->Propose(
        std::move(command), process_->clock().Now() + seconds(20),
        [answer](const Result<kv::WriteResult>& result) { answer->set_value(result.status()); });
  }
  EXPECT_EQ(answers[2].get().code(), StatusCode::kResourceExhausted);
  engine_.SetCapacity(std::nullopt);
  EXPECT_TRUE(answers[0].get().ok());
  EXPECT_TRUE(answers[1].get().ok());
}

TEST_F(ReplicaTest, ClientsThatGiveUpDoNotMakeRoomForMore) {
  options_.max_outstanding_proposals = 5;
  Start();
  // The apply thread hangs, as in a database that stalls its writers.
  std::promise<void> hangs;
  std::promise<void> release;
  kv::Command command;
  command.operation = kv::Set{"k", "v", ""};
  process_->replica()->Propose(std::move(command), process_->clock().Now() + seconds(20),
                               [&](const Result<kv::WriteResult>&) {
                                 hangs.set_value();
                                 release.get_future().wait();
                               });
  hangs.get_future().wait();
  int given_up = 0;
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    RequestContext context;
    context.deadline = process_->clock().Now() + milliseconds(1);
    const Status s = process_->Execute(kv::Set{"k", "v", ""}, context).status();
    given_up += s.code() == StatusCode::kTimeout;
    refused += s.code() == StatusCode::kResourceExhausted;
  }
  EXPECT_EQ(given_up, 5);
  EXPECT_EQ(refused, 3);
  release.set_value();
  // Their places come back.
  RequestContext after;
  after.read_level = ReadLevel::kLeader;
  EXPECT_TRUE(process_->Execute(kv::Get{"k", ""}, after).ok());
  EXPECT_TRUE(process_->Execute(kv::Set{"k", "w", ""}).ok());
}

TEST_F(ReplicaTest, StoppingAnswersEveryone) {
  options_.disk_retry = milliseconds(1);
  Start();
  engine_.SetCapacity(0);
  std::promise<Status> write;
  kv::Command command;
  command.operation = kv::Set{"k", "v", ""};
  process_->replica()->Propose(
      std::move(command), process_->clock().Now() + seconds(60),
      [&](const Result<kv::WriteResult>& result) { write.set_value(result.status()); });
  std::promise<Status> version;
  process_->replica()->WaitForVersion(Version(99), process_->clock().Now() + seconds(60),
                                      [&](const Status& status) { version.set_value(status); });
  process_->replica()->Stop();
  EXPECT_EQ(write.get_future().get().code(), StatusCode::kUnavailable);
  EXPECT_EQ(version.get_future().get().code(), StatusCode::kUnavailable);
}

TEST_F(ReplicaTest, AStateThatTheJournalCantContinueIsRefused) {
  Start();
  ASSERT_TRUE(process_->Execute(kv::Set{"k", "1", ""}).ok());
  ASSERT_TRUE(engine_.Flush().ok());
  process_.reset();
  FaultFileSystem empty_disk;
  Process other(&empty_disk, &engine_, options_, routing_);
  const Status s = other.StartAndRecover();
  EXPECT_EQ(s.code(), StatusCode::kCorruption);
  EXPECT_NE(s.message().find("journal files are missing"), std::string::npos) << s.message();
}

TEST_F(ReplicaTest, UpkeepMovesTheWatermarkAndExpiresSessions) {
  options_.mvcc_window = milliseconds(1);
  options_.session_idle = milliseconds(1);
  Start();
  ASSERT_TRUE(process_->Execute(kv::OpenSession{}).ok());
  const Version watermark_before = process_->replica()->status().watermark;
  // Each write adds a sample of time once a second; upkeep does the rest by itself.
  const MonotonicTime limit = process_->clock().Now() + seconds(20);
  while (process_->replica()->status().watermark == watermark_before &&
         process_->clock().Now() < limit) {
    ASSERT_TRUE(process_->Execute(kv::Set{"k", "v", ""}).ok());
  }
  EXPECT_GT(process_->replica()->status().watermark, watermark_before);
  RequestContext session;
  session.session = SessionId(2);
  session.sequence = session.first_outstanding = 1;
  Status expired;
  while (process_->clock().Now() < limit) {
    expired = process_->Execute(kv::Set{"k", "v", ""}, session).status();
    if (!expired.ok()) break;
    ++session.sequence;
    session.first_outstanding = session.sequence;
    RequestContext wait;
    wait.deadline = process_->clock().Now() + milliseconds(300);
    wait.min_version = Version::Max();
    (void)process_->Execute(kv::Get{"k", ""}, wait);  // Lets the session idle.
  }
  EXPECT_EQ(expired.code(), StatusCode::kSessionExpired);
}

// ---- Routing

TEST_F(ReplicaTest, RequestsAreValidatedBeforeAnything) {
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
TEST_F(ReplicaTest, AReadThatWaitedIsServedWhereItsCallerWants) {
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

TEST_F(ReplicaTest, AReadWhoseDeadlinePassedIsNotServed) {
  Start();
  RequestContext context;
  context.deadline = process_->clock().Now();
  EXPECT_EQ(process_->Execute(kv::Get{"k", ""}, context).status().code(), StatusCode::kTimeout);
}

TEST_F(ReplicaTest, AMinimumVersionIsWaitedFor) {
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

TEST_F(ReplicaTest, ASnapshotVersionThatWasNeverGivenOutIsRefusedByTheLeader) {
  Start();
  EXPECT_EQ(process_->Execute(kv::SnapshotRead{"k", Version(99), ""}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ReplicaTest, ReadsBeyondTheBoundAreQueuedAndAllServed) {
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

TEST_F(ReplicaTest, InjectedFaultsFailTheOperationTheyName) {
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
