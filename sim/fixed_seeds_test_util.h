// The seeds that simulation_test.cc runs on every change: 1 to this one.
#ifndef CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_
#define CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_

#include <cstdint>

#include "src/base/sanitizers.h"

namespace cairn::sim {

inline constexpr std::uint64_t kFixedSeeds = kSanitized ? 3 : 20;

}  // namespace cairn::sim

#endif  // CAIRN_SIM_FIXED_SEEDS_TEST_UTIL_H_
