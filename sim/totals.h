// Sums over many histories.
//
// Thread safety: none; a plain value.
#ifndef CAIRN_SIM_TOTALS_H_
#define CAIRN_SIM_TOTALS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/simulation.h"

namespace cairn::sim {

class Totals {
 public:
  // One more history.
  void Add(const SimulationReport& report);

  [[nodiscard]] std::uint64_t seeds() const { return seeds_; }
  // Histories with a violation.
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] const Effects& effects() const { return effects_; }
  // For people: "20 seeds, 0.85 simulated hours, ...", and a line for each effect.
  [[nodiscard]] std::string Readable() const;
  // For programs: "seeds=20 simulated_us=3060000000 ... failed=0", whole numbers that may be added
  // up. What this says of the sum of two runs is the sum of what it says of each.
  [[nodiscard]] std::string Line() const;

 private:
  // Every sum with its name in Line(), in that order.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>> All() const;

  std::uint64_t seeds_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t simulated_us_ = 0;  // each history's rounded down
  std::uint64_t operations_ = 0;
  std::uint64_t faults_ = 0;
  std::uint64_t restarts_ = 0;
  std::uint64_t snapshots_ = 0;
  std::uint64_t wipes_ = 0;
  std::uint64_t voter_changes_ = 0;
  std::uint64_t transfers_ = 0;
  std::uint64_t elections_ = 0;
  std::uint64_t searches_given_up_ = 0;
  Effects effects_;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_TOTALS_H_
