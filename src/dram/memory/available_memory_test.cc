#include "src/dram/memory/available_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace cairn::dram {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(AvailableMemoryTest, IsReadFromTheKernelsTable) {
  std::istringstream table(
      "MemTotal:       16326428 kB\nMemFree:          211212 kB\nMemAvailable:    9876543 kB\n"
      "Buffers:          1 kB\n");
  EXPECT_EQ(MemAvailableOf(table), std::uint64_t{9876543} << 10);
  std::istringstream old("MemTotal:       16326428 kB\nMemFree:          211212 kB\n");
  EXPECT_EQ(MemAvailableOf(old), std::nullopt);
  std::istringstream nothing;
  EXPECT_EQ(MemAvailableOf(nothing), std::nullopt);
  // Linux has it since 3.14.
  EXPECT_GT(AvailableMemory().value_or(0), 0U);
}

TEST(AvailableMemoryTest, TooMuchIsSaidWithBothNumbersAndWhatToDo) {
  EXPECT_EQ(WhyTooMuchMemory(1000, 1000), "");
  EXPECT_EQ(WhyTooMuchMemory(1000, std::nullopt), "");
  EXPECT_THAT(WhyTooMuchMemory(1001, 1000),
              AllOf(HasSubstr("1001 bytes"), HasSubstr("1000 available"),
                    HasSubstr("Lower capacity_bytes")));
}

}  // namespace
}  // namespace cairn::dram
