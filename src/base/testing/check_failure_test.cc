#include "src/base/check.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "src/base/planted_bug.h"
#include "src/base/testing/check_failure.h"
#include "src/base/testing/plant_bug.h"

namespace cairn {
namespace {

TEST(Check, FailuresThrowWhereATestAskedForIt) {
  const ChecksThrow checks_throw;
  try {
    CAIRN_CHECK(1 > 2, "one is " + std::to_string(1));
    FAIL() << "the check held";
  } catch (const CheckFailure& failure) {
    EXPECT_NE(std::string(failure.what()).find("check failed: 1 > 2: one is 1"), std::string::npos)
        << failure.what();
  }
}

TEST(PlantedBug, IsSeenByItsThreadAndNoOther) {
  const PlantBug bug(PlantedBug::kDedupeOff);
  EXPECT_TRUE(Planted(PlantedBug::kDedupeOff));
  EXPECT_FALSE(Planted(PlantedBug::kConflictRangeIgnored));
  bool elsewhere = true;
  std::thread([&] { elsewhere = Planted(PlantedBug::kDedupeOff); }).join();
  EXPECT_FALSE(elsewhere);
  {
    const PlantBug other(PlantedBug::kConflictRangeIgnored);
    EXPECT_FALSE(Planted(PlantedBug::kDedupeOff));
  }
  EXPECT_TRUE(Planted(PlantedBug::kDedupeOff));
}

}  // namespace
}  // namespace cairn
