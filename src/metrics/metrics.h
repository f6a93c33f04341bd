// Counters and histograms that many threads record into while one reads.
//
// Recording is one or two relaxed additions to a cell that the calling thread shares with few
// others (threads are dealt to kStripes cells, each on cache lines of its own), so that counting a
// request neither waits nor bounces a cache line between cores. Reading adds the cells up: each
// figure is exact, figures of one reading may be a moment apart.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_METRICS_METRICS_H_
#define CAIRN_SRC_METRICS_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/base/clock.h"

namespace cairn::metrics {

inline constexpr std::size_t kStripes = 8;
inline constexpr std::size_t kCacheLine = 64;

// The calling thread's stripe. Threads get theirs in turn, when they first ask.
std::size_t ThisStripe();

// Grows only.
class Counter {
 public:
  void Add(std::uint64_t n = 1) {
    cells_[ThisStripe()].value.fetch_add(n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t Value() const;

 private:
  struct alignas(kCacheLine) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Cell, kStripes> cells_;
};

// Counts values by range.
class Histogram {
 public:
  static constexpr std::size_t kMaxBounds = 24;

  // What was recorded. counts[i] holds the values <= bounds[i] that are above bounds[i - 1]; the
  // last of counts those above all bounds.
  struct Reading {
    std::span<const std::uint64_t> bounds;
    std::vector<std::uint64_t> counts;
    std::uint64_t sum = 0;
    std::uint64_t total = 0;
  };

  // `bounds`: upper bounds, rising, kMaxBounds at most; must outlive the histogram.
  explicit Histogram(std::span<const std::uint64_t> bounds);

  void Record(std::uint64_t value);
  [[nodiscard]] Reading Read() const;

 private:
  struct alignas(kCacheLine) Stripe {
    std::array<std::atomic<std::uint64_t>, kMaxBounds + 1> counts{};
    std::atomic<std::uint64_t> sum{0};
  };
  const std::span<const std::uint64_t> bounds_;
  std::array<Stripe, kStripes> stripes_;
};

// Bounds for times, in nanoseconds: 10 us to 60 s in steps of 1, 2.5, 5.
std::span<const std::uint64_t> LatencyBounds();
// Bounds for counts: powers of two from 1 to 2048.
std::span<const std::uint64_t> CountBounds();

// Bounds for sizes, in bytes: powers of four from 64 to 64 MiB.
std::span<const std::uint64_t> ByteBounds();

// A time as a page shows it.
inline double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// A time as a histogram takes it; a negative one (a clock that was set back) counts as 0.
inline std::uint64_t Nanoseconds(Duration d) {
  return d.count() < 0 ? 0 : static_cast<std::uint64_t>(d.count());
}

}  // namespace cairn::metrics

#endif  // CAIRN_SRC_METRICS_METRICS_H_
