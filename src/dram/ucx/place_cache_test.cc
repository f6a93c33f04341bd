#include "src/dram/ucx/place_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace cairn::dram::ucx {
namespace {

constexpr std::size_t kMib = 1 << 20;

TEST(PlaceCacheTest, APlaceThatWasLetGoServesTheNext) {
  PlaceCache cache;
  MutableBuffer first = cache.Get(kMib);
  char* const data = first.data;
  std::memset(data, 1, kMib);
  MutableBuffer second = cache.Get(kMib);
  EXPECT_NE(second.data, data) << "still in use";
  EXPECT_EQ(cache.idle_bytes(), 0u);
  first.pin.reset();
  EXPECT_EQ(cache.idle_bytes(), kMib);
  // A little smaller is fine; much smaller would waste it.
  const MutableBuffer small = cache.Get(kMib / 2);
  EXPECT_NE(small.data, data);
  const MutableBuffer third = cache.Get(kMib - 1000);
  EXPECT_EQ(third.data, data);
  EXPECT_EQ(third.size, kMib - 1000);
  EXPECT_EQ(cache.idle_bytes(), 0u);
}

TEST(PlaceCacheTest, WhatLiesUnusedIsBounded) {
  PlaceCache cache;
  std::vector<MutableBuffer> places;
  for (std::size_t i = 0; i < 100; ++i) places.push_back(cache.Get(kMib + i));
  places.push_back(cache.Get(PlaceCache::kMaxIdleBytes + 1));
  places.push_back(cache.Get(100));
  places.clear();
  EXPECT_LE(cache.idle_bytes(), PlaceCache::kMaxIdleBytes);
  EXPECT_GE(cache.idle_bytes(), PlaceCache::kMaxIdleBytes - 2 * kMib);
}

TEST(PlaceCacheTest, PlacesOutliveTheCacheAndGoOnAnyThread) {
  auto cache = std::make_unique<PlaceCache>();
  MutableBuffer kept = cache->Get(kMib);
  std::vector<std::vector<MutableBuffer>> shares(4);
  for (auto& share : shares) {
    for (int i = 0; i < 20; ++i) share.push_back(cache->Get(PlaceCache::kMinKeptBytes));
  }
  std::vector<std::thread> threads;
  for (auto& share : shares) threads.emplace_back([&share] { share.clear(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache->idle_bytes(), 80 * PlaceCache::kMinKeptBytes);
  cache.reset();
  std::memset(kept.data, 2, kept.size);
  EXPECT_EQ(kept.data[kMib - 1], 2);
}

}  // namespace
}  // namespace cairn::dram::ucx
