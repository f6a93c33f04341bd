#include "src/base/clock.h"

#include <gtest/gtest.h>

#include <array>

namespace cairn {
namespace {

TEST(ClockTest, MonotonicTimeNeverGoesBack) {
  const SystemClock clock;
  MonotonicTime last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const MonotonicTime now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, WallTimeCountsMicrosecondsSinceTheEpoch) {
  const SystemClock clock;
  EXPECT_GT(clock.Wall().us, std::int64_t{1'600'000'000} * 1'000'000);
  EXPECT_LT(clock.Wall().us, std::int64_t{32'000'000'000} * 1'000'000);
}

TEST(ClockTest, Arithmetic) {
  const MonotonicTime start{5};
  EXPECT_EQ((start + std::chrono::microseconds(2)).ns, 2005);
  EXPECT_EQ((start + Duration(7)) - start, Duration(7));
  EXPECT_LT(start, MonotonicTime::Max());
}

// The published first outputs of SplitMix64 for seed 1234567: seeds replay on every machine.
TEST(SeededRandomTest, IsSplitMix64) {
  SeededRandom random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
}

TEST(SeededRandomTest, BelowStaysBelowAndReachesEverything) {
  SeededRandom random(1);
  EXPECT_EQ(random.Below(0), 0u);
  EXPECT_EQ(random.Below(1), 0u);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) ++seen.at(random.Below(7));
  for (const int count : seen) {
    EXPECT_GT(count, 800);
    EXPECT_LT(count, 1200);
  }
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below(UINT64_MAX), UINT64_MAX);
}

TEST(SeededRandomTest, OneInIsAProbability) {
  SeededRandom random(1);
  int hits = 0;
  for (int i = 0; i < 10000; ++i) hits += random.OneIn(1, 4) ? 1 : 0;
  EXPECT_GT(hits, 2300);
  EXPECT_LT(hits, 2700);
  EXPECT_TRUE(random.OneIn(1, 1));
  EXPECT_FALSE(random.OneIn(0, 1));
}

TEST(SystemEntropyTest, Differs) { EXPECT_NE(SystemEntropy(), SystemEntropy()); }

}  // namespace
}  // namespace cairn
