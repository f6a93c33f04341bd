// Time and randomness as inputs. Nothing under src/consensus, src/replication, src/kv, src/storage
// or sim reads a real clock or a random device: it is handed one of these.
#ifndef CAIRN_SRC_BASE_CLOCK_H_
#define CAIRN_SRC_BASE_CLOCK_H_

#include <chrono>
#include <compare>
#include <cstdint>

namespace cairn {

using Duration = std::chrono::nanoseconds;

// Monotonic time of one process: nanoseconds since an arbitrary start. Never compared across
// processes.
struct MonotonicTime {
  std::int64_t ns = 0;
  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend constexpr MonotonicTime operator+(MonotonicTime t, Duration d) {
    return {t.ns + d.count()};
  }
  friend constexpr Duration operator-(MonotonicTime a, MonotonicTime b) {
    return Duration(a.ns - b.ns);
  }
  static constexpr MonotonicTime Max() { return {INT64_MAX}; }
};

// Wall time: microseconds since the Unix epoch. May jump either way.
struct WallTime {
  std::int64_t us = 0;
  friend constexpr auto operator<=>(WallTime, WallTime) = default;
};

// Source of time. Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime Now() const = 0;
  [[nodiscard]] virtual WallTime Wall() const = 0;
};

// The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME).
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override;
  [[nodiscard]] WallTime Wall() const override;
};

// Source of random 64-bit numbers. Not thread safe: each owner has its own.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t Next() = 0;
  // Uniform in [0, bound); 0 if bound is 0.
  std::uint64_t Below(std::uint64_t bound) {
    if (bound == 0) return 0;
    // The bias of the multiply-shift is below 2^-32 for every bound used here.
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  // True with probability num/den.
  bool OneIn(std::uint64_t num, std::uint64_t den) { return Below(den) < num; }
};

// Deterministic generator (SplitMix64, Steele, Lea and Flood 2014): the same seed gives the same
// numbers on every machine.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() override {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// A seed from the kernel (getrandom). For main functions and folder identities only.
std::uint64_t SystemEntropy();

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_CLOCK_H_
