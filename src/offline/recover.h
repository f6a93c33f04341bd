// Makes one surviving node of a cluster that lost its majority for good the only member of a new
// cluster, while no node runs on its folder.
//
// All that the node's journal holds counts as committed from then on: what a majority had
// acknowledged and this node has is kept, and so may be what was never acknowledged. What only
// others had is lost. The new cluster has a new id, so that nodes of the old one, which may come
// back, are turned away: two clusters can't mix their logs.
//
// A crash on the way leaves the node unable to lead in either cluster; running it again completes
// it.
//
// Thread safety: one thread.
#ifndef CAIRN_SRC_OFFLINE_RECOVER_H_
#define CAIRN_SRC_OFFLINE_RECOVER_H_

#include <string>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/membership.h"
#include "src/offline/restore.h"

namespace cairn::offline {

struct Recovered {
  ClusterId old_cluster;
  ClusterId cluster;
  consensus::Membership before;  // the newest membership that the node knew
  Slot applied_slot;             // of its database
  // Of the last entry of its journal: everything up to there is kept. Of several survivors the one
  // with the highest epoch has the newest log, and among equal epochs the one with the highest slot
  // (section 5.4.1 of the Raft paper): a longer log of an older epoch is a former leader's.
  Slot last_slot;
  Epoch last_epoch;
};

// What Recover would do; writes nothing but the lock, and what a start of the node would finish
// first (the end of the journal that was being written, an installation of a snapshot).
//   kNotFound            there is no such folder, or it is of no member of a cluster
//   kFailedPrecondition  a node runs on it, or another number stands in it
Result<Recovered> Survey(const Place& place, const Tools& tools);

Result<Recovered> Recover(const Place& place, const Tools& tools);

}  // namespace cairn::offline

#endif  // CAIRN_SRC_OFFLINE_RECOVER_H_
