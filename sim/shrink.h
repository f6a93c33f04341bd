// Makes a failure small: runs the same seed again with fewer faults, clients, operations and nodes
// and for a shorter time, and keeps what still fails in the same way.
//
// The method is delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", 2002) over the lists of faults, clients and operations.
// Leaving a fault out changes all delays after it, so a failure that needs luck may hide: each
// candidate gets a few variations of its delays.
//
// Thread safety: pure functions; runs may go on side by side.
#ifndef CAIRN_SIM_SHRINK_H_
#define CAIRN_SIM_SHRINK_H_

#include <cstdint>

#include "sim/simulation.h"
#include "sim/thinning.h"

namespace cairn::sim {

struct Shrunk {
  Thinning thinning;
  SimulationReport report;  // of the run of what is left
  std::uint64_t runs = 0;   // that it took
};

// Shrinks the failure of a seed's plan, thinned by `thinning` already, whose run gave `report`
// (with a violation). Takes at most `most_runs` runs, each at most as long as the original.
Shrunk Shrink(std::uint64_t seed, const Thinning& thinning, const SimulationReport& report,
              const SimulationOptions& options, std::uint64_t most_runs = 300);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SHRINK_H_
