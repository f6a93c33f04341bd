// Known bugs planted on purpose, to prove that the tests find them (negative tests; compare
// FoundationDB's tests/negative). Production code asks Planted() at the place that a bug would
// change; nothing but PlantBug in src/base/testing can make it say yes, and no program that ships
// links that.
//
// A bug is planted for one thread: simulations and scenarios run on one, several of them side by
// side. Real executors have threads of their own and never see it.
#ifndef CAIRN_SRC_BASE_PLANTED_BUG_H_
#define CAIRN_SRC_BASE_PLANTED_BUG_H_

#include <cstdint>

namespace cairn {

enum class PlantedBug : std::uint8_t {
  kNone,

  // ---- Replica and routing
  kAnswerBeforeSync,    // the journal says durable before its fdatasync
  kMessageBeforeToken,  // a held message leaves before what it promises is durable
  kApplyBeyondDurable,  // apply runs ahead of the local journal
  kReadWithoutBarrier,  // linearizable reads skip the barrier
  kStaleLocalRead,      // local reads ignore max_staleness
  kIgnoreMinVersion,    // min_version is not waited for
  kJournalCutTooFar,    // the journal is cut beyond what the engine has flushed

  // ---- State machine
  kDedupeOff,             // retries under a session are applied again
  kConflictRangeIgnored,  // conflict ranges are not checked
  kConflictKeyOffByOne,   // a commit right after the read version is not a conflict
};

namespace planted_bug_internal {
inline thread_local PlantedBug planted = PlantedBug::kNone;
}  // namespace planted_bug_internal

// True if a test planted `bug` on this thread.
inline bool Planted(PlantedBug bug) {
  return __builtin_expect(planted_bug_internal::planted == bug, 0);
}

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_PLANTED_BUG_H_
