#include "src/metrics/metrics.h"

#include <algorithm>

#include "src/base/check.h"

namespace cairn::metrics {

std::size_t ThisStripe() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return mine;
}

std::uint64_t Counter::Value() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
  return sum;
}

Histogram::Histogram(std::span<const std::uint64_t> bounds) : bounds_(bounds) {
  CAIRN_CHECK(bounds.size() <= kMaxBounds, "too many bounds for a histogram");
}

void Histogram::Record(std::uint64_t value) {
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
  Stripe& stripe = stripes_[ThisStripe()];
  stripe.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  stripe.sum.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Reading Histogram::Read() const {
  Reading reading;
  reading.bounds = bounds_;
  reading.counts.resize(bounds_.size() + 1);
  for (const Stripe& stripe : stripes_) {
    for (std::size_t i = 0; i < reading.counts.size(); ++i) {
      const std::uint64_t count = stripe.counts[i].load(std::memory_order_relaxed);
      reading.counts[i] += count;
      reading.total += count;
    }
    reading.sum += stripe.sum.load(std::memory_order_relaxed);
  }
  return reading;
}

std::span<const std::uint64_t> LatencyBounds() {
  constexpr std::uint64_t kMicro = 1'000;
  constexpr std::uint64_t kMilli = 1'000'000;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  static constexpr std::array<std::uint64_t, 21> kBounds = {
      10 * kMicro,  25 * kMicro,   50 * kMicro,  100 * kMicro, 250 * kMicro,  500 * kMicro,
      1 * kMilli,   2500 * kMicro, 5 * kMilli,   10 * kMilli,  25 * kMilli,   50 * kMilli,
      100 * kMilli, 250 * kMilli,  500 * kMilli, 1 * kSecond,  2500 * kMilli, 5 * kSecond,
      10 * kSecond, 30 * kSecond,  60 * kSecond};
  return kBounds;
}

std::span<const std::uint64_t> CountBounds() {
  static constexpr std::array<std::uint64_t, 12> kBounds = {1,  2,   4,   8,   16,   32,
                                                            64, 128, 256, 512, 1024, 2048};
  return kBounds;
}

std::span<const std::uint64_t> ByteBounds() {
  static constexpr std::array<std::uint64_t, 11> kBounds = {64,       256,      1 << 10,   4 << 10,
                                                            16 << 10, 64 << 10, 256 << 10, 1 << 20,
                                                            4 << 20,  16 << 20, 64 << 20};
  return kBounds;
}

}  // namespace cairn::metrics
