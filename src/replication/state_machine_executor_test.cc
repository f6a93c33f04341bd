#include "src/replication/state_machine_executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "src/replication/executor_test_util.h"
#include "src/replication/state_keys.h"

namespace cairn::replication {
namespace {

using kv::MutationType;

TEST_F(ExecutorTest, ANewStoreIsAtVersionOneAndEachCommitTakesTheNext) {
  EXPECT_EQ(executor_->applied_version(), Version(1));
  EXPECT_EQ(MustApply(kv::Set{"a", "1", ""}), Version(2));
  EXPECT_EQ(MustApply(kv::Delete{"missing", ""}), Version(3));
  EXPECT_EQ(executor_->applied_version(), Version(3));
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(Get("missing"), "-");
}

TEST_F(ExecutorTest, SnapshotReadsSeeOneVersion) {
  const Version v1 = MustApply(kv::Set{"a", "1", ""});
  const Version v2 = MustApply(kv::Set{"a", "2", ""});
  const Version v3 = MustApply(kv::Delete{"a", ""});
  EXPECT_EQ(GetAt("a", Version(1)), "-");
  EXPECT_EQ(GetAt("a", v1), "1");
  EXPECT_EQ(GetAt("a", v2), "2");
  EXPECT_EQ(GetAt("a", v3), "-");
  EXPECT_EQ(GetAt("a", v3.Next()), "INVALID_ARGUMENT");
}

TEST_F(ExecutorTest, AnAppliedEntryIsNotAppliedAgain) {
  const consensus::Entry entry = EntryOf({Plain(kv::Set{"a", "1", ""})});
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE(executor_->ApplyEntry(entry, &outcomes).ok());
  outcomes.clear();
  ASSERT_TRUE(executor_->ApplyEntry(entry, &outcomes).ok());
  EXPECT_TRUE(outcomes.empty());
  EXPECT_EQ(executor_->applied_version(), Version(2));
}

TEST_F(ExecutorTest, StateSurvivesAFlushAndNoMore) {
  MustApply(kv::Set{"kept", "1", ""});
  ASSERT_TRUE(engine_.Flush().ok());
  MustApply(kv::Set{"lost", "1", ""});
  const Slot before = executor_->applied_slot();
  Crash();
  EXPECT_EQ(executor_->applied_slot(), before.Prev());
  EXPECT_EQ(Get("kept"), "1");
  EXPECT_EQ(Get("lost"), "-");
  EXPECT_EQ(executor_->applied_version(), Version(2));
}

// ---- Sessions

TEST_F(ExecutorTest, ACommandOfASessionIsAppliedOnce) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  const kv::Command append =
      InSession(session, 1, 1, kv::SetVersionstampedKey{"k" + std::string(10, '\0'), "v", ""});
  const ApplyOutcome first = Apply(append);
  ASSERT_TRUE(first.status.ok());
  const ApplyOutcome again = Apply(append);
  EXPECT_TRUE(again.status.ok());
  EXPECT_EQ(again.result.version, first.result.version);
  EXPECT_EQ(executor_->applied_version(), first.result.version);
  // The answer to a failure is remembered too, though the state has changed since.
  const kv::Command losing = InSession(session, 2, 1, Commit(Version(1), {"a"}, {}));
  MustApply(kv::Set{"a", "1", ""});
  EXPECT_EQ(Apply(losing).status.code(), StatusCode::kConflict);
  EXPECT_EQ(Apply(losing).status.code(), StatusCode::kConflict);
}

TEST_F(ExecutorTest, ADuplicateIsToldAgainWhatWasGenerated) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  const std::string zeros(10, '\0');
  const std::vector<kv::KvOperation> operations = {kv::SetVersionstampedKey{"k" + zeros, "v", ""},
                                                   kv::SetVersionstampedKey{"plain", "v", ""},
                                                   kv::SetVersionstampedValue{"k", zeros, ""}};
  std::uint64_t sequence = 0;
  for (const kv::KvOperation& operation : operations) {
    const kv::Command command = InSession(session, ++sequence, 1, operation);
    const ApplyOutcome first = Apply(command);
    const ApplyOutcome again = Apply(command);
    EXPECT_TRUE(again.status.ok());
    EXPECT_EQ(again.result.version, first.result.version);
    EXPECT_FALSE(first.result.generated.empty());
    EXPECT_EQ(again.result.generated, first.result.generated);
  }
}

