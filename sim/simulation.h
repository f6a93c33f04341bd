// One simulated history: a world of nodes and clients that runs a plan, and the checks.
//
// First everything goes wrong, as planned. Then the faults stop: every node comes back, new work
// must go through, everything that was acknowledged must be there, all states must be alike, and a
// fresh state machine that applies the whole log must end up with that state.
//
// Thread safety: runs may go on side by side on several threads; each is its own world.
#ifndef CAIRN_SIM_SIMULATION_H_
#define CAIRN_SIM_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/effects.h"
#include "sim/plan.h"
#include "sim/story_line.h"
#include "sim/violation.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/planted_bug.h"

namespace cairn::sim {

// Bugs of the simulated world itself, beside those planted in the product.
enum class WorldBug : std::uint8_t {
  kNone,
  kDiskLies,
  kRetryWithoutSession,
  kAnswersDoubled,      // one answer in a hundred comes twice
  kReplayLosesEntries,  // what is replayed at the end lacks the entries of its second half
  kReplayBlinks         // one state on the way of the replay is another one
};

struct SimulationOptions {
  PlantedBug bug = PlantedBug::kNone;
  WorldBug world_bug = WorldBug::kNone;
  // Gets every step; may be empty. Costs time.
  std::function<void(const StoryLine&)> story;
};

struct SimulationReport {
  ViolationKind kind = ViolationKind::kNone;
  std::string violation;       // empty: all is well
  MonotonicTime violation_at;  // what matters to it happened by then
  Duration simulated{0};
  std::uint64_t operations = 0;
  std::map<int, std::uint64_t> operations_of;  // by client
  std::uint64_t faults = 0;                    // begun; what they came to is in `effects`
  Effects effects;
  std::uint64_t restarts = 0;
  std::uint64_t snapshots = 0;  // installed
  std::uint64_t wipes = 0;
  std::uint64_t voter_changes = 0;
  std::uint64_t transfers = 0;
  std::uint64_t elections = 0;
  std::uint64_t frames = 0;
  std::uint64_t searches_given_up = 0;  // for an order of a key's operations: nobody knows
  Slot replayed;  // up to which a fresh state machine applied the log, with the same outcome
  std::uint64_t states_compared = 0;  // on its way, with those that nodes had
  // Hash of the final state and of the number of steps: equal for equal plans.
  std::uint64_t fingerprint = 0;
  std::size_t faults_struck = 0;  // how far into the plan's faults the run came
};

SimulationReport RunPlan(const Plan& plan, const SimulationOptions& options = {});
// RunPlan of the seed's plan.
SimulationReport RunSeed(std::uint64_t seed, const SimulationOptions& options = {});

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SIMULATION_H_
