// What will happen in one simulated history, fixed before it begins: the world, the clients and the
// faults. All of it follows from the seed, and parts of it can be left out without moving the rest,
// which is how a failure is shrunk.
//
// Thread safety: plain values.
#ifndef CAIRN_SIM_PLAN_H_
#define CAIRN_SIM_PLAN_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"

namespace cairn::sim {

enum class FaultKind : std::uint8_t {
  kPowerCut,      // loses and tears what was not synced; back after `lasts`
  kPowerCutAt,    // the same, in the middle of one of the next file operations (`amount`)
  kPowerCutAll,   // all nodes lose power at once, each in the middle of one of its next operations
  kCutTransfer,   // power cut at the next node that takes a snapshot, `amount` operations into it
  kCutInstall,    // the same, at the next one that installs a snapshot
  kKill,          // kill -9: the process is gone, the page cache is not
  kStop,          // an orderly stop
  kPause,         // SIGSTOP, for `lasts`
  kSyncFails,     // the next fdatasync fails
  kDiskFull,      // `amount` bytes are left, for `lasts`
  kEngineFull,    // for `lasts`
  kSlowDisk,      // for `lasts`; with an `amount` the node is killed and back meanwhile
  kDeadDisk,      // every operation fails; after `lasts` it is replaced as by kWipe
  kFallBehind,    // down for `lasts`, while the others cut their journals: it needs a snapshot
  kClockStep,     // the wall clock jumps by `amount` ms
  kCutOneWay,     // `node` is not heard by those in `others`
  kCutBothWays,   // nor hears them
  kFlap,          // the same, off and on again
  kLossy,         // all links lose, double and delay frames
  kSlowLinks,     // links of `node` are slow and narrow
  kFlush,         // the engine is flushed, the journal cut
  kForwardFate,   // the next write that is forwarded loses its way: see ForwardFate in faults.cc
  kTransfer,      // leadership is to go to `node`
  kWipe,          // the disk is replaced by an empty one; back as a new incarnation
  kRemoveVoter,   // `node` becomes a learner for `lasts`, then a voter again
  kAddMember,     // `node`, if it is no member, is added and made a voter: see member_faults.cc
  kRemoveMember,  // `node` is removed for good: only as somebody new can it be added again
  kChurn,  // for `lasts` links are slow, and leaders and voters are lost: see leader_faults.cc
  kStaleLeader,  // the leader learns late that it leads no more, and is read from: see there
  kCount
};

struct Fault {
  Duration at{0};
  FaultKind kind = FaultKind::kPowerCut;
  std::uint32_t node = 0;
  bool at_leader = false;    // of whoever leads then, not of `node`
  std::uint32_t others = 0;  // a bit a node
  Duration lasts{0};
  std::int64_t amount = 0;

  // "power cut at node 2, for 0.3 s".
  [[nodiscard]] std::string Describe() const;
};

// The n-th operation of a client, from 1 on.
struct OperationNumber {
  int client = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const OperationNumber&, const OperationNumber&) = default;
};

struct Plan {
  std::uint64_t seed = 0;
  std::uint64_t variation = 0;  // of delays and of what disks and networks do by chance
  std::uint32_t nodes = 3;
  std::uint32_t founders = 3;                    // the first so many are the members when it begins
  Duration duration = std::chrono::seconds(60);  // of the faults; healing comes after
  std::uint64_t least_operations = 1000;         // goes on (without further faults) until then
  bool demands_operations = true;                // fewer are a violation; not in a part of a plan
  // Clients by number: one that is left out stays silent, the others do the same.
  std::vector<int> clients;
  // If set, clients do these operations alone, and each of them as they would among all.
  std::optional<std::vector<OperationNumber>> operations;
  // Clients with this number and above never open a session.
  int first_bare_client = 0;
  int lanes = 2;
  Duration think_most{0};
  std::vector<Fault> faults;

  // The world.
  std::int64_t most_drift_ppm = 0;
  bool drift_at_bound = false;  // one clock drifts as far as that, another one the other way
  std::uint64_t max_journal_bytes = 32 << 10;
  std::uint64_t retain_journal_bytes = 0;
  std::uint64_t segment_bytes = 8 << 10;
  std::uint32_t max_batch_size = 10;
  bool leases = false;
  bool stale_reads = true;
  Duration max_staleness{0};
  Duration mvcc_window{0};
  Duration session_idle{0};
  bool heal_by_restart = true;  // all nodes start again when the faults end; else only those down
  std::uint32_t lost_per_mille = 0;  // of every link, always
};

// The plan of a seed.
Plan MakePlan(std::uint64_t seed);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_PLAN_H_
