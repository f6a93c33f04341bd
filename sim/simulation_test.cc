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
    {Effect::kUnsyncedLost, 150},        // 408
    {Effect::kTornTail, 6},              // 18
    {Effect::kCutInTransfer, 12},        // 40
    {Effect::kCutInInstall, 6},          // 21
    {Effect::kInstallFinished, 1},       // 6
    {Effect::kJournalNoRoom, 25},        // 70
    {Effect::kEngineNoRoom, 12},         // 38
    {Effect::kSyncFailed, 20},           // 54
    {Effect::kDeadDisk, 7},              // 23
    {Effect::kSlowStep, 8},              // 25
    {Effect::kStartOnSlowDisk, 9},       // 27
    {Effect::kReplacedDeadDisk, 7},      // 24
    {Effect::kFrameLost, 6000},          // 17969
    {Effect::kFrameCutOff, 6000},        // 18423
    {Effect::kFrameDoubled, 3000},       // 9990
    {Effect::kFrameReordered, 40000},    // 144773
    {Effect::kFrameLate, 1000},          // 3742
    {Effect::kLeaderLost, 100},          // 336
    {Effect::kLeaderStopped, 12},        // 40
    {Effect::kStaleLeader, 8},           // 28
    {Effect::kLateReadRefused, 40},      // 145
    {Effect::kLeaseRead, 6000},          // 23155
    {Effect::kLeaseAtDriftBound, 1500},  // 5328
    {Effect::kTransferDone, 20},         // 61
    {Effect::kChangeDone, 35},           // 105
    {Effect::kChangeOutlived, 2},        // 7
    {Effect::kRetryAnswered, 1000},      // 3057
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
  EXPECT_GT(snapshots, kFixedSeeds / 2);
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
