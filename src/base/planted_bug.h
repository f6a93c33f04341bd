// Known bugs planted on purpose, to prove that the tests find them (negative tests; compare
// FoundationDB's tests/negative). The code asks Planted() at the place that a bug would change.
//
// In what ships the answer is a constant no, and no trace of a bug is left. The libraries that hold
// bugs are built once more for the simulator and the scenarios, as NAME_planted (PLANTED in
// src/CMakeLists.txt), with CAIRN_PLANTED_BUGS; there PlantBug (src/base/testing/plant_bug.h)
// plants one for a thread: simulations and scenarios run on one, several of them side by side.
#ifndef CAIRN_SRC_BASE_PLANTED_BUG_H_
#define CAIRN_SRC_BASE_PLANTED_BUG_H_

#include <cstdint>

namespace cairn {

// Every bug and what it does, in one list: the enumeration and the names that tests and cairn-sim
// go by are made of it.
#define CAIRN_EVERY_BUG(BUG)                                                                      \
  /* ---- Raft core */                                                                            \
  BUG(kCommitOldEpochByCounting, "figure 8 of the Raft paper; libraft before December 2022")      \
  BUG(kVoteNotPersisted, "a vote is given before, and without, being durable")                    \
  BUG(kVoteForStaleLog, "the candidate's log is not looked at")                                   \
  BUG(kVoteTwice, "one vote an epoch is not kept to")                                             \
  BUG(kAckBeforeDurable, "an append is acknowledged before it is durable")                        \
  BUG(kLeaderCountsUnsyncedSelf, "the leader counts its own entries before they are durable")     \
  BUG(kBarrierWithoutQuorum, "a barrier opens without asking anybody")                            \
  BUG(kBarrierBeforeOwnEntry,                                                                     \
      "a barrier opens before an entry of the leader's epoch is committed")                       \
  BUG(kTruncateMatchingEntries, "a late, short append cuts off what follows it")                  \
  BUG(kCommitBeyondMatch, "a follower commits up to the leader's commit, not up to the match")    \
  BUG(kSingleStepMembership, "the voters are replaced at once, without a joint phase")            \
  BUG(kWipedVoterVotes, "a new incarnation votes for the old one")                                \
  BUG(kLeaseIgnoresTransfer, "a lease outlives the transfer of leadership")                       \
  BUG(kSnapshotRewindsCommit, "an old snapshot is installed over a newer state")                  \
  BUG(kVoteByLengthAlone, "the longer log is taken for the newer one")                            \
  BUG(kVoteOutlivesEpoch, "the vote of an epoch is kept in the next")                             \
  BUG(kPreVotesCountAsVotes, "a late answer to a pre-vote counts in the election")                \
  BUG(kNoPreVote, "whoever hears nothing raises its epoch")                                       \
  BUG(kNoCheckQuorum, "a leader that nobody answers goes on leading")                             \
  BUG(kNoStickiness, "a node that hears from a leader votes for another")                         \
  BUG(kRestartForgetsLease, "a restarted node votes while it is bound by a lease")                \
  BUG(kLoneVoterIgnoresLease,                                                                     \
      "the only voter leads at once while a leader that leaves has a lease")                      \
  BUG(kRoundOfFormerEpoch, "an answer to a heartbeat of a former epoch confirms a later round")   \
  BUG(kBarrierOfFormerRun, "an answer to a former run of the process opens a barrier")            \
  BUG(kBarrierOnRoundUnderWay,                                                                    \
      "a barrier is confirmed by heartbeats sent before it was asked for")                        \
  BUG(kNoPrevCheck, "entries are taken without looking at what they follow")                      \
  BUG(kDurableSurvivesTruncation,                                                                 \
      "what was durable before a truncation counts as durable behind it")                         \
  BUG(kSnapshotCutsLongerLog, "installing a snapshot drops acknowledged entries behind it")       \
  BUG(kVotesBeforeCaughtUp, "a new voter votes before it has the log")                            \
  BUG(kOverlappingChanges, "a change of membership begins before the former is committed")        \
  BUG(kMembershipOutlivesTruncation, "a truncated membership stays in force")                     \
  BUG(kLeadsWithHungDisk, "a leader whose disk finishes nothing goes on leading")                 \
  BUG(kSnapshotBelievedEarly, "a snapshot counts as installed when it has arrived")               \
  BUG(kSnapshotEpochIgnored, "a log that holds the slot of a snapshot is taken to match it")      \
  BUG(kUnboundedWindow, "appends are sent ahead without bound")                                   \
  BUG(kBackUpOneByOne, "a leader goes back one slot for each append that is refused")             \
  BUG(kClockOfTicks,                                                                              \
      "time passes with ticks alone, and stands still while the process is stopped")              \
  BUG(kDoubledVotesCount, "a doubled answer of one voter counts twice")                           \
  BUG(kLateVotesCount, "answers of an earlier election count in this one")                        \
  BUG(kStepDownForgetsVote, "the vote of an epoch is forgotten on stepping down in it")           \
  BUG(kStepDownCutsLog,                                                                           \
      "on stepping down a leader cuts off what it does not know to be committed")                 \
  BUG(kLearnerCampaigns, "a learner asks for votes")                                              \
  BUG(kLeaseByQuorumCheckAlone,                                                                   \
      "a lease lasts until the leader finds out that it lost its quorum")                         \
  BUG(kLeaseIgnoresDrift, "a lease lasts as long as if all clocks ran alike")                     \
  BUG(kSyncDoesNotCommit, "the leader does not look what is committed when its own disk is done") \
  /* ---- Replica and routing */                                                                  \
  BUG(kAnswerBeforeSync, "the journal says durable before its fdatasync")                         \
  BUG(kMessageBeforeToken, "a held message leaves before what it promises is durable")            \
  BUG(kApplyBeyondDurable, "apply runs ahead of the local journal")                               \
  BUG(kReadWithoutBarrier, "linearizable reads skip the barrier")                                 \
  BUG(kStaleLocalRead, "local reads ignore max_staleness")                                        \
  BUG(kIgnoreMinVersion, "min_version is not waited for")                                         \
  BUG(kJournalCutTooFar, "the journal is cut beyond what the engine has flushed")                 \
  BUG(kReadBeforeApplied, "a read does not wait until what its barrier names is applied")         \
  BUG(kTimeoutDeniesWrite, "a write in the log that timed out is said not to have been applied")  \
  BUG(kTimeoutForgotten, "a write in the log is not answered when its deadline passes")           \
  BUG(kForwardTwice, "a write without a session is forwarded bare, to each leader anew")          \
  BUG(kSnapshotFileNotSynced, "a received snapshot is installed without being synced")            \
  /* ---- State machine */                                                                        \
  BUG(kDedupeOff, "retries under a session are applied again")                                    \
  BUG(kAnswersNotPersisted, "what was answered under a session is forgotten by a restart")        \
  BUG(kAnswersForgottenEarly, "the answer to the oldest outstanding command is dropped")          \
  BUG(kSessionsLostInSnapshot, "a snapshot is installed without its sessions")                    \
  BUG(kConflictRangeIgnored, "conflict ranges are not checked")                                   \
  BUG(kConflictKeyOffByOne, "a commit right after the read version is not a conflict")

enum class PlantedBug : std::uint8_t {
  kNone,
#define CAIRN_BUG_(name, what) name,
  CAIRN_EVERY_BUG(CAIRN_BUG_)
#undef CAIRN_BUG_
      kCount
};

#ifdef CAIRN_PLANTED_BUGS

namespace planted_bug_internal {
inline thread_local PlantedBug planted = PlantedBug::kNone;
}  // namespace planted_bug_internal

// True if a test planted `bug` on this thread.
inline bool Planted(PlantedBug bug) {
  return __builtin_expect(planted_bug_internal::planted == bug, 0);
}

#else

constexpr bool Planted(PlantedBug) { return false; }

#endif

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_PLANTED_BUG_H_