// The text of an answer is not kept; what can be told again is.
TEST_F(ExecutorTest, AMissingFamilyIsNamedAgain) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  const kv::Command command = InSession(session, 1, 1, kv::Set{"a", "1", "nowhere"});
  EXPECT_NE(Apply(command).status.message().find("'nowhere'"), std::string::npos);
  const Status again = Apply(command).status;
  EXPECT_EQ(again.code(), StatusCode::kNotFound);
  EXPECT_EQ(again.message(), "there is no column family 'nowhere' (answered before, as now)");
}

TEST_F(ExecutorTest, SessionsSurviveRestartsAndReplay) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  const ApplyOutcome first = Apply(InSession(session, 1, 1, kv::Set{"a", "1", ""}));
  ASSERT_TRUE(engine_.Flush().ok());
  Crash();
  const ApplyOutcome again = Apply(InSession(session, 1, 1, kv::Set{"a", "1", ""}));
  EXPECT_EQ(again.result.version, first.result.version);
  EXPECT_EQ(executor_->session_count(), 1u);
}

TEST_F(ExecutorTest, AnswersBelowTheLowestOutstandingAreForgotten) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  Apply(InSession(session, 1, 1, kv::Set{"a", "1", ""}));
  Apply(InSession(session, 2, 2, kv::Set{"a", "2", ""}));
  EXPECT_EQ(Apply(InSession(session, 1, 1, kv::Set{"a", "3", ""})).status.code(),
            StatusCode::kAlreadyAnswered);
  EXPECT_EQ(Get("a"), "2");
}

TEST_F(ExecutorTest, UnknownSessionsApplyNothing) {
  EXPECT_EQ(Apply(InSession(SessionId(99), 1, 1, kv::Set{"a", "1", ""})).status.code(),
            StatusCode::kSessionExpired);
  EXPECT_EQ(Get("a"), "-");
  const SessionId session(MustApply(kv::OpenSession{}).value());
  MustApply(kv::CloseSession{session});
  EXPECT_EQ(Apply(InSession(session, 1, 1, kv::Set{"a", "1", ""})).status.code(),
            StatusCode::kSessionExpired);
}

// A folder was emptied under living clients: what they go on in is no session of the new database,
// whose sessions are opened by the same versions.
TEST_F(ExecutorTest, SessionsOfAnotherDatabaseAreUnknown) {
  const SessionId session(MustApply(kv::OpenSession{}).value());
  storage::MemoryEngine fresh;
  auto other = StateMachineExecutor::Open(&fresh);
  ASSERT_TRUE(other.ok());
  const auto in_other = (*other)->ApplyOperation(kv::OpenSession{}, {now_.us + 1});
  ASSERT_TRUE(in_other.ok());
  EXPECT_NE(SessionId(in_other->version.value()), session);
  const kv::Command command = InSession(session, 1, 1, kv::Set{"a", "1", ""});
  EXPECT_TRUE(Apply(command).status.ok());
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE((*other)
                  ->ApplyEntry({Slot(1), Epoch(1), consensus::EntryKind::kCommands,
                                EntryOf({command}).payload},
                               &outcomes)
                  .ok());
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes.front().status.code(), StatusCode::kSessionExpired);
}

// The database's own mask is kept: two sessions of it differ by their versions alone.
TEST_F(ExecutorTest, TheMaskOfSessionIdsSurvivesARestart) {
  const std::uint64_t first = MustApply(kv::OpenSession{}).value();
  Reopen();
  const std::uint64_t second = MustApply(kv::OpenSession{}).value();
  EXPECT_EQ(first ^ second, std::uint64_t{2 ^ 3});
  EXPECT_GE(first, std::uint64_t{1} << 62);
  EXPECT_LT(first, std::uint64_t{1} << 63);
}

// Such databases were made by early builds. With a mask from the next command on, a replica that
// applies the log from its beginning, after its disk was lost, would have another one.
TEST_F(ExecutorTest, ADatabaseThatHasNoMaskIsRefused) {
  MustApply(kv::Set{"a", "1", ""});
  storage::WriteBatch batch;
  batch.SystemDelete(storage::SystemSpace::kState, state_keys::SessionMask());
  ASSERT_TRUE(engine_.Write(batch, engine_.Meta()).ok());
  const auto refused = StateMachineExecutor::Open(&engine_);
  EXPECT_EQ(refused.status().code(), StatusCode::kUnimplemented);
  EXPECT_NE(refused.status().message().find("cairn dump"), std::string::npos);
}

