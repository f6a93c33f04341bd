// Transactions and versionstamps: docs/adr/0005-atomic-commit.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "src/base/codec.h"
#include "src/replication/executor_test_util.h"

namespace cairn::replication {
namespace {

using kv::MutationType;

// ---- Transactions

TEST_F(ExecutorTest, ConflictIsAWriteAfterTheReadVersion) {
  const Version v1 = MustApply(kv::Set{"a", "1", ""});
  MustApply(kv::Set{"b", "1", ""});
  // Nothing newer than v1 on "a": commits.
  EXPECT_TRUE(Apply(Commit(v1, {"a"}, {{MutationType::kSet, "a", "2", ""}})).status.ok());
  // "a" was just changed.
  const ApplyOutcome lost = Apply(Commit(v1, {"a"}, {{MutationType::kSet, "a", "3", ""}}));
  EXPECT_EQ(lost.status.code(), StatusCode::kConflict);
  EXPECT_EQ(Get("a"), "2");
  // A failed commit takes no version.
  EXPECT_EQ(executor_->applied_version(), Version(4));
  // A delete is a change, of a missing key too.
  const Version v4 = executor_->applied_version();
  MustApply(kv::Delete{"never", ""});
  EXPECT_EQ(Apply(Commit(v4, {"never"}, {})).status.code(), StatusCode::kConflict);
}

TEST_F(ExecutorTest, CommandsOfOneEntrySeeEachOther) {
  const Version at = executor_->applied_version();
  const auto outcomes = Apply(std::vector{
      Plain(kv::Set{"a", "1", ""}), Plain(Commit(at, {"a"}, {{MutationType::kSet, "b", "1", ""}})),
      Plain(Commit(at, {"c"}, {{MutationType::kSet, "c", "1", ""}})),
      Plain(Commit(at, {"c"}, {{MutationType::kSet, "c", "2", ""}}))});
  EXPECT_TRUE(outcomes[0].status.ok());
  EXPECT_EQ(outcomes[1].status.code(), StatusCode::kConflict);
  EXPECT_TRUE(outcomes[2].status.ok());
  EXPECT_EQ(outcomes[3].status.code(), StatusCode::kConflict);
  EXPECT_EQ(Get("c"), "1");
}

TEST_F(ExecutorTest, ReadVersionsAreChecked) {
  MustApply(kv::Set{"a", "1", ""});
  EXPECT_EQ(Apply(Commit(Version(99), {}, {})).status.code(), StatusCode::kInvalidArgument);
  // Read version 0 without conflict keys is a blind write; an empty one commits.
  EXPECT_TRUE(Apply(Commit(Version(0), {}, {})).status.ok());
  MustApply(kv::AdvanceWatermark{Version(3)});
  EXPECT_EQ(Apply(Commit(Version(2), {"x"}, {})).status.code(), StatusCode::kTransactionTooOld);
  EXPECT_TRUE(Apply(Commit(Version(3), {"x"}, {})).status.ok());
  EXPECT_TRUE(Apply(Commit(Version(0), {}, {})).status.ok());
}

TEST_F(ExecutorTest, RangesConflictOnWhatLiesInThem) {
  MustApply(kv::Set{"b", "1", ""});
  const Version at = executor_->applied_version();
  const auto with_range = [&](std::string begin, std::string end) {
    kv::AtomicCommit commit;
    commit.read_version = at;
    commit.read_conflict_ranges = {{std::move(begin), std::move(end), ""}};
    return Apply(commit).status.code();
  };
  EXPECT_EQ(with_range("a", "z"), StatusCode::kOk);
  MustApply(kv::Set{"m", "1", ""});
  MustApply(kv::Delete{"q", ""});
  EXPECT_EQ(with_range("a", "m"), StatusCode::kOk);  // The end is exclusive.
  EXPECT_EQ(with_range("m", "n"), StatusCode::kConflict);
  EXPECT_EQ(with_range("n", "z"), StatusCode::kConflict);  // The delete.
  EXPECT_EQ(with_range("r", ""), StatusCode::kOk);
  EXPECT_EQ(with_range("c", ""), StatusCode::kConflict);
  EXPECT_EQ(with_range("z", "a"), StatusCode::kOk);  // Empty.
}

// The decision on random conflict sets is that of a model which remembers every commit.
TEST_F(ExecutorTest, ConflictsMatchAModel) {
  SeededRandom random(7);
  struct Change {
    Version version;
    std::string key;
  };
  std::vector<Change> changes;
  const auto any_key = [&] { return std::string(1, static_cast<char>('a' + random.Below(12))); };
  int conflicts = 0;
  for (int i = 0; i < 3000; ++i) {
    kv::AtomicCommit commit;
    const std::uint64_t current = executor_->applied_version().value();
    const std::uint64_t oldest = std::max<std::uint64_t>(executor_->watermark().value(), 1);
    commit.read_version =
        Version(current - random.Below(std::min<std::uint64_t>(current - oldest + 1, 6)));
    bool conflict = false;
    const auto changed = [&](auto in_set) {
      for (const Change& change : changes) {
        conflict |= change.version > commit.read_version && in_set(change.key);
      }
    };
    if (random.OneIn(1, 2)) {
      const std::string key = any_key();
      commit.read_conflict_keys = {{key, {}}};
      changed([&](const std::string& k) { return k == key; });
    }
    if (random.OneIn(1, 2)) {
      const std::string begin = any_key();
      const std::string end = random.OneIn(1, 5) ? "" : any_key();
      commit.read_conflict_ranges = {{begin, end, ""}};
      changed([&](const std::string& k) { return k >= begin && (end.empty() || k < end); });
    }
    const std::string key = any_key();
    commit.operations = {
        {random.OneIn(1, 3) ? MutationType::kDelete : MutationType::kSet, key, "v", ""}};
    const ApplyOutcome outcome = Apply(commit);
    ASSERT_EQ(outcome.status.code(), conflict ? StatusCode::kConflict : StatusCode::kOk)
        << "step " << i << ": " << outcome.status.ToString();
    conflicts += conflict;
    if (!conflict) changes.push_back({outcome.result.version, key});
    if (random.OneIn(1, 50)) {
      MustApply(kv::AdvanceWatermark{Version(executor_->applied_version().value() - 3)});
      ASSERT_TRUE(engine_.Flush().ok());
      ASSERT_TRUE(executor_->ReleaseHistory().ok());
    }
  }
  EXPECT_GT(conflicts, 300);
}

TEST_F(ExecutorTest, TheLastOperationOnAKeyCounts) {
  const Version v = MustApply(Commit(Version(0), {},
                                     {{MutationType::kSet, "a", "1", ""},
                                      {MutationType::kDelete, "a", "", ""},
                                      {MutationType::kSet, "b", "1", ""},
                                      {MutationType::kSet, "a", "2", ""},
                                      {MutationType::kDelete, "b", "", ""}}));
  EXPECT_EQ(Get("a"), "2");
  EXPECT_EQ(Get("b"), "-");
  EXPECT_EQ(executor_->applied_version(), v);
}

// ---- Versionstamps

std::string Stamp(Version version, std::uint16_t order) {
  std::string stamp;
  Encoder e(&stamp);
  e.BigEndian64(version.value());
  e.BigEndian16(order);
  return stamp;
}

TEST_F(ExecutorTest, VersionstampsInCommitsAlwaysReplaceTheTail) {
  const std::string tail(10, '\0');
  const Version v =
      MustApply(Commit(Version(0), {},
                       {{MutationType::kSetVersionstampedKey, "k/" + tail, "v0", ""},
                        {MutationType::kSetVersionstampedValue, "value", "<0123456789", ""},
                        {MutationType::kSetVersionstampedKey, "k/" + tail, "v2", ""}}));
  EXPECT_EQ(Get("k/" + Stamp(v, 0)), "v0");
  EXPECT_EQ(Get("value"), "<" + Stamp(v, 1));
  EXPECT_EQ(Get("k/" + Stamp(v, 2)), "v2");
}

TEST_F(ExecutorTest, TheOwnOperationsReplaceAnAllZeroTailOnly) {
  const std::string tail(10, '\0');
  ApplyOutcome outcome = Apply(kv::SetVersionstampedKey{"k/" + tail, "v", ""});
  EXPECT_EQ(outcome.result.generated, "k/" + Stamp(outcome.result.version, 0));
  EXPECT_EQ(Get(outcome.result.generated), "v");
  outcome = Apply(kv::SetVersionstampedKey{"plain", "v", ""});
  EXPECT_EQ(outcome.result.generated, "plain");
  outcome = Apply(kv::SetVersionstampedKey{"k/0123456789", "v", ""});
  EXPECT_EQ(outcome.result.generated, "k/0123456789");
  outcome = Apply(kv::SetVersionstampedValue{"x", tail, ""});
  EXPECT_EQ(outcome.result.generated, Stamp(outcome.result.version, 0));
  EXPECT_EQ(Get("x"), outcome.result.generated);
  outcome = Apply(kv::SetVersionstampedValue{"x", std::string(9, '\0'), ""});
  EXPECT_EQ(outcome.result.generated, std::string(9, '\0'));
}

}  // namespace
}  // namespace cairn::replication
