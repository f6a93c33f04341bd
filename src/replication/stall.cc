#include "src/replication/stall.h"

#include <string>

namespace cairn::replication {
namespace {

// What the first entry that waits has not got over.
const char* WhereItStands(const ReplicaStatus& status) {
  const bool durable = status.durable_slot > status.applied_slot;
  if (status.committed_slot > status.applied_slot) {
    return durable ? "the database of this node does not take what is committed"
                   : "the disk of this node has not written what is committed";
  }
  return durable ? "too few of the other voters acknowledge them; look at their disks, and at the "
                   "network between"
                 : "the disk of this node has not written them";
}

}  // namespace

Status WhyWritesWait(const ReplicaStatus& status) {
  if (!status.health.ok()) return status.health;
  if (!status.stalled_for || *status.stalled_for < kStallBound) return Status::Ok();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*status.stalled_for);
  return UnavailableError("writes wait, and none got through for " +
                          std::to_string(seconds.count()) + " s: " + WhereItStands(status));
}

}  // namespace cairn::replication