// It was empty when it was backed up: no command has been applied, and versions were left out.
TEST_F(ExecutorTest, ADatabaseRestoredFromAnEmptyOneGetsItsMaskWithItsFirstCommand) {
  storage::StateMeta meta = engine_.Meta();
  meta.version = Version(meta.version.value() + (std::uint64_t{1} << 32));
  ASSERT_TRUE(engine_.Write(storage::WriteBatch(), meta).ok());
  Reopen();
  const std::uint64_t first = MustApply(kv::OpenSession{}).value();
  EXPECT_GE(first, std::uint64_t{1} << 62);
  Reopen();
  EXPECT_EQ(first ^ MustApply(kv::OpenSession{}).value(),
            (meta.version.value() + 1) ^ (meta.version.value() + 2));
}

TEST_F(ExecutorTest, IdleSessionsExpireByTheTimeOfCommands) {
  const SessionId idle(MustApply(kv::OpenSession{}).value());
  now_.us += 50;
  const SessionId used(MustApply(kv::OpenSession{}).value());
  now_.us += 60;
  EXPECT_TRUE(executor_->HasSessionIdleSince({now_.us - 100}));
  MustApply(kv::ExpireSessions{100});
  EXPECT_EQ(executor_->session_count(), 1u);
  EXPECT_EQ(Apply(InSession(idle, 1, 1, kv::Set{"a", "1", ""})).status.code(),
            StatusCode::kSessionExpired);
  EXPECT_TRUE(Apply(InSession(used, 1, 1, kv::Set{"a", "1", ""})).status.ok());
}

// ---- Column families

TEST_F(ExecutorTest, FamiliesAreApart) {
  EXPECT_EQ(Get("a", "users").substr(0, 9), "NOT_FOUND");
  EXPECT_EQ(Apply(kv::Set{"a", "1", "users"}).status.code(), StatusCode::kNotFound);
  MustApply(kv::CreateColumnFamily{"users"});
  // Again: nothing changes, and no version is taken.
  const Version created = executor_->applied_version();
  MustApply(kv::CreateColumnFamily{"users"});
  MustApply(kv::CreateColumnFamily{"default"});
  MustApply(kv::DropColumnFamily{"nobody's"});
  EXPECT_EQ(executor_->applied_version(), created);
  MustApply(kv::Set{"a", "users", "users"});
  MustApply(kv::Set{"a", "default", "default"});
  EXPECT_EQ(Get("a", "users"), "users");
  EXPECT_EQ(Get("a"), "default");
  EXPECT_EQ(executor_->ColumnFamilyNames(), (std::vector<std::string>{"default", "users"}));
  MustApply(kv::DropColumnFamily{"users"});
  EXPECT_EQ(Get("a", "users").substr(0, 9), "NOT_FOUND");
  MustApply(kv::CreateColumnFamily{"users"});
  EXPECT_EQ(Get("a", "users"), "-");
}

TEST_F(ExecutorTest, AConflictKeyWithoutAFamilyIsCheckedInAll) {
  MustApply(kv::CreateColumnFamily{"users"});
  const Version at = executor_->applied_version();
  MustApply(kv::Set{"a", "1", "users"});
  EXPECT_EQ(Apply(Commit(at, {"a"}, {})).status.code(), StatusCode::kConflict);
  kv::AtomicCommit commit;
  commit.read_version = at;
  commit.read_conflict_keys = {{"a", "default"}};
  EXPECT_TRUE(Apply(commit).status.ok());
  commit.read_conflict_keys = {{"a", "users"}};
  EXPECT_EQ(Apply(commit).status.code(), StatusCode::kConflict);
}

TEST_F(ExecutorTest, AFamilyMadeAnewConflictsWithWhoReadTheOldOne) {
  MustApply(kv::CreateColumnFamily{"users"});
  const Version at = executor_->applied_version();
  MustApply(kv::DropColumnFamily{"users"});
  MustApply(kv::CreateColumnFamily{"users"});
  kv::AtomicCommit commit;
  commit.read_version = at;
  commit.read_conflict_keys = {{"a", "users"}};
  EXPECT_EQ(Apply(commit).status.code(), StatusCode::kConflict);
}

