#include <gtest/gtest.h>

#include <string>

#include "src/server/thrift/allocation_probe.h"

namespace cairn::server::testing {
namespace {

TEST(AllocationProbeTest, SeesTheLargestAllocation) {
  ResetLargestAllocation();
  const std::string small(1000, 'x');
  EXPECT_GE(LargestAllocation(), 1000u);
  EXPECT_LT(LargestAllocation(), 100'000u);
  std::string large;
  large.resize(100'000);
  EXPECT_GE(LargestAllocation(), 100'000u);
}

}  // namespace
}  // namespace cairn::server::testing
