#include "src/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace cairn::bench {
namespace {

TEST(HistogramTest, EmptyAnswersZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(50), 0u);
  EXPECT_EQ(histogram.mean_ns(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 60; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Percentile(50), 30u);
  EXPECT_EQ(histogram.Percentile(100), 60u);
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), 30.5);
}

// The twin: sort everything and look the rank up.
TEST(HistogramTest, PercentilesAreWithinOneSixtyFourthOfTheSortedValues) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(12, 1.5);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 50000; ++i) {
    values.push_back(static_cast<std::uint64_t>(latency(random)));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * 50000.0));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.Percentile(percent)), exact, exact / 64) << percent;
  }
}

TEST(HistogramTest, MergedPartsEqualTheWhole) {
  Histogram whole, odd, even;
  for (std::uint64_t value = 1; value < 100000; value += 37) {
    whole.Record(value);
    (value % 2 == 0 ? even : odd).Record(value);
  }
  odd.Merge(even);
  EXPECT_EQ(odd.count(), whole.count());
  EXPECT_EQ(odd.max_ns(), whole.max_ns());
  EXPECT_DOUBLE_EQ(odd.mean_ns(), whole.mean_ns());
  EXPECT_EQ(odd.Percentile(75), whole.Percentile(75));
}

// One request of 1 ms, then a stall of 100 ms: a client that sends every millisecond would have had
// another 99 requests wait, for 99, 98, ... 1 ms.
TEST(HistogramTest, TheCorrectionAddsWhatAStallKeptFromBeingSent) {
  Histogram raw;
  for (int i = 0; i < 100; ++i) raw.Record(1'000'000);
  raw.Record(100'000'000);
  EXPECT_LT(raw.Percentile(99), 2'000'000u);
  const Histogram corrected = raw.Corrected(1'000'000);
  EXPECT_NEAR(static_cast<double>(corrected.count()), 200, 2);
  EXPECT_NEAR(static_cast<double>(corrected.Percentile(75)), 50e6, 2e6);
  EXPECT_NEAR(static_cast<double>(corrected.Percentile(99)), 98e6, 3e6);
  EXPECT_EQ(corrected.max_ns(), raw.max_ns());
  EXPECT_EQ(raw.Corrected(0).count(), raw.count());
  EXPECT_EQ(raw.Corrected(200'000'000).count(), raw.count());
}

TEST(HistogramTest, TheLargestValueHasABucket) {
  Histogram histogram;
  histogram.Record(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_GT(histogram.Percentile(50), std::numeric_limits<std::uint64_t>::max() / 65 * 64);
}

}  // namespace
}  // namespace cairn::bench
