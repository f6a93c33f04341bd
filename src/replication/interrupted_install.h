// A node may end after a snapshot became its engine's state and before its journal was reset to it.
// Whoever opens such a folder does the second step first.
#ifndef CAIRN_SRC_REPLICATION_INTERRUPTED_INSTALL_H_
#define CAIRN_SRC_REPLICATION_INTERRUPTED_INSTALL_H_

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/journal/journal.h"
#include "src/storage/engine.h"

namespace cairn::replication {

// `state`: of the engine; `installed`, `epoch`: of the snapshot that it began with, 0 if it began
// with none. Does nothing if the journal has been reset. kCorruption if journal and state do not
// belong together.
Status FinishInterruptedInstall(consensus::Journal* journal, const storage::StateMeta& state,
                                Slot installed, Epoch epoch);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_INTERRUPTED_INSTALL_H_
