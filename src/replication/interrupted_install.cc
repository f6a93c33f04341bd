#include "src/replication/interrupted_install.h"

#include "src/base/log.h"

namespace cairn::replication {

Status FinishInterruptedInstall(consensus::Journal* journal, const storage::StateMeta& state,
                                Slot installed, Epoch epoch) {
  const consensus::JournalContents held = journal->Contents();
  if (installed <= held.compacted_slot) return Status::Ok();
  // Nothing is applied in between, and whoever takes a snapshot has been in a group before.
  if (state.applied_slot != installed || held.hard_state.empty()) {
    return CorruptionError("the database began with the snapshot of slot " + ToString(installed) +
                           " and holds the state of slot " + ToString(state.applied_slot) +
                           ", but the journal begins after slot " + ToString(held.compacted_slot) +
                           "; journal files are missing. Restore both from one backup");
  }
  CAIRN_LOG(kInfo,
            "replica: the node ended while it installed the snapshot of slot {}; resetting the "
            "journal to it",
            installed.value());
  return journal->ResetTo(installed, epoch);
}

}  // namespace cairn::replication
