// One simulated history from one seed: clients, faults, healing, and the checks.
//
// First everything goes wrong: power cuts that tear and drop unsynced writes, cuts in the middle of
// a file operation, full disks, failed syncs, clock steps, slow disks. Then the faults stop, and
// everything that was acknowledged must be there, and new work must go through.
//
// Thread safety: RunSeed may run on several threads at once; each run is its own world.
#ifndef CAIRN_SIM_SIMULATION_H_
#define CAIRN_SIM_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <string>

#include "src/base/clock.h"

namespace cairn::sim {

// Faults planted on purpose, to prove that the checks find them.
enum class PlantedBug : std::uint8_t { kNone, kDiskLies, kRetryWithoutSession };

struct SimulationOptions {
  std::uint64_t seed = 1;
  Duration duration = std::chrono::seconds(60);
  int clients = 4;
  PlantedBug bug = PlantedBug::kNone;
  // Gets a line for each fault and each start; may be empty.
  std::function<void(MonotonicTime, const std::string&)> trace;
};

struct SimulationReport {
  std::string violation;  // empty: all is well
  Duration simulated{0};
  std::uint64_t operations = 0;
  std::uint64_t faults = 0;
  std::uint64_t restarts = 0;
  // Hash of the final state and of the number of steps: equal for equal seeds.
  std::uint64_t fingerprint = 0;
};

SimulationReport RunSeed(const SimulationOptions& options);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SIMULATION_H_
