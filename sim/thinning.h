// Which parts of a seed's plan are left out: what a shrunk failure is replayed from. As text it is
// the argument of `cairn-sim --only`.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SIM_THINNING_H_
#define CAIRN_SIM_THINNING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "sim/plan.h"

namespace cairn::sim {

// What is not set stays as the seed has it.
struct Thinning {
  std::optional<std::vector<std::size_t>> faults;  // positions of those that stay, ascending
  std::optional<std::vector<int>> clients;         // that speak, ascending
  std::optional<std::vector<OperationNumber>> operations;  // that are done, ascending
  std::optional<int> lanes;
  std::optional<std::uint32_t> nodes;
  std::optional<std::int64_t> duration_ms;
  bool any_operations = false;  // ends after `duration`, however few operations there were
  bool clean_links = false;     // links lose nothing but by faults
  bool steady_clocks = false;
  // Another run of the same plan: other delays, everywhere.
  std::uint64_t variation = 0;

  friend bool operator==(const Thinning&, const Thinning&) = default;
};

// The plan without what the thinning leaves out. Faults of nodes that are left out go, too.
Plan Thin(const Plan& plan, const Thinning& thinning);

// "faults=3,17/clients=0/ops=0.4,0.7/lanes=1/nodes=3/ms=4200/any-operations/clean-links/variation=2";
// empty for nothing left out.
std::string ToString(const Thinning& thinning);
// kInvalidArgument that names the part that is not understood.
Result<Thinning> ParseThinning(std::string_view text);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_THINNING_H_
