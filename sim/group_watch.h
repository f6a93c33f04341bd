// Counts what happens to groups as a whole: leaders that are lost, leadership that is handed over,
// changes of members and whether their leader lived to see the end. Sees each step of each core.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_GROUP_WATCH_H_
#define CAIRN_SIM_GROUP_WATCH_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/effects.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::sim {

class GroupWatch {
 public:
  // `at_drift_bound`: clocks of the nodes drift apart as far as leases allow.
  GroupWatch(std::uint32_t nodes, bool at_drift_bound, Effects* effects)
      : at_drift_bound_(at_drift_bound), effects_(effects), nodes_(nodes) {}

  // The core of `node` took a step.
  void OnStep(NodeId node, const consensus::Event& event, const consensus::Effects& effects);
  // The process of `node` ended, in whatever way.
  void Ended(NodeId node);
  // It was stopped by a signal.
  void Stopped(NodeId node);

 private:
  struct Node {
    consensus::Leadership leadership;
    consensus::Membership membership;
    [[nodiscard]] bool leads() const { return leadership.role == consensus::Role::kLeader; }
  };
  struct Transfer {
    NodeId to;
    Epoch from;
  };
  // A change of members on its way, as its leaders see it.
  struct Change {
    Epoch epoch;  // of the last leader that had it in its log
    bool outlived = false;
  };

  void OnBarriers(const consensus::Event& event, const consensus::Effects& effects);
  void OnLeader(NodeId node);
  void OnMembership(const Node& leader);

  const bool at_drift_bound_;
  Effects* const effects_;
  std::vector<Node> nodes_;
  std::optional<Transfer> transfer_;
  std::optional<Change> change_;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_GROUP_WATCH_H_
