#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "src/base/sanitizers.h"

namespace cairn::sim {
namespace {

// A fixed set of seeds gates every change; cairn-sim runs as many others as one likes.
TEST(Simulation, HistoriesUnderFaultsAreCorrect) {
  std::uint64_t faults = 0;
  std::uint64_t restarts = 0;
  constexpr std::uint64_t kSeeds = kSanitized ? 5 : 25;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    const SimulationReport report = RunSeed(options);
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    EXPECT_GE(report.operations, 1000u) << "seed " << seed;
    EXPECT_GE(report.simulated, std::chrono::seconds(60));
    faults += report.faults;
    restarts += report.restarts;
  }
  EXPECT_GT(faults, 10 * kSeeds);
  EXPECT_GT(restarts, 4 * kSeeds);
}

TEST(Simulation, TheSameSeedGivesTheSameHistory) {
  SimulationOptions options;
  options.seed = 77;
  std::string first_trace;
  options.trace = [&](MonotonicTime at, const std::string& line) {
    first_trace += std::to_string(at.ns) + line + "\n";
  };
  const SimulationReport first = RunSeed(options);
  std::string second_trace;
  options.trace = [&](MonotonicTime at, const std::string& line) {
    second_trace += std::to_string(at.ns) + line + "\n";
  };
  const SimulationReport second = RunSeed(options);
  EXPECT_EQ(first.fingerprint, second.fingerprint);
  EXPECT_EQ(first.operations, second.operations);
  EXPECT_EQ(first_trace, second_trace);
  options.seed = 78;
  EXPECT_NE(RunSeed(options).fingerprint, first.fingerprint);
}

// The checks have teeth: each planted fault is found within a few seeds.
bool Finds(PlantedBug bug, std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.bug = bug;
    if (!RunSeed(options).violation.empty()) return true;
  }
  return false;
}

TEST(Simulation, FindsADiskThatLiesAboutSyncs) { EXPECT_TRUE(Finds(PlantedBug::kDiskLies, 10)); }

TEST(Simulation, FindsRetriesThatAreAppliedTwice) {
  EXPECT_TRUE(Finds(PlantedBug::kRetryWithoutSession, 20));
}

}  // namespace
}  // namespace cairn::sim
