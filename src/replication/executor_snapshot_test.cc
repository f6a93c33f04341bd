// A state machine whose whole state is replaced by a snapshot.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/replication/executor_test_util.h"
#include "src/storage/memory/engine_shelf.h"
#include "src/storage/swap_engine.h"

namespace cairn::replication {
namespace {

constexpr char kArrived[] = "/data/in";

// The other replica is the fixture's: it is ahead, and sends its state.
class ExecutorSnapshotTest : public ExecutorTest {
 protected:
  void SetUp() override {
    ExecutorTest::SetUp();
    auto opened = storage::SwapEngine::Open(
        {.files = &files_, .directory = "/data", .open = [this](const std::string& folder) {
           return shelf_.Open(folder);
         }});
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    behind_engine_ = *std::move(opened);
    auto behind = StateMachineExecutor::Open(behind_engine_.get());
    ASSERT_TRUE(behind.ok());
    behind_ = *std::move(behind);
  }

  // Applies to both replicas.
  ApplyOutcome Both(const kv::Command& command) {
    const consensus::Entry entry = EntryOf({command});
    std::vector<ApplyOutcome> outcomes;
    EXPECT_EQ(behind_->ApplyEntry(entry, &outcomes), Status::Ok());
    return Apply(command);
  }
  Version Both(kv::KvOperation operation) {
    return Both(Plain(std::move(operation))).result.version;
  }

  // A checkpoint of the one that is ahead, where the other one can install it.
  storage::StateMeta Send() {
    const auto meta = engine_.Checkpoint(kArrived);
    EXPECT_TRUE(meta.ok()) << meta.status().ToString();
    return *meta;
  }
  Status Install(const storage::StateMeta& meta) {
    CAIRN_RETURN_IF_ERROR(behind_engine_->Install(
        kArrived, meta, [this](storage::Engine* next) { return behind_->PrepareSnapshot(next); }));
    return behind_->AdoptSnapshot();
  }
  std::string GetBehind(const std::string& key, const std::string& family = "") {
    const auto result = behind_->Read(kv::Get{key, family}, limits_, MonotonicTime::Max(), clock_);
    if (!result.ok()) return std::string(StatusCodeName(result.status().code()));
    const auto& get = std::get<kv::GetResult>(*result);
    return get.found ? get.value : "-";
  }

  storage::EngineShelf shelf_{&files_};
  std::unique_ptr<storage::SwapEngine> behind_engine_;
  std::unique_ptr<StateMachineExecutor> behind_;
};

TEST_F(ExecutorSnapshotTest, EverythingInMemoryIsReplaced) {
  const SessionId closed(Both(kv::OpenSession{}).value());
  const SessionId kept(Both(kv::OpenSession{}).value());
  const kv::Command seen = InSession(kept, 1, 1, kv::Set{"a", "1", ""});
  Both(seen);
  Both(kv::CreateColumnFamily{"dropped"});
  Both(kv::Set{"k", "1", "dropped"});
  // From here on the other one hears nothing.
  MustApply(kv::CloseSession{closed});
  MustApply(kv::DropColumnFamily{"dropped"});
  MustApply(kv::CreateColumnFamily{"made"});
  MustApply(kv::Set{"k", "2", "made"});
  const kv::Command missed = InSession(kept, 2, 1, kv::Set{"a", "2", ""});
  const ApplyOutcome first = Apply(missed);
  MustApply(kv::AdvanceWatermark{Version(first.result.version.value() - 1)});

  const storage::StateMeta meta = Send();
  ASSERT_EQ(Install(meta), Status::Ok());
  EXPECT_EQ(behind_->applied_slot(), executor_->applied_slot());
  EXPECT_EQ(behind_->applied_version(), executor_->applied_version());
  EXPECT_EQ(behind_->watermark(), executor_->watermark());
  EXPECT_EQ(*behind_->StateHash(), *executor_->StateHash());
  EXPECT_EQ(behind_->session_count(), 1u);
  EXPECT_EQ(behind_->ColumnFamilyNames(), (std::vector<std::string>{"default", "made"}));
  EXPECT_EQ(GetBehind("a"), "2");
  EXPECT_EQ(GetBehind("k", "made"), "2");
  EXPECT_EQ(GetBehind("k", "dropped"), "NOT_FOUND");

  // It goes on with the log: retries are known, the closed session is not, conflicts are found.
  EXPECT_EQ(Both(missed).result.version, first.result.version);
  EXPECT_EQ(Both(InSession(closed, 1, 1, kv::Set{"a", "3", ""})).status.code(),
            StatusCode::kSessionExpired);
  EXPECT_EQ(Both(Plain(Commit(Version(first.result.version.value() - 1), {"a"}, {}))).status.code(),
            StatusCode::kConflict);
  Both(kv::Set{"a", "4", ""});
  EXPECT_EQ(GetBehind("a"), "4");
  EXPECT_EQ(*behind_->StateHash(), *executor_->StateHash());
}

TEST_F(ExecutorSnapshotTest, ASnapshotOfALaterVersionIsRefused) {
  known_features_ = 1;
  Reopen();
  Both(kv::Set{"a", "1", ""});
  MustApply(kv::EnableFeatures{1});
  const Status refused = Install(Send());
  EXPECT_EQ(refused.code(), StatusCode::kUnimplemented);
  EXPECT_NE(refused.message().find("features 1"), std::string::npos) << refused.message();
  EXPECT_EQ(GetBehind("a"), "1");
}

// Readers on other threads while the state is replaced. Each transaction writes the same number to
// two keys of a family that exists in one state and not in the other: a reader sees them equal.
TEST_F(ExecutorSnapshotTest, ReadersSeeTheOldStateOrTheNewOne) {
  const auto write = [](const std::string& value) {
    return Commit(
        Version(1), {},
        {{kv::MutationType::kSet, "a", value, ""}, {kv::MutationType::kSet, "b", value, ""}});
  };
  Both(write("1"));
  for (int i = 2; i < 50; ++i) MustApply(write(std::to_string(i)));
  MustApply(kv::AdvanceWatermark{executor_->applied_version()});
  const storage::StateMeta meta = Send();

  constexpr int kReaders = 3;
  std::atomic<int> reading{0};
  std::atomic<bool> installed{false};
  std::vector<std::thread> readers;
  readers.reserve(kReaders);
  for (int r = 0; r < kReaders; ++r) {
    readers.emplace_back([&] {
      for (bool last = false, counted = false; !last;) {
        last = installed.load();
        const auto answer = behind_->Read(kv::GetRange{}, limits_, MonotonicTime::Max(), clock_);
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        const auto& range = std::get<kv::RangeResult>(*answer);
        ASSERT_EQ(range.key_values.size(), 2u);
        EXPECT_EQ(range.key_values[0].value, range.key_values[1].value);
        EXPECT_EQ(range.key_values[0].value, range.read_version == meta.version ? "49" : "1");
        EXPECT_TRUE(!last || range.read_version == meta.version);
        if (!std::exchange(counted, true)) ++reading;
      }
    });
  }
  while (reading.load() < kReaders) std::this_thread::yield();
  EXPECT_EQ(Install(meta), Status::Ok());
  installed.store(true);
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace cairn::replication
