// What can be found wrong with a history, by kind: a failure is shrunk as long as its kind stays
// the same, and a planted bug names the kinds that count as finding it.
//
// Thread safety: plain values.
#ifndef CAIRN_SIM_VIOLATION_H_
#define CAIRN_SIM_VIOLATION_H_

#include <cstdint>
#include <string_view>

namespace cairn::sim {

enum class ViolationKind : std::uint8_t {
  kNone,

  // ---- Invariants, at every step (sim/invariants.h)
  kTwoLeaders,        // in one epoch
  kLogsDiffer,        // entries of one slot and epoch, or what stands before them
  kCommitChanges,     // what was committed falls back, is cut off, or is something else
  kEarlyPromise,      // something was said to be durable, or promised, before it was
  kAppliedTooEarly,   // what is not committed, or not durable here
  kLostAfterRestart,  // what was synced
  kJournalCutTooFar,  // above what the engine has flushed
  kWrongSnapshot,     // installed over a newer state, or of a state that never was
  kStatesDiffer,      // of replicas at the same slot, or of one that replayed the log

  // ---- Nodes
  kDoesNotStart,
  kAssertion,         // a CAIRN_CHECK failed
  kNoAnswer,          // of a node that runs, by the deadline
  kTwoAnswers,        // to one request
  kNoProgress,        // after healing
  kTooFewOperations,  // were begun in a long time, and so little was tried
  kWrongSession,      // an answer of a session that cannot be, or a retry with another answer

  // ---- What clients saw (sim/check/history.h)
  kWrongData,  // seen at once: a scan out of order, a stamp that is not the version's
  kVersionsOutOfOrder,
  kBrokenPromise,    // a read below what it promised, or of what nobody wrote
  kSnapshotsDiffer,  // reads at one version
  kStampsWrong,      // an append that happened twice, or not
  kNotSerializable,
  kNotLinearizable,
  kCount
};

// "two leaders", "not linearizable", ...
std::string_view NameOf(ViolationKind kind);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_VIOLATION_H_
