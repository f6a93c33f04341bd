#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "sim/fixed_seeds_test_util.h"
#include "src/base/log.h"
#include "src/base/sanitizers.h"

namespace cairn::sim {
namespace {

// What a thousand simulated replicas log is of no use.
class Quiet : public testing::Environment {
 public:
  void SetUp() override {
    LoggingOptions logging;
    logging.level = LogLevel::kOff;
    ASSERT_TRUE(InitLogging(logging).ok());
  }
};
const testing::Environment* const kQuiet = testing::AddGlobalTestEnvironment(new Quiet);

// How often each effect happens in the fixed seeds at the least: a good deal less than it does (the
// figures are in the comment), so that a change of the product may move histories about, and never
// nothing, so that they do not go lame.
struct Least {
  Effect effect;
  std::uint64_t times;
};
constexpr Least kLeast[] = {
    {Effect::kUnsyncedLost, 340},        // 860
    {Effect::kTornTail, 9},              // 23
    {Effect::kCutInTransfer, 11},        // 29
    {Effect::kCutInInstall, 9},          // 24
    {Effect::kInstallFinished, 1},       // 5
    {Effect::kJournalNoRoom, 26},        // 67
    {Effect::kEngineNoRoom, 9},          // 24
    {Effect::kSyncFailed, 28},           // 71
    {Effect::kDeadDisk, 6},              // 15
    {Effect::kSlowStep, 8},              // 22
    {Effect::kStartOnSlowDisk, 14},      // 37
    {Effect::kReplacedDeadDisk, 6},      // 16
    {Effect::kClockForward, 4},          // 10
    {Effect::kClockBackward, 4},         // 12
    {Effect::kStopped, 15},              // 38
    {Effect::kKilled, 19},               // 48
    {Effect::kCutAgain, 41},             // 103
    {Effect::kFrameQueued, 2500},        // 6397
    {Effect::kFrameLost, 6900},          // 17463
    {Effect::kFrameCutOff, 7800},        // 19501
    {Effect::kFrameDoubled, 3700},       // 9335
    {Effect::kFrameReordered, 61000},    // 154629
    {Effect::kFrameLate, 1000},          // 2570
    {Effect::kLeaderLost, 170},          // 446
    {Effect::kLeaderStopped, 17},        // 44
    {Effect::kStaleLeader, 20},          // 51
    {Effect::kLateReadRefused, 250},     // 633
    {Effect::kStaleLeaderAsked, 160},    // 408
    {Effect::kVoterLost, 140},           // 361
    {Effect::kLeaseRead, 5500},          // 13873
    {Effect::kLeaseAtDriftBound, 1200},  // 3057
    {Effect::kTransferDone, 17},         // 43
    {Effect::kChangeDone, 31},           // 78
    {Effect::kChangeOutlived, 3},        // 9
    {Effect::kMemberGained, 7},          // 19
    {Effect::kMemberGone, 8},            // 20
    {Effect::kForwarderLost, 38},        // 96
    {Effect::kForwardRepeated, 130},     // 340
    {Effect::kBareForward, 2000},        // 5102
    {Effect::kBareWriteUnknown, 71},     // 178
    {Effect::kRetryAnswered, 1000},      // 2724
};
static_assert(std::size(kLeast) == kEffects, "an effect is not awaited");

class FixedSeeds : public testing::Test {
 protected:
  static void SetUpTestSuite() { reports_ = RunSeedsTo(kFixedSeeds); }
  static std::vector<SimulationReport> reports_;
};
std::vector<SimulationReport> FixedSeeds::reports_;

// A fixed set of seeds gates every change; cairn-sim runs as many others as one likes.
TEST_F(FixedSeeds, HistoriesUnderFaultsAreCorrect) {
  for (std::size_t i = 0; i < reports_.size(); ++i) {
    EXPECT_EQ(reports_[i].violation, "") << "seed " << i + 1;
    EXPECT_GE(reports_[i].operations, 1000u) << "seed " << i + 1;
    EXPECT_GE(reports_[i].simulated, std::chrono::seconds(60));
    EXPECT_GT(reports_[i].replayed, Slot(100)) << "seed " << i + 1;
    EXPECT_EQ(reports_[i].searches_given_up, 0u) << "seed " << i + 1;
  }
}

TEST_F(FixedSeeds, EveryFaultHasItsEffects) {
  std::uint64_t restarts = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t wipes = 0;
  Effects effects;
  for (const SimulationReport& report : reports_) {
    restarts += report.restarts;
    snapshots += report.snapshots;
    wipes += report.wipes;
    effects.Add(report.effects);
  }
  EXPECT_GT(restarts, 4 * kFixedSeeds);
  if (kSanitized) return;  // Too few seeds for what is rare.
  EXPECT_GT(snapshots, kFixedSeeds);
  EXPECT_GT(wipes, kFixedSeeds / 10);
  for (const Least& least : kLeast) {
    EXPECT_GE(effects.Of(least.effect), least.times) << DescriptionOf(least.effect);
  }
}

TEST(Simulation, TheSameSeedGivesTheSameHistory) {
  std::string first_story;
  SimulationOptions options;
  options.story = [&](const StoryLine& line) {
    first_story += std::to_string(line.at.ns) + line.text + "\n";
  };
  const SimulationReport first = RunSeed(77, options);
  std::string second_story;
  options.story = [&](const StoryLine& line) {
    second_story += std::to_string(line.at.ns) + line.text + "\n";
  };
  const SimulationReport second = RunSeed(77, options);
  EXPECT_EQ(first.fingerprint, second.fingerprint);
  EXPECT_EQ(first.operations, second.operations);
  EXPECT_EQ(first_story, second_story);
  EXPECT_NE(RunSeed(78).fingerprint, first.fingerprint);
}

}  // namespace
}  // namespace cairn::sim
