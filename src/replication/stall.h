// Whether what stands in the log gets through: how a leader knows that writes wait although nobody
// refuses them.
//
// A leader whose followers' disks hang goes on leading: they answer its heartbeats. So does one
// whose own disk or engine hangs. What all have in common is that entries wait and none is applied.
//
// Thread safety: a value; the caller guards it.
#ifndef CAIRN_SRC_REPLICATION_STALL_H_
#define CAIRN_SRC_REPLICATION_STALL_H_

#include <chrono>
#include <optional>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/replication/replica_options.h"

namespace cairn::replication {

// Entries that wait for longer, while none is applied, are told to operators. Entries take
// milliseconds, and a leader without a majority steps down within an election timeout.
inline constexpr Duration kStallBound = std::chrono::seconds(5);

class StallWatch {
 public:
  // The log goes up to `last`, and is applied up to `applied`. `moved`: something was applied, or
  // this node has just come to lead; else entries have come.
  void Note(Slot last, Slot applied, bool moved, const Clock& clock) {
    if (applied >= last) {
      since_.reset();
    } else if (moved || !since_) {
      since_ = clock.Now();
    }
  }
  // How long entries have waited with none applied; nothing while none waits.
  [[nodiscard]] std::optional<Duration> For(MonotonicTime now) const {
    return since_ ? std::optional<Duration>(now - *since_) : std::nullopt;
  }

 private:
  std::optional<MonotonicTime> since_;
};

// Why writes do not get through at the node that says this of itself: it refuses them
// (status.health), or it leads and they have waited for kStallBound. OK: nothing is known.
Status WhyWritesWait(const ReplicaStatus& status);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_STALL_H_
