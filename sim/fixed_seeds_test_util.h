// The seeds that run on every change: 1 to kFixedSeeds. The negative tests look for their bugs
// among them, so that the product without a bug is known to find nothing there.
#ifndef CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_
#define CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "sim/simulation.h"
#include "src/base/sanitizers.h"

namespace cairn::sim {

inline constexpr std::uint64_t kFixedSeeds = kSanitized ? 3 : 40;

// Runs seeds 1 to `last` on every core there is; the reports are in the order of the seeds. Begins
// no further one when a report was `enough`; those not run are left out.
inline std::vector<SimulationReport> RunSeedsTo(
    std::uint64_t last, const SimulationOptions& options = {},
    const std::function<bool(const SimulationReport&)>& enough = nullptr) {
  std::vector<SimulationReport> reports(last);
  std::atomic<std::uint64_t> next = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      while (!done) {
        const std::uint64_t at = next++;
        if (at >= last) return;
        reports[at] = RunSeed(at + 1, options);
        if (enough && enough(reports[at])) done = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  reports.resize(std::min(next.load(), last));
  return reports;
}

}  // namespace cairn::sim

#endif  // CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_
