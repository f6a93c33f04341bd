#include "src/base/clock.h"

#include <sys/random.h>
#include <time.h>

#include "src/base/check.h"

namespace cairn {

MonotonicTime SystemClock::Now() const {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return {static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec};
}

WallTime SystemClock::Wall() const {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return {static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000};
}

std::uint64_t SystemEntropy() {
  std::uint64_t seed = 0;
  CAIRN_CHECK(getrandom(&seed, sizeof(seed), 0) == static_cast<ssize_t>(sizeof(seed)));
  return seed;
}

}  // namespace cairn
