#include "src/replication/replica.h"

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
using std::chrono::seconds;

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
  constexpr std::uint64_t kAll = kThreads * kWrites;
  // Syncs of a round. On a busy machine writers may come one after the other: then there is nobody
  // to share with, and the next round may tell.
  const auto round = [&] {
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
    return disk_.Count(FileOperation::kSync) - before;
  };
  std::uint64_t rounds = 1;
  std::uint64_t syncs = round();
  for (; syncs >= kAll / 2 && rounds < 20; ++rounds) syncs = round();
  EXPECT_LT(syncs, kAll / 2);
  EXPECT_GE(syncs, kAll / options_.max_batch_size);
  EXPECT_EQ(process_->replica()->figures().batch_commands.Read().sum, rounds * kAll);
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
  const auto write = [&](int i) {
    return process_->Execute(kv::Set{"k" + std::to_string(i % 7), value, ""}).ok();
  };
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(write(i));
  // Two megabytes went through; what is kept is the bound, a few segments and what came meanwhile:
  // a flush and its cut run beside the writes, which may be ahead of them for a while.
  constexpr std::uint64_t kBound = 1'500'000;
  for (int i = 500; i < 2000 && disk_.UsedBytes() >= kBound; ++i) ASSERT_TRUE(write(i));
  EXPECT_LT(disk_.UsedBytes(), kBound);
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
  context.deadline = process_->clock().Now() + seconds(2);
  const auto held = process_->Execute(kv::Set{"k", "v", ""}, context);
  EXPECT_EQ(held.status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(held.status().maybe_applied());
  // Once the replica knows, it takes no more.
  while (process_->replica()->status().health.ok()) std::this_thread::yield();
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
  Start();
  const auto propose = [this](WriteCallback done) {
    kv::Command command;
    command.operation = kv::Set{"k", "v", ""};
    process_->replica()->Propose(std::move(command), process_->clock().Now() + seconds(20),
                                 std::move(done));
  };
  // The callback of a first write holds the apply thread, so that nothing else is answered.
  std::promise<void> held;
  std::promise<void> release;
  propose([&](const Result<kv::WriteResult>&) {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  std::vector<std::future<Status>> answers;
  for (int i = 0; i < 3; ++i) {
    auto answer = std::make_shared<std::promise<Status>>();
    answers.push_back(answer->get_future());
    propose([answer](const Result<kv::WriteResult>& r) { answer->set_value(r.status()); });
  }
  EXPECT_EQ(answers[2].get().code(), StatusCode::kResourceExhausted);
  release.set_value();
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
    // Time to enter the log: a write that ends before it does gives its place back.
    context.deadline = process_->clock().Now() + milliseconds(100);
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

}  // namespace
}  // namespace cairn::replication
