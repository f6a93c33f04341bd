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

  // ---- Raft core
  kCommitOldEpochByCounting,   // figure 8 of the Raft paper; libraft before December 2022
  kVoteNotPersisted,           // a vote is given before, and without, being durable
  kVoteForStaleLog,            // the candidate's log is not looked at
  kVoteTwice,                  // one vote an epoch is not kept to
  kAckBeforeDurable,           // an append is acknowledged before it is durable
  kLeaderCountsUnsyncedSelf,   // the leader counts its own entries before they are durable
  kBarrierWithoutQuorum,       // a barrier opens without asking anybody
  kBarrierBeforeOwnEntry,      // a barrier opens before an entry of the leader's epoch is committed
  kTruncateMatchingEntries,    // a late, short append cuts off what follows it
  kCommitBeyondMatch,          // a follower commits up to the leader's commit, not up to the match
  kSingleStepMembership,       // the voters are replaced at once, without a joint phase
  kWipedVoterVotes,            // a new incarnation votes for the old one
  kLeaseIgnoresTransfer,       // a lease outlives the transfer of leadership
  kSnapshotRewindsCommit,      // an old snapshot is installed over a newer state
  kVoteByLengthAlone,          // the longer log is taken for the newer one
  kVoteOutlivesEpoch,          // the vote of an epoch is kept in the next
  kPreVotesCountAsVotes,       // a late answer to a pre-vote counts in the election
  kNoPreVote,                  // whoever hears nothing raises its epoch
  kNoCheckQuorum,              // a leader that nobody answers goes on leading
  kNoStickiness,               // a node that hears from a leader votes for another
  kRestartForgetsLease,        // a restarted node votes while it is bound by a lease
  kBarrierOfFormerRun,         // an answer to a former run of the process opens a barrier
  kBarrierOnRoundUnderWay,     // a barrier is confirmed by heartbeats sent before it was asked for
  kNoPrevCheck,                // entries are taken without looking at what they follow
  kDurableSurvivesTruncation,  // what was durable before a truncation counts as durable behind it
  kSnapshotCutsLongerLog,      // installing a snapshot drops acknowledged entries behind it
  kVotesBeforeCaughtUp,        // a new voter votes before it has the log
  kOverlappingChanges,         // a change of membership begins before the former is committed
  kMembershipOutlivesTruncation,  // a truncated membership stays in force

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
