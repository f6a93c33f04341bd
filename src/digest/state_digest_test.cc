#include "src/digest/state_digest.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "src/base/clock.h"

namespace cairn::digest {
namespace {

using Pairs = std::map<std::string, std::string>;

Pairs Many(int count) {
  Pairs pairs;
  for (int i = 0; i < count; ++i) pairs["key" + std::to_string(i)] = "value" + std::to_string(i);
  return pairs;
}

Section Of(const Pairs& pairs, const SectionBuilder::Bounds& bounds = {}) {
  SectionBuilder builder("s", bounds);
  for (const auto& [key, value] : pairs) builder.Add(key, value);
  return builder.Finish();
}

bool Holds(const Difference& difference, const std::string& key) {
  return difference.begin <= key && (difference.end.empty() || key < difference.end);
}

TEST(StateDigestTest, TheSamePairsHaveTheSameDigest) {
  const Pairs pairs = Many(5000);
  EXPECT_EQ(Of(pairs), Of(pairs));
  EXPECT_TRUE(Compare(Of(pairs), Of(pairs), 10).empty());
  EXPECT_EQ(Of(pairs).pairs, 5000U);
  EXPECT_GT(Of(pairs).ranges.size(), 20U);
}

TEST(StateDigestTest, LengthsArePartOfAPair) {
  EXPECT_NE(HashPair("ab", "c"), HashPair("a", "bc"));
  EXPECT_NE(HashPair("", "abc"), HashPair("abc", ""));
}

TEST(StateDigestTest, ADifferenceIsNamedByItsRange) {
  SeededRandom random(7);
  const Pairs pairs = Many(5000);
  for (int round = 0; round < 200; ++round) {
    Pairs other = pairs;
    std::string key = "key" + std::to_string(random.Below(5000));
    if (round % 3 == 0) {
      other.erase(key);
    } else if (round % 3 == 1) {
      other[key] += "!";
    } else {
      key += "x";
      other[key] = "new";
    }
    const auto found = Compare(Of(pairs), Of(other), 10);
    ASSERT_EQ(found.size(), 1U) << key;
    EXPECT_TRUE(Holds(found[0], key)) << key;
    EXPECT_LT(found[0].pairs_here, 2000U);
    EXPECT_EQ(static_cast<std::int64_t>(found[0].pairs_there) -
                  static_cast<std::int64_t>(found[0].pairs_here),
              static_cast<std::int64_t>(other.size()) - static_cast<std::int64_t>(pairs.size()));
  }
}

TEST(StateDigestTest, BoundsMakeRangesFewerAndChangeNoSum) {
  const Pairs pairs = Many(5000);
  const Section fine = Of(pairs);
  const Section coarse = Of(pairs, {8, 1 << 20});
  EXPECT_LE(coarse.ranges.size(), 8U);
  EXPECT_EQ(coarse.sum, fine.sum);
  EXPECT_GT(coarse.mask, fine.mask);
  EXPECT_LE(Of(pairs, {1000, 50}).ranges.size(), 10U);
  Pairs other = pairs;
  other["key77"] = "other";
  const auto found = Compare(Of(other), coarse, 10);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(Holds(found[0], "key77"));
}

TEST(StateDigestTest, EmptySectionsAndMissingOnes) {
  EXPECT_TRUE(Compare(Of({}), Of({}), 10).empty());
  ASSERT_EQ(Compare(Of({}), Of({{"a", "b"}}), 10).size(), 1U);
  StateDigest here{1, 2, {Of(Many(3))}};
  StateDigest there = here;
  EXPECT_EQ(here.ToString(), there.ToString());
  there.sections[0].name = "t";
  EXPECT_NE(here.ToString(), there.ToString());
  const auto found = Compare(here, there, 10);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], (Difference{"s", "", "", 3, 0}));
  EXPECT_EQ(found[1], (Difference{"t", "", "", 0, 3}));
}

TEST(StateDigestTest, NoMoreDifferencesThanAskedFor) {
  Pairs other = Many(5000);
  for (auto& [key, value] : other) value += "!";
  EXPECT_EQ(Compare(Of(Many(5000)), Of(other), 3).size(), 3U);
}

}  // namespace
}  // namespace cairn::digest
