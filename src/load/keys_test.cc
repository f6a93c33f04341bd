// The distributions against what they should be, by Pearson's chi-square test, with fixed seeds.
#include "src/load/keys.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include "src/base/sanitizers.h"

namespace cairn::bench {
namespace {

constexpr std::uint64_t kDraws = kSanitized ? 50'000 : 400'000;
constexpr std::uint64_t kRecords = 50;
// Of 49 degrees of freedom; larger by chance once in a thousand seeds.
constexpr double kCritical = 85.35;

std::vector<double> ZipfShares(std::uint64_t n, double exponent) {
  std::vector<double> shares;
  double sum = 0;
  for (std::uint64_t rank = 1; rank <= n; ++rank) {
    shares.push_back(std::pow(static_cast<double>(rank), -exponent));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

double ChiSquare(const std::vector<double>& shares, const std::function<std::uint64_t()>& draw) {
  std::vector<double> seen(shares.size());
  for (std::uint64_t i = 0; i < kDraws; ++i) seen.at(draw()) += 1;
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double expected = shares[i] * static_cast<double>(kDraws);
    sum += (seen[i] - expected) * (seen[i] - expected) / expected;
  }
  return sum;
}

TEST(ZipfRanks, HaveTheSharesOfTheLaw) {
  for (const double exponent : {0.5, 0.99, 1.0, 1.5, 2.5}) {
    SeededRandom random(11);
    const ZipfRanks ranks(kRecords, exponent);
    const auto draw = [&] { return ranks.Next(&random) - 1; };
    EXPECT_LT(ChiSquare(ZipfShares(kRecords, exponent), draw), kCritical) << exponent;
    EXPECT_GT(ChiSquare(ZipfShares(kRecords, exponent + 0.1), draw), kCritical) << exponent;
  }
}

TEST(ZipfRanks, StayWithinBounds) {
  SeededRandom random(5);
  for (const std::uint64_t n : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{1} << 40}) {
    const ZipfRanks ranks(n, 0.99);
    for (int i = 0; i < 10'000; ++i) {
      const std::uint64_t rank = ranks.Next(&random);
      ASSERT_GE(rank, 1u);
      ASSERT_LE(rank, n);
    }
  }
}

TEST(RecordChooser, UniformDrawsAllAlike) {
  SeededRandom random(3);
  const RecordChooser chooser(Distribution::kUniform, 0.99, kRecords);
  const auto draw = [&] { return chooser.Next(&random, 7); };
  EXPECT_LT(ChiSquare(ZipfShares(kRecords, 0), draw), kCritical);
  EXPECT_GT(ChiSquare(ZipfShares(kRecords, 0.1), draw), kCritical);
}

TEST(RecordChooser, ZipfScattersItsFavourites) {
  SeededRandom random(4);
  const RecordChooser chooser(Distribution::kZipf, 0.99, kRecords);
  const Scatter scatter(kRecords);
  std::vector<std::uint64_t> rank_of(kRecords);
  for (std::uint64_t rank = 0; rank < kRecords; ++rank) rank_of[scatter.Of(rank)] = rank;
  const auto draw = [&] { return rank_of[chooser.Next(&random, 7)]; };
  EXPECT_LT(ChiSquare(ZipfShares(kRecords, 0.99), draw), kCritical);
  EXPECT_GT(scatter.Of(1) - scatter.Of(0), 10u);
}

TEST(RecordChooser, LatestDrawsByAgeHoweverManyThereAre) {
  SeededRandom random(6);
  const RecordChooser chooser(Distribution::kLatest, 0.99, 1000);
  for (const std::uint64_t newest : {std::uint64_t{kRecords}, std::uint64_t{1'000'000}}) {
    const auto age = [&] { return newest - 1 - chooser.Next(&random, newest); };
    if (newest == kRecords) {
      EXPECT_LT(ChiSquare(ZipfShares(kRecords, 0.99), age), kCritical);
      continue;
    }
    std::uint64_t young = 0;
    for (int i = 0; i < 10'000; ++i) young += age() < 1000 ? 1 : 0;
    // The law's own share: H(1000) / H(1000000) at this exponent.
    EXPECT_NEAR(static_cast<double>(young), 5'070, 200);
  }
}

TEST(Scatter, IsOneToOne) {
  for (const std::uint64_t n : {1u, 2u, 10u, 1000u, 4096u}) {
    std::set<std::uint64_t> seen;
    const Scatter scatter(n);
    for (std::uint64_t rank = 0; rank < n; ++rank) seen.insert(scatter.Of(rank));
    EXPECT_EQ(seen.size(), n);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
}

TEST(RecordKey, IsInTheOrderOfTheNumbers) {
  EXPECT_EQ(RecordKey("bench/", 42), "bench/0000000000000042");
  EXPECT_LT(RecordKey("", 9), RecordKey("", 10));
}

}  // namespace
}  // namespace cairn::bench
