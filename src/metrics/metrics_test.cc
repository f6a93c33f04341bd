#include "src/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "src/metrics/exposition.h"

namespace cairn::metrics {
namespace {

using ::testing::ElementsAre;

TEST(Counter, AddsUpOverThreads) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) counter.Add();
      counter.Add(5);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(12u * 1005u, counter.Value());
}

TEST(Histogram, CountsByUpperBound) {
  static constexpr std::uint64_t kBounds[] = {10, 100};
  Histogram histogram(kBounds);
  for (const std::uint64_t value : {0, 10, 11, 100, 101, 5000}) histogram.Record(value);
  const Histogram::Reading reading = histogram.Read();
  EXPECT_THAT(reading.counts, ElementsAre(2, 2, 2));
  EXPECT_EQ(5222u, reading.sum);
  EXPECT_EQ(6u, reading.total);
}

TEST(Histogram, AddsUpOverThreads) {
  Histogram histogram(CountBounds());
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 1; i <= 1000; ++i) histogram.Record(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Histogram::Reading reading = histogram.Read();
  EXPECT_EQ(12'000u, reading.total);
  EXPECT_EQ(12u * 500'500u, reading.sum);
  EXPECT_EQ(12u * 2u, reading.counts[2]);  // 3 and 4
}

TEST(Histogram, BoundsRise) {
  for (const auto bounds : {LatencyBounds(), CountBounds(), ByteBounds()}) {
    for (std::size_t i = 1; i < bounds.size(); ++i) EXPECT_LT(bounds[i - 1], bounds[i]);
  }
}

TEST(Exposition, WritesWhatPrometheusReads) {
  static constexpr std::uint64_t kBounds[] = {1'000'000, 2'500'000'000};
  Histogram histogram(kBounds);
  for (const std::uint64_t value : {500'000, 1'500'000, 1'000'000'000}) histogram.Record(value);
  Exposition page;
  page.Counter("a_total", "All of a.", 3);
  page.Family("b", Kind::kGauge, "Some b.");
  page.Sample({{"x", "1"}, {"y", "two"}}, 0.25);
  page.Family("c_seconds", Kind::kHistogram, "Times.");
  page.Sample({{"op", "get"}}, histogram.Read(), 1e9);
  EXPECT_EQ(
      "# HELP a_total All of a.\n# TYPE a_total counter\na_total 3\n"
      "# HELP b Some b.\n# TYPE b gauge\nb{x=\"1\",y=\"two\"} 0.25\n"
      "# HELP c_seconds Times.\n# TYPE c_seconds histogram\n"
      "c_seconds_bucket{op=\"get\",le=\"0.001\"} 1\n"
      "c_seconds_bucket{op=\"get\",le=\"2.5\"} 3\n"
      "c_seconds_bucket{op=\"get\",le=\"+Inf\"} 3\n"
      "c_seconds_sum{op=\"get\"} 1.002\n"
      "c_seconds_count{op=\"get\"} 3\n",
      page.text());
}

TEST(Exposition, EscapesLabelsAndOddNumbers) {
  Exposition page;
  page.Family("a", Kind::kGauge, "A.");
  page.Sample({{"name", "q\"b\\s\nn"}}, std::nan(""));
  page.Sample({}, std::numeric_limits<double>::infinity());
  EXPECT_EQ("# HELP a A.\n# TYPE a gauge\na{name=\"q\\\"b\\\\s\\nn\"} NaN\na +Inf\n", page.text());
}

}  // namespace
}  // namespace cairn::metrics
