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
    {Effect::kUnsyncedLost, 200},        // 442
    {Effect::kTornTail, 10},             // 25
    {Effect::kCutInTransfer, 15},        // 38
    {Effect::kCutInInstall, 9},          // 23
    {Effect::kInstallFinished, 1},       // 5
    {Effect::kJournalNoRoom, 48},        // 121
    {Effect::kEngineNoRoom, 14},         // 36
    {Effect::kSyncFailed, 32},           // 80
    {Effect::kDeadDisk, 6},              // 15
    {Effect::kSlowStep, 17},             // 43
    {Effect::kStartOnSlowDisk, 11},      // 29
    {Effect::kReplacedDeadDisk, 6},      // 16
    {Effect::kFrameLost, 8000},          // 19840
    {Effect::kFrameCutOff, 8000},        // 21041
    {Effect::kFrameDoubled, 5000},       // 11427
    {Effect::kFrameReordered, 70000},    // 163015
    {Effect::kFrameLate, 1000},          // 3475
    {Effect::kLeaderLost, 100},          // 346
    {Effect::kLeaderStopped, 22},        // 56
    {Effect::kStaleLeader, 21},          // 54
    {Effect::kLateReadRefused, 78},      // 196
    {Effect::kLeaseRead, 6000},          // 14028
    {Effect::kLeaseAtDriftBound, 1000},  // 3079
    {Effect::kTransferDone, 25},         // 63
    {Effect::kChangeDone, 35},           // 89
    {Effect::kChangeOutlived, 4},        // 12
    {Effect::kForwarderLost, 32},        // 82
    {Effect::kForwardRepeated, 100},     // 289
    {Effect::kBareForward, 2000},        // 5311
    {Effect::kBareWriteUnknown, 62},     // 156
    {Effect::kRetryAnswered, 1000},      // 2788
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
