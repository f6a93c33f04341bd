#include "src/dram/memory/block_allocator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>

#include "src/base/clock.h"
#include "src/base/sanitizers.h"

namespace cairn::dram {
namespace {

TEST(BlockAllocatorTest, RoundingCostsAnEighthAtMost) {
  for (std::uint64_t bytes = 64; bytes < (1 << 20); bytes += 1 + bytes / 97) {
    const std::uint64_t rounded = BlockAllocator::RoundedBytes(bytes);
    ASSERT_GE(rounded, bytes);
    ASSERT_LE(static_cast<double>(rounded - bytes), std::max(16.0, 0.13 * bytes)) << bytes;
  }
}

TEST(BlockAllocatorTest, FillsToTheLastByteAndEmptiesAgain) {
  BlockAllocator allocator(1 << 20);
  for (const std::uint64_t bytes : {64, 4096, 128 << 10, 1 << 20}) {
    std::vector<std::uint64_t> blocks;
    for (;;) {
      const std::uint64_t block = allocator.Allocate(bytes);
      if (block == BlockAllocator::kNone) break;
      blocks.push_back(block);
    }
    EXPECT_EQ(blocks.size(), (1 << 20) / bytes);
    EXPECT_EQ(allocator.usage().largest_free_bytes, 0u);
    for (const std::uint64_t block : blocks) allocator.Free(block);
    EXPECT_EQ(allocator.usage().block_bytes, 0u);
    EXPECT_EQ(allocator.usage().page_bytes, 0u);
    EXPECT_EQ(allocator.usage().largest_free_bytes, std::uint64_t{1} << 20);
  }
  EXPECT_EQ(allocator.Allocate((1 << 20) + 1), BlockAllocator::kNone);
  EXPECT_EQ(allocator.Allocate(UINT64_MAX - 5000), BlockAllocator::kNone);
}

// Against a dumb twin: a map of what is in use. Blocks must never overlap.
TEST(BlockAllocatorTest, RandomUseNeverOverlaps) {
  for (std::uint64_t seed = 1; seed <= (kSanitized ? 2 : 10); ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    constexpr std::uint64_t kRegion = 8 << 20;
    BlockAllocator allocator(kRegion);
    std::map<std::uint64_t, std::uint64_t> used;
    for (int step = 0; step < 20'000; ++step) {
      if (!used.empty() && random.OneIn(1, 2)) {
        auto it = used.lower_bound(random.Below(kRegion));
        if (it == used.end()) it = used.begin();
        allocator.Free(it->first);
        used.erase(it);
        continue;
      }
      const std::uint64_t bytes = random.Below(std::uint64_t{1} << (6 + random.Below(14))) + 1;
      const std::uint64_t block = allocator.Allocate(bytes);
      if (block == BlockAllocator::kNone) continue;
      ASSERT_LE(block + bytes, kRegion);
      ASSERT_EQ(block % (bytes > BlockAllocator::kMaxSmallBytes ? 4096 : 16), 0u);
      const auto next = used.lower_bound(block);
      ASSERT_TRUE(next == used.end() || next->first >= block + bytes);
      ASSERT_TRUE(next == used.begin() ||
                  std::prev(next)->first + std::prev(next)->second <= block);
      used.emplace(block, bytes);
    }
    for (const auto& [block, bytes] : used) allocator.Free(block);
    ASSERT_EQ(allocator.usage().largest_free_bytes, kRegion);
  }
}

// What a forecast says, the allocator then does: refused before, given from then on.
TEST(BlockAllocatorTest, ForecastsWhatFreeingGives) {
  SeededRandom random(7);
  constexpr std::uint64_t kRegion = 1 << 20;
  int fitting = 0;
  int hopeless = 0;
  for (int round = 0; round < (kSanitized ? 400 : 2'000); ++round) {
    BlockAllocator allocator(kRegion);
    std::vector<std::uint64_t> used;
    for (int failures = 0; failures < 5;) {
      const std::uint64_t block =
          allocator.Allocate(random.Below(std::uint64_t{1} << (8 + random.Below(10))) + 1);
      if (block == BlockAllocator::kNone) {
        ++failures;
      } else {
        used.push_back(block);
      }
    }
    const std::uint64_t wanted = random.Below(std::uint64_t{1} << (10 + random.Below(11))) + 1;
    if (allocator.Allocate(wanted) != BlockAllocator::kNone) continue;
    for (std::size_t i = 0; i < used.size(); ++i) {
      std::swap(used[i], used[i + random.Below(used.size() - i)]);
    }
    // Some are held.
    used.resize(used.size() - random.Below(used.size() / 4 + 1));
    BlockAllocator::Forecast forecast(&allocator, wanted);
    std::size_t named = 0;
    while (named < used.size() && !forecast.fits()) forecast.Free(used[named++]);
    const std::uint64_t before = allocator.usage().block_bytes;
    for (std::size_t i = 0; i < named; ++i) {
      ASSERT_EQ(allocator.Allocate(wanted), BlockAllocator::kNone) << i << " of " << named;
      allocator.Free(used[i]);
    }
    ASSERT_LT(allocator.usage().block_bytes, before);
    ASSERT_LE(forecast.largest_bytes(), allocator.usage().largest_free_bytes);
    ++(forecast.fits() ? fitting : hopeless);
    ASSERT_EQ(allocator.Allocate(wanted) != BlockAllocator::kNone, forecast.fits());
  }
  EXPECT_GT(fitting, 20);
  EXPECT_GT(hopeless, 20);
}

// Sizes from 64 B to 64 MB, each power of two as likely: how full is the region when the first
// request finds no room, after long churn? docs/adr/0010-dram-allocator.md quotes the output.
TEST(BlockAllocatorTest, FragmentationUnderMixedSizes) {
  constexpr std::uint64_t kRegion = std::uint64_t{8} << 30;
  double worst = 1;
  double sum = 0;
  const int seeds = kSanitized ? 1 : 5;
  for (int seed = 1; seed <= seeds; ++seed) {
    SeededRandom random(static_cast<std::uint64_t>(seed));
    BlockAllocator allocator(kRegion);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> used;
    std::uint64_t asked = 0;
    double full = 1;
    for (int step = 0; step < 40'000; ++step) {
      const double log = 6 + 20 * (static_cast<double>(random.Next() >> 11) / (1ULL << 53));
      const auto bytes = static_cast<std::uint64_t>(std::exp2(log));
      std::uint64_t block = allocator.Allocate(bytes);
      // Full: the lowest utilization seen at that moment counts. Then make room at random.
      if (block == BlockAllocator::kNone) {
        full = std::min(full, static_cast<double>(asked + bytes) / kRegion);
      }
      while (block == BlockAllocator::kNone) {
        std::swap(used[random.Below(used.size())], used.back());
        allocator.Free(used.back().first);
        asked -= used.back().second;
        used.pop_back();
        block = allocator.Allocate(bytes);
      }
      used.emplace_back(block, bytes);
      asked += bytes;
    }
    worst = std::min(worst, full);
    sum += full;
  }
  std::cout << "utilization at the first refusal after churn: worst " << worst << ", mean "
            << sum / seeds << "\n";
  EXPECT_GT(worst, 0.55);
}

TEST(BlockAllocatorDeathTest, FreeingTwiceIsABug) {
  BlockAllocator allocator(1 << 20);
  const std::uint64_t block = allocator.Allocate(100);
  allocator.Allocate(100);
  allocator.Free(block);
  EXPECT_DEATH(allocator.Free(block), "no block at offset 0");
}

}  // namespace
}  // namespace cairn::dram
