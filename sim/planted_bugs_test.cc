// Negative tests: each bug planted in the product must be found within a few seeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "sim/fixed_seeds_test_util.h"
#include "sim/simulation.h"
#include "sim/violation.h"
#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"

namespace cairn::sim {
namespace {

using Kind = ViolationKind;

struct Planted {
  const char* name;
  PlantedBug bug;
  std::uint64_t seeds;      // within so many
  std::vector<Kind> shows;  // what counts as finding it
  friend std::ostream& operator<<(std::ostream& out, const Planted& p) { return out << p.name; }
};

// Runs seeds until one violates something that is one of `shows`.
void ExpectFound(const SimulationOptions& options, std::uint64_t seeds,
                 const std::vector<Kind>& shows) {
  // What is found is the bug's: the product as it is has nothing of the kind in any fixed seed
  // (simulation_test.cc).
  ASSERT_TRUE(kSanitized || seeds <= kFixedSeeds);
  const auto counts = [&](const SimulationReport& report) {
    return std::find(shows.begin(), shows.end(), report.kind) != shows.end();
  };
  const std::vector<SimulationReport> reports = RunSeedsTo(seeds, options, counts);
  std::string others;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const SimulationReport& report = reports[i];
    if (counts(report)) {
      testing::Test::RecordProperty("seed", std::to_string(i + 1));
      testing::Test::RecordProperty("found", report.violation);
      return;
    }
    if (report.kind == Kind::kNone) continue;
    others += "\nseed " + std::to_string(i + 1) + ": " + std::string(NameOf(report.kind)) + ": " +
              report.violation;
  }
  FAIL() << "not found within " << seeds << " seeds; what does not count:" << others;
}

class PlantedBugTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBugTest, IsFound) {
  if (kSanitized) GTEST_SKIP() << "the release build finds it";
  SimulationOptions options;
  options.bug = GetParam().bug;
  ExpectFound(options, GetParam().seeds, GetParam().shows);
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedBugTest,
    testing::Values(
        Planted{"AnswerBeforeSync", PlantedBug::kAnswerBeforeSync, 5, {Kind::kEarlyPromise}},
        Planted{"MessageBeforeToken", PlantedBug::kMessageBeforeToken, 5, {Kind::kEarlyPromise}},
        Planted{
            "ApplyBeyondDurable", PlantedBug::kApplyBeyondDurable, 10, {Kind::kAppliedTooEarly}},
        Planted{"ReadWithoutBarrier",
                PlantedBug::kReadWithoutBarrier,
                10,
                {Kind::kBrokenPromise, Kind::kNotLinearizable, Kind::kNotSerializable}},
        Planted{"StaleLocalRead", PlantedBug::kStaleLocalRead, 40, {Kind::kBrokenPromise}},
        Planted{"IgnoreMinVersion",
                PlantedBug::kIgnoreMinVersion,
                10,
                {Kind::kWrongData, Kind::kBrokenPromise}},
        Planted{"ReadBeforeApplied",
                PlantedBug::kReadBeforeApplied,
                20,
                {Kind::kBrokenPromise, Kind::kNotSerializable, Kind::kNotLinearizable}},
        Planted{"TimeoutDeniesWrite",
                PlantedBug::kTimeoutDeniesWrite,
                40,
                {Kind::kBrokenPromise, Kind::kStampsWrong, Kind::kNotSerializable,
                 Kind::kNotLinearizable}},
        Planted{"TimeoutForgotten", PlantedBug::kTimeoutForgotten, 10, {Kind::kNoAnswer}},
        Planted{
            "SnapshotFileNotSynced", PlantedBug::kSnapshotFileNotSynced, 40, {Kind::kDoesNotStart}},
        Planted{"AnswersNotPersisted",
                PlantedBug::kAnswersNotPersisted,
                20,
                {Kind::kStatesDiffer, Kind::kStampsWrong, Kind::kWrongSession}},
        Planted{"AnswersForgottenEarly",
                PlantedBug::kAnswersForgottenEarly,
                20,
                {Kind::kWrongSession, Kind::kStampsWrong, Kind::kBrokenPromise,
                 Kind::kNotSerializable, Kind::kNotLinearizable}},
        Planted{"SessionsLostInSnapshot",
                PlantedBug::kSessionsLostInSnapshot,
                40,
                {Kind::kStatesDiffer}},
        Planted{"JournalCutTooFar",
                PlantedBug::kJournalCutTooFar,
                10,
                {Kind::kJournalCutTooFar, Kind::kDoesNotStart}},
        Planted{"DedupeOff",
                PlantedBug::kDedupeOff,
                10,
                {Kind::kWrongSession, Kind::kStampsWrong, Kind::kWrongData}},
        Planted{"ForwardTwice",
                PlantedBug::kForwardTwice,
                40,
                {Kind::kStampsWrong, Kind::kBrokenPromise, Kind::kNotLinearizable,
                 Kind::kNotSerializable}},
        Planted{"ConflictRangeIgnored",
                PlantedBug::kConflictRangeIgnored,
                20,
                {Kind::kNotSerializable}},
        Planted{
            "ConflictKeyOffByOne", PlantedBug::kConflictKeyOffByOne, 20, {Kind::kNotSerializable}},
        // ---- Of the core: those that whole nodes show. src/consensus/raft/testing finds the
        // others.
        Planted{"VoteOutlivesEpoch", PlantedBug::kVoteOutlivesEpoch, 10, {Kind::kNoProgress}},
        Planted{"VoteTwice", PlantedBug::kVoteTwice, 40, {Kind::kTwoLeaders}},
        Planted{"VoteNotPersisted",
                PlantedBug::kVoteNotPersisted,
                40,
                {Kind::kTwoLeaders, Kind::kLogsDiffer}},
        Planted{"BarrierWithoutQuorum",
                PlantedBug::kBarrierWithoutQuorum,
                40,
                {Kind::kBrokenPromise, Kind::kNotLinearizable}},
        Planted{"LeaseIgnoresTransfer",
                PlantedBug::kLeaseIgnoresTransfer,
                40,
                {Kind::kBrokenPromise, Kind::kNotLinearizable}},
        Planted{"LeaseByQuorumCheckAlone",
                PlantedBug::kLeaseByQuorumCheckAlone,
                40,
                {Kind::kBrokenPromise, Kind::kNotLinearizable}},
        Planted{"WipedVoterVotes",
                PlantedBug::kWipedVoterVotes,
                40,
                {Kind::kNoProgress, Kind::kAssertion, Kind::kCommitChanges}},
        Planted{"SnapshotRewindsCommit",
                PlantedBug::kSnapshotRewindsCommit,
                20,
                {Kind::kWrongSnapshot}},
        Planted{
            "AckBeforeDurable",
            PlantedBug::kAckBeforeDurable,
            40,
            {Kind::kCommitChanges, Kind::kAssertion, Kind::kNotLinearizable, Kind::kNoProgress}}),
    [](const auto& test) { return std::string(test.param.name); });

