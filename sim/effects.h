// What faults came to: a fault that is begun may meet nothing (a full disk that nobody writes to, a
// cut link that nobody uses). Each effect is counted where it happens, and where it can be seen.
//
// Thread safety: none; plain values.
#ifndef CAIRN_SIM_EFFECTS_H_
#define CAIRN_SIM_EFFECTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/clock.h"

namespace cairn::sim {

// Of every simulated node.
inline constexpr Duration kElectionTimeout = std::chrono::milliseconds(300);

enum class Effect : std::uint8_t {
  // ---- Disks
  kUnsyncedLost,      // a power cut took bytes or names that were not synced
  kTornTail,          // a start found a torn record at the journal's end
  kCutInTransfer,     // the process ended while a snapshot arrived at it
  kCutInInstall,      // ... while it put one in the place of its state
  kInstallFinished,   // a start finished an installation that a crash had interrupted
  kJournalNoRoom,     // the journal refused a batch, or room for the next one
  kEngineNoRoom,      // an engine was full when something was to be applied
  kSyncFailed,        // an fdatasync failed on demand
  kDeadDisk,          // a dead disk refused an operation
  kSlowStep,          // a journal thread took longer than an election timeout for one step
  kStartOnSlowDisk,   // a node started while its disk was slow
  kReplacedDeadDisk,  // a node with a dead disk came back with an empty one

  // ---- Processes and their clocks
  kClockForward,   // the wall clock of a process jumped
  kClockBackward,  // ... to the past
  kStopped,        // a process that served was stopped in order
  kKilled,         // kill -9 of one that served

  // ---- Frames between nodes
  kCutAgain,     // a flapping link that carried frames was cut again
  kFrameQueued,  // waited for others on a narrow link
  kFrameLost,
  kFrameCutOff,     // by a cut link
  kFrameDoubled,    // arrived twice
  kFrameReordered,  // arrived after one that was sent later
  kFrameLate,       // took longer than an election timeout

  // ---- Groups
  kLeaderLost,         // a process ended while it led
  kLeaderStopped,      // SIGSTOP of one that led
  kStaleLeader,        // somebody came to lead while another one believed that it still did
  kLateReadRefused,    // a barrier that a leader had taken failed, because it leads no more
  kStaleLeaderAsked,   // a read was put to one that led no more, and believed that it did
  kVoterLost,          // power was cut at a node that had just given a vote
  kLeaseRead,          // a barrier that a lease answered
  kLeaseAtDriftBound,  // the same, where clocks drift apart as far as leases allow
  kTransferDone,       // leadership went where it was to go
  kChangeDone,         // a change of members came to its end
  kChangeOutlived,     // ... under another leader than it began under
  kMemberGained,       // a node that was no member became a voter
  kMemberGone,         // a member was removed for good

  // ---- Writes on their way to the leader
  kForwarderLost,    // a process ended that waited for the leader's answer to a write
  kForwardRepeated,  // a forwarded write was put to a second leadership
  kBareForward,      // a write without a session came to a node that had to forward it

  // ---- Clients
  kBareWriteUnknown,  // the fate of a write without a session stayed unknown
  kRetryAnswered,     // a command of a session was sent again and got its first answer
  kCount
};
inline constexpr std::size_t kEffects = static_cast<std::size_t>(Effect::kCount);

// "unsynced_lost": in the totals of cairn-sim.
std::string_view NameOf(Effect effect);
// "power cuts that took what was not synced".
std::string_view DescriptionOf(Effect effect);

class Effects {
 public:
  void Count(Effect effect, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(effect)] += times;
  }
  [[nodiscard]] std::uint64_t Of(Effect effect) const {
    return counts_[static_cast<std::size_t>(effect)];
  }
  void Add(const Effects& other);
  friend bool operator==(const Effects&, const Effects&) = default;

 private:
  std::array<std::uint64_t, kEffects> counts_ = {};
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_EFFECTS_H_
