// Negative tests of the core: a bug that breaks a promise must do so within a few random histories.
// Those that only take a safeguard away are in safeguards_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"
#include "src/base/testing/plant_bug.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

struct Planted {
  const char* name;
  PlantedBug bug;
  std::uint64_t seeds;          // within so many
  std::vector<Promise> breaks;  // what counts as finding it
  friend std::ostream& operator<<(std::ostream& out, const Planted& p) { return out << p.name; }
};

const std::vector<Cluster::Options>& Shapes() {
  static const std::vector<Cluster::Options> kShapes = {
      {3, 3, 0, FastRaft()}, {5, 4, 1, FastRaft()}, {7, 5, 0, FastRaft()}};
  return kShapes;
}

class PlantedCoreBugTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedCoreBugTest, IsFound) {
  if (kSanitized) GTEST_SKIP() << "the release build finds it";
  const auto& breaks = GetParam().breaks;
  std::string others;
  for (std::uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
    const HistoryOptions history{Shapes()[seed % Shapes().size()]};
    std::optional<BrokenPromise> broken;
    {
      const PlantBug planted(GetParam().bug);
      broken = RunRandomHistory(seed, history);
    }
    if (!broken) continue;
    if (std::find(breaks.begin(), breaks.end(), broken->promise) == breaks.end()) {
      others += "\nseed " + std::to_string(seed) + ": " + broken->what.substr(0, 100);
      continue;
    }
    // The bug breaks it: without the bug the same history keeps every promise.
    EXPECT_FALSE(RunRandomHistory(seed, history).has_value()) << "seed " << seed;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("found", broken->what.substr(0, 200));
    return;
  }
  FAIL() << "not found within " << GetParam().seeds << " seeds; what does not count:" << others;
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedCoreBugTest,
    testing::Values(
        Planted{"VoteNotPersisted",
                PlantedBug::kVoteNotPersisted,
                3000,
                {Promise::kOneLeader, Promise::kLeaderHasAll}},
        Planted{"VoteForStaleLog",
                PlantedBug::kVoteForStaleLog,
                20,
                {Promise::kLeaderHasAll, Promise::kCommittedStays}},
        Planted{"VoteTwice", PlantedBug::kVoteTwice, 50, {Promise::kOneLeader}},
        Planted{"AckBeforeDurable", PlantedBug::kAckBeforeDurable, 20, {Promise::kDurableAtQuorum}},
        Planted{"LeaderCountsUnsyncedSelf",
                PlantedBug::kLeaderCountsUnsyncedSelf,
                20,
                {Promise::kDurableAtQuorum}},
        Planted{"BarrierBeforeOwnEntry",
                PlantedBug::kBarrierBeforeOwnEntry,
                50,
                {Promise::kFreshReads}},
        Planted{"TruncateMatchingEntries",
                PlantedBug::kTruncateMatchingEntries,
                20,
                {Promise::kDurableAtQuorum, Promise::kCommittedStays}},
        Planted{
            "CommitBeyondMatch", PlantedBug::kCommitBeyondMatch, 1000, {Promise::kCommittedStays}},
        Planted{"SingleStepMembership",
                PlantedBug::kSingleStepMembership,
                5000,
                {Promise::kOneLeader, Promise::kLeaderHasAll, Promise::kCommittedStays}},
        Planted{"WipedVoterVotes",
                PlantedBug::kWipedVoterVotes,
                3000,
                {Promise::kOneLeader, Promise::kLeaderHasAll, Promise::kCommittedStays,
                 Promise::kDurableAtQuorum}},
        Planted{"SnapshotRewindsCommit",
                PlantedBug::kSnapshotRewindsCommit,
                3000,
                {Promise::kCommittedStays}},
        Planted{"VoteByLengthAlone",
                PlantedBug::kVoteByLengthAlone,
                3000,
                {Promise::kLeaderHasAll, Promise::kCommittedStays}},
        Planted{"VoteOutlivesEpoch", PlantedBug::kVoteOutlivesEpoch, 20, {Promise::kProgress}},
        Planted{
            "PreVotesCountAsVotes", PlantedBug::kPreVotesCountAsVotes, 2000, {Promise::kOneLeader}},
        Planted{
            "BarrierOfFormerRun", PlantedBug::kBarrierOfFormerRun, 1000, {Promise::kFreshReads}},
        Planted{"NoPrevCheck",
                PlantedBug::kNoPrevCheck,
                500,
                {Promise::kLogsMatch, Promise::kCommittedStays, Promise::kDurableAtQuorum,
                 Promise::kLeaderHasAll, Promise::kSoundness}},
        Planted{"DurableSurvivesTruncation",
                PlantedBug::kDurableSurvivesTruncation,
                5000,
                {Promise::kDurableAtQuorum, Promise::kLeaderHasAll}},
        Planted{"SnapshotBelievedEarly",
                PlantedBug::kSnapshotBelievedEarly,
                200,
                {Promise::kSoundness, Promise::kDurableAtQuorum}},
        Planted{"SnapshotEpochIgnored",
                PlantedBug::kSnapshotEpochIgnored,
                200,
                {Promise::kCommittedStays}},
        Planted{"StepDownCutsLog",
                PlantedBug::kStepDownCutsLog,
                3000,
                {Promise::kLeaderHasAll, Promise::kCommittedStays, Promise::kDurableAtQuorum}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cairn::consensus::raft