TEST_F(ExecutorTest, FamiliesAreListedWhileTheyComeAndGo) {
  for (int i = 0; i < 50; ++i) MustApply(kv::CreateColumnFamily{"f" + std::to_string(i)});
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      EXPECT_GE(executor_->ColumnFamilyNames().size(), 51u);
      EXPECT_GE(executor_->ColumnFamilyIds().size(), 51u);
    }
  });
  for (int i = 0; i < 500; ++i) {
    MustApply(kv::CreateColumnFamily{"comes"});
    MustApply(kv::DropColumnFamily{"comes"});
  }
  stop = true;
  reader.join();
}

TEST_F(ExecutorTest, ASnapshotFromBeforeAFamilyWasMadeAnewIsRefused) {
  MustApply(kv::CreateColumnFamily{"cf"});
  const Version before = MustApply(kv::Set{"k", "old", "cf"});
  MustApply(kv::DropColumnFamily{"cf"});
  const Version made = MustApply(kv::CreateColumnFamily{"cf"});
  // The value that this version had is gone; "not found" would be a lie.
  EXPECT_EQ(Read(kv::SnapshotRead{"k", before, "cf"}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Read(kv::SnapshotGetRange{{}, before, "cf"}).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Read(kv::SnapshotRead{"k", made, "cf"}).ok());
}

TEST_F(ExecutorTest, ADropConflictsWithKeysThatMayHaveBeenReadInTheFamily) {
  MustApply(kv::CreateColumnFamily{"cf"});
  const Version before = MustApply(kv::Set{"k", "old", "cf"});
  MustApply(kv::DropColumnFamily{"cf"});
  const kv::AtomicCommit stale =
      Commit(before, {"k"}, {{kv::MutationType::kSet, "copy", "old", ""}});
  EXPECT_EQ(Apply(stale).status.code(), StatusCode::kConflict);
  ASSERT_TRUE(engine_.Flush().ok());
  Crash();
  EXPECT_EQ(Apply(stale).status.code(), StatusCode::kConflict);
  const kv::AtomicCommit fresh =
      Commit(executor_->applied_version(), {"k"}, {{kv::MutationType::kSet, "copy", "new", ""}});
  EXPECT_TRUE(Apply(fresh).status.ok());
}

TEST_F(ExecutorTest, AFailingOperationLeavesNothing) {
  EXPECT_EQ(
      Apply(Commit(Version(0), {},
                   {{MutationType::kSet, "a", "1", ""}, {MutationType::kSet, "b", "1", "nowhere"}}))
          .status.code(),
      StatusCode::kNotFound);
  EXPECT_EQ(Get("a"), "-");
}

TEST_F(ExecutorTest, ADropThatWasNotFlushedReplaysAgainstTheOldFamily) {
  MustApply(kv::CreateColumnFamily{"users"});
  MustApply(kv::Set{"a", "1", "users"});
  ASSERT_TRUE(engine_.Flush().ok());
  const std::vector<consensus::Entry> log = {
      EntryOf({Plain(Commit(Version(2), {"a"}, {{MutationType::kSet, "x", "1", ""}}))})};
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE(executor_->ApplyEntry(log[0], &outcomes).ok());
  const StatusCode before = outcomes.at(0).status.code();
  MustApply(kv::DropColumnFamily{"users"});
  Crash();
  outcomes.clear();
  ASSERT_TRUE(executor_->ApplyEntry(log[0], &outcomes).ok());
  EXPECT_EQ(outcomes.at(0).status.code(), before);
  EXPECT_EQ(before, StatusCode::kConflict);
}

// ---- Watermark

TEST_F(ExecutorTest, ReadsBelowTheWatermarkAreRefused) {
  MustApply(kv::Set{"a", "1", ""});
  MustApply(kv::Set{"a", "2", ""});
  MustApply(kv::AdvanceWatermark{Version(3)});
  EXPECT_EQ(GetAt("a", Version(2)), "TRANSACTION_TOO_OLD");
  EXPECT_EQ(GetAt("a", Version(3)), "2");
  // It never goes back, and never ahead of what is committed.
  MustApply(kv::AdvanceWatermark{Version(2)});
  MustApply(kv::AdvanceWatermark{Version(1000)});
  EXPECT_EQ(executor_->watermark(), Version(3));
}

TEST_F(ExecutorTest, VersionsThatWereSkippedAreNeitherGivenOutNorCommittedAt) {
  MustApply(kv::Set{"a", "1", ""});
  const Version before = MustApply(kv::Set{"b", "1", ""});
  const Version last(before.value() + 1000);
  EXPECT_EQ(MustApply(kv::SkipVersions{last}), last.Next());
  // The client of a transaction that read at a version of the lost state.
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE(
      executor_
          ->ApplyEntry(EntryOf({Plain(Commit(Version(before.value() + 7), {"a"}, {}))}), &outcomes)
          .ok());
  EXPECT_EQ(outcomes.at(0).status.code(), StatusCode::kTransactionTooOld);
  EXPECT_EQ(GetAt("a", before), "TRANSACTION_TOO_OLD");
  EXPECT_EQ(GetAt("a", last.Next()), "1");
  // Versions never go back.
  const Version now = executor_->applied_version();
  EXPECT_EQ(MustApply(kv::SkipVersions{before}), now.Next());
  EXPECT_EQ(executor_->watermark(), last);
}

TEST_F(ExecutorTest, HistoryIsReleasedOnlyAsFarAsItIsFlushed) {
  MustApply(kv::Set{"a", "1", ""});
  MustApply(kv::Delete{"a", ""});
  ASSERT_TRUE(engine_.Flush().ok());
  // The same commit before and after the crash: between them the watermark moves on, unflushed.
  const consensus::Entry commit = EntryOf({Plain(Commit(Version(2), {"a"}, {}))});
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE(executor_->ApplyEntry(commit, &outcomes).ok());
  EXPECT_EQ(outcomes.at(0).status.code(), StatusCode::kConflict);
  MustApply(kv::AdvanceWatermark{Version(3)});
  ASSERT_TRUE(executor_->ReleaseHistory().ok());
  Crash();
  outcomes.clear();
  ASSERT_TRUE(executor_->ApplyEntry(commit, &outcomes).ok());
  EXPECT_EQ(outcomes.at(0).status.code(), StatusCode::kConflict);
}

TEST_F(ExecutorTest, VersionAtTellsWhatWasCurrent) {
  const Version v1 = MustApply(kv::Set{"a", "1", ""});
  const WallTime t1 = now_;
  now_.us += 10'000'000;
  const Version v2 = MustApply(kv::Set{"a", "2", ""});
  EXPECT_EQ(executor_->VersionAt({t1.us - 1}), std::nullopt);
  EXPECT_EQ(executor_->VersionAt(t1), v1);
  EXPECT_EQ(executor_->VersionAt({now_.us - 1}), v1);
  EXPECT_EQ(executor_->VersionAt(now_), v2);
  MustApply(kv::AdvanceWatermark{v1});
  EXPECT_EQ(executor_->VersionAt(t1), std::nullopt);
}

// ---- Interruptions

TEST_F(ExecutorTest, AFullEngineIsTriedAgainWithoutDoingAnythingTwice) {
  const std::string value(100, 'v');
  const consensus::Entry entry = EntryOf({Plain(kv::Set{"a", value, ""}),
                                          Plain(Commit(executor_->applied_version(), {"z"},
                                                       {{MutationType::kSetVersionstampedKey,
                                                         "k" + std::string(10, '\0'), value, ""}})),
                                          Plain(kv::Set{"b", value, ""})});
  engine_.SetCapacity(0);
  std::vector<ApplyOutcome> outcomes;
  ASSERT_EQ(executor_->ApplyEntry(entry, &outcomes).code(), StatusCode::kResourceExhausted);
  ASSERT_EQ(executor_->ApplyEntry(entry, &outcomes).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(executor_->applied_version(), Version(1));
  engine_.SetCapacity(std::nullopt);
  ASSERT_TRUE(engine_.Resume().ok());
  ASSERT_TRUE(executor_->ApplyEntry(entry, &outcomes).ok());
  ASSERT_EQ(outcomes.size(), 3u);
  for (const ApplyOutcome& outcome : outcomes) EXPECT_TRUE(outcome.status.ok());
  EXPECT_EQ(executor_->applied_version(), Version(4));
  EXPECT_EQ(executor_->applied_slot(), entry.slot);
  EXPECT_EQ(Get("b"), value);
}

// An entry that was half in the flushed state: the rest is applied, the first half not again.
TEST_F(ExecutorTest, ReplayGoesOnInTheMiddleOfAnEntry) {
  const consensus::Entry entry = EntryOf(
      {Plain(kv::SetVersionstampedKey{"k" + std::string(10, '\0'), "v", ""}),
       Plain(Commit(executor_->applied_version(), {"z"}, {{MutationType::kSet, "a", "1", ""}}))});
  // The check of the commit writes what is pending first; then the engine is full.
  std::vector<ApplyOutcome> outcomes;
  ASSERT_TRUE(executor_->ApplyEntry(entry, &outcomes).ok());
  const auto whole = executor_->StateHash();
  ASSERT_TRUE(whole.ok());

  storage::MemoryEngine half;
  auto opened = StateMachineExecutor::Open(&half);
  ASSERT_TRUE(opened.ok());
  // Room for the first command alone.
  half.SetCapacity(55);
  std::vector<ApplyOutcome> some;
  ASSERT_EQ((*opened)->ApplyEntry(entry, &some).code(), StatusCode::kResourceExhausted);
  ASSERT_EQ(half.Meta().applied_commands, 1u);
  half.SetCapacity(std::nullopt);
  ASSERT_TRUE(half.Resume().ok());
  ASSERT_TRUE(half.Flush().ok());
  opened->reset();
  half.Crash();
  opened = StateMachineExecutor::Open(&half);
  ASSERT_TRUE(opened.ok());
  std::vector<ApplyOutcome> rest;
  ASSERT_TRUE((*opened)->ApplyEntry(entry, &rest).ok());
  const auto resumed = (*opened)->StateHash();
  ASSERT_TRUE(resumed.ok());
  EXPECT_EQ(*resumed, *whole);
}

TEST_F(ExecutorTest, DamagedAndLaterEntriesStopTheNode) {
  consensus::Entry entry = EntryOf({});
  entry.payload = std::make_shared<const std::string>("\x01\x05");
  std::vector<ApplyOutcome> outcomes;
  EXPECT_EQ(executor_->ApplyEntry(entry, &outcomes).code(), StatusCode::kCorruption);
  entry.payload = std::make_shared<const std::string>("\x09");
  EXPECT_EQ(executor_->ApplyEntry(entry, &outcomes).code(), StatusCode::kUnimplemented);
}

// ---- Direct operations

TEST_F(ExecutorTest, ApplyOperationBypassesTheLog) {
  const auto set = executor_->ApplyOperation(kv::Set{"a", "1", ""}, now_);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->version, Version(2));
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(executor_->applied_slot(), Slot(0));
  for (const kv::KvOperation& read : std::vector<kv::KvOperation>{
           kv::Get{"a", ""}, kv::GetRange{}, kv::SnapshotRead{}, kv::SnapshotGetRange{},
           kv::GetReadVersion{}, kv::GetCommittedVersion{}}) {
    EXPECT_EQ(executor_->ApplyOperation(read, now_).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Read(kv::Set{"a", "1", ""}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(executor_->ApplyOperation(kv::Set{"a", "1", "nowhere"}, now_).status().code(),
            StatusCode::kNotFound);
}

TEST_F(ExecutorTest, FeaturesAreSwitchedOnByTheLog) {
  known_features_ = 7;
  Reopen();
  MustApply(kv::EnableFeatures{5});
  MustApply(kv::EnableFeatures{2});
  EXPECT_EQ(engine_.Meta().features, 7u);
}

TEST_F(ExecutorTest, FeaturesOfALaterVersionStopThisOne) {
  known_features_ = 3;
  Reopen();
  MustApply(kv::EnableFeatures{1});
  std::vector<ApplyOutcome> outcomes;
  const Status status = executor_->ApplyEntry(EntryOf({Plain(kv::EnableFeatures{6})}), &outcomes);
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_NE(status.message().find("features 4"), std::string::npos) << status.message();
  EXPECT_EQ(StateMachineExecutor::Open(&engine_, 2).status().code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace cairn::replication
