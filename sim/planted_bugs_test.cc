// Negative tests: each bug planted in the product must be found within a few seeds.
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>

#include "sim/simulation.h"
#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"

namespace cairn::sim {
namespace {

struct Planted {
  const char* name;
  PlantedBug bug;
  std::uint64_t seeds;  // within so many
  friend std::ostream& operator<<(std::ostream& out, const Planted& p) { return out << p.name; }
};

class PlantedBugTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBugTest, IsFound) {
  if (kSanitized) GTEST_SKIP() << "the release build finds it";
  SimulationOptions options;
  options.bug = GetParam().bug;
  for (std::uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
    const SimulationReport report = RunSeed(seed, options);
    if (report.violation.empty()) continue;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("found", report.violation);
    return;
  }
  FAIL() << "not found within " << GetParam().seeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugTest,
                         testing::Values(

                             Planted{"AnswerBeforeSync", PlantedBug::kAnswerBeforeSync, 5},
                             Planted{"MessageBeforeToken", PlantedBug::kMessageBeforeToken, 5},
                             Planted{"ApplyBeyondDurable", PlantedBug::kApplyBeyondDurable, 10},
                             Planted{"ReadWithoutBarrier", PlantedBug::kReadWithoutBarrier, 10},
                             Planted{"StaleLocalRead", PlantedBug::kStaleLocalRead, 40},
                             Planted{"IgnoreMinVersion", PlantedBug::kIgnoreMinVersion, 10},
                             Planted{"JournalCutTooFar", PlantedBug::kJournalCutTooFar, 10},
                             Planted{"DedupeOff", PlantedBug::kDedupeOff, 10},
                             Planted{"ConflictRangeIgnored", PlantedBug::kConflictRangeIgnored, 20},
                             Planted{"ConflictKeyOffByOne", PlantedBug::kConflictKeyOffByOne, 20}),
                         [](const auto& test) { return std::string(test.param.name); });

// And those of the world around it.
bool Finds(WorldBug bug, std::uint64_t seeds) {
  SimulationOptions options;
  options.world_bug = bug;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    if (!RunSeed(seed, options).violation.empty()) return true;
  }
  return false;
}

TEST(WorldBug, ADiskThatLiesAboutSyncsIsFound) { EXPECT_TRUE(Finds(WorldBug::kDiskLies, 5)); }

TEST(WorldBug, RetriesThatAreAppliedTwiceAreFound) {
  EXPECT_TRUE(Finds(WorldBug::kRetryWithoutSession, 10));
}

}  // namespace
}  // namespace cairn::sim