// And those of the world around it.

TEST(WorldBug, ADiskThatLiesAboutSyncsIsFound) {
  SimulationOptions options;
  options.world_bug = WorldBug::kDiskLies;
  ExpectFound(options, 5,
              {Kind::kLostAfterRestart, Kind::kCommitChanges, Kind::kLogsDiffer, Kind::kTwoLeaders,
               Kind::kDoesNotStart});
}

TEST(WorldBug, RetriesThatAreAppliedTwiceAreFound) {
  SimulationOptions options;
  options.world_bug = WorldBug::kRetryWithoutSession;
  ExpectFound(options, 10,
              {Kind::kStampsWrong, Kind::kBrokenPromise, Kind::kNotLinearizable,
               Kind::kNotSerializable, Kind::kSnapshotsDiffer});
}

TEST(WorldBug, AnAnswerThatComesTwiceIsFound) {
  SimulationOptions options;
  options.world_bug = WorldBug::kAnswersDoubled;
  ExpectFound(options, 2, {Kind::kTwoAnswers});
}

TEST(WorldBug, AReplayThatDiffersIsToldWithSlotAndHashes) {
  SimulationOptions options;
  options.world_bug = WorldBug::kReplayLosesEntries;
  const SimulationReport report = RunSeed(1, options);
  EXPECT_EQ(report.kind, Kind::kStatesDiffer);
  EXPECT_EQ(report.replayed, RunSeed(1).replayed);
  const std::string hash = "[0-9a-f]{16}";
  const std::string differ = " has hash " + hash +
                             ", that of a fresh state machine that applied the whole log has " +
                             hash;
  EXPECT_THAT(report.violation,
              testing::MatchesRegex("the state of node [0-9]+ after slot [0-9]+" + differ +
                                    "; at the end, the state of node " + "0 after slot " +
                                    ToString(report.replayed) + differ));
}

TEST(WorldBug, AHistoryInWhichLittleIsTriedIsFound) {
  Plan plan = MakePlan(1);
  plan.clients.clear();
  plan.faults.clear();
  const SimulationReport report = RunPlan(plan, {});
  EXPECT_EQ(report.kind, Kind::kTooFewOperations) << report.violation;
}

TEST(WorldBug, AStateThatDiffersInTheMiddleAloneIsFound) {
  SimulationOptions options;
  options.world_bug = WorldBug::kReplayBlinks;
  const SimulationReport report = RunSeed(1, options);
  EXPECT_EQ(report.kind, Kind::kStatesDiffer);
  // Nearly all: a step may apply several entries.
  EXPECT_GT(report.states_compared * 10, report.replayed.value() * 9);
  EXPECT_THAT(report.violation, testing::HasSubstr("at the end, they are alike"));
}

}  // namespace
}  // namespace cairn::sim
