#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

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

// A fixed set of seeds gates every change; cairn-sim runs as many others as one likes.
TEST(Simulation, HistoriesUnderFaultsAreCorrect) {
  std::uint64_t faults = 0;
  std::uint64_t restarts = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t wipes = 0;
  std::uint64_t voter_changes = 0;
  std::uint64_t transfers = 0;
  for (std::uint64_t seed = 1; seed <= kFixedSeeds; ++seed) {
    const SimulationReport report = RunSeed(seed);
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    EXPECT_GE(report.operations, 1000u) << "seed " << seed;
    EXPECT_GE(report.simulated, std::chrono::seconds(60));
    faults += report.faults;
    restarts += report.restarts;
    snapshots += report.snapshots;
    wipes += report.wipes;
    voter_changes += report.voter_changes;
    transfers += report.transfers;
  }
  EXPECT_GT(faults, 10 * kFixedSeeds);
  EXPECT_GT(restarts, 4 * kFixedSeeds);
  // What is rare is there, too.
  if (kSanitized) return;
  EXPECT_GT(snapshots, 0u);
  EXPECT_GT(wipes, 0u);
  EXPECT_GT(voter_changes, 0u);
  EXPECT_GT(transfers, 0u);
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
