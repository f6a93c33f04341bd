// One random history of a Cluster: faults of every kind from a seed, then it heals and must go on.
//
// Thread safety: pure function of its arguments (and of a planted bug).
#ifndef CAIRN_SRC_CONSENSUS_RAFT_TESTING_RANDOM_HISTORY_H_
#define CAIRN_SRC_CONSENSUS_RAFT_TESTING_RANDOM_HISTORY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "src/consensus/raft/testing/cluster.h"

namespace cairn::consensus::raft {

struct HistoryOptions {
  Cluster::Options cluster;
  int steps = 4000;
  bool change_members = true;
  bool wipe = true;
  bool compact = true;
};

struct BrokenPromise {
  Promise promise = Promise::kNoneBroken;
  std::string what;  // and the state of the nodes
};

// What was broken first; nothing if all was kept.
std::optional<BrokenPromise> RunRandomHistory(std::uint64_t seed, const HistoryOptions& options);

// Timing that makes much happen in little time.
RaftOptions FastRaft();

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_TESTING_RANDOM_HISTORY_H_
