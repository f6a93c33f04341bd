// Raft as a pure state machine (Ongaro and Ousterhout, "In Search of an Understandable Consensus
// Algorithm", 2014; Ongaro's dissertation, 2014, for what the paper leaves out).
//
// Beyond the paper's figure 2 it has: pre-vote; check-quorum (a leader that hears from no majority
// for an election timeout steps down) and leader stickiness (a node that hears from a leader gives
// no vote); a no-op when leadership is taken; commits counted in the current epoch only (figure 8);
// batched and pipelined appends with a window; fast back-up on mismatch; learners; membership
// changes by joint consensus; leadership transfer; batched read barriers; leases, as an option; a
// leader whose disk hangs hands over.
//
// A peer is a node and its incarnation. Votes, acknowledgements and leadership belong to a peer;
// what another life of the same node says never counts for it, and what is meant for another life
// of this node is dropped.
//
// In the neutral words of core.h a term is an epoch and a log index is a slot.
//
// What must be durable before it is promised: a vote and the epoch before the answer that grants it
// and before a candidate asks or counts its own; entries before the answer that acknowledges them.
// The leader counts itself only for what its own journal holds, but sends to its peers while its
// disk still writes. Answers to heartbeats promise nothing durable and don't wait for the disk.
//
// Thread safety: owned by one serial executor. Deterministic: time comes with events, chance from
// the Random that is handed in.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_RAFT_CORE_H_
#define CAIRN_SRC_CONSENSUS_RAFT_RAFT_CORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/consensus/core/quorum.h"
#include "src/consensus/raft/log.h"
#include "src/consensus/raft/messages.h"
#include "src/consensus/raft/progress.h"

namespace cairn::consensus::raft {

struct RaftOptions {
  NodeId self;
  IncarnationId incarnation;  // of this node's data folder
  // An election starts after between one and two of these without a leader.
  Duration election_timeout = std::chrono::milliseconds(5000);
  Duration heartbeat_interval = std::chrono::milliseconds(1000);
  // How long a commit may wait for an append that takes the news of it along, when no more is
  // written and nobody is known to wait for it elsewhere (docs/adr/0025). 0: it is told at once.
  Duration commit_notice_delay = Duration::zero();
  // Appends to one peer that wait for their answers, and the payload bytes of one.
  std::uint32_t max_in_flight = 64;
  std::uint64_t max_append_bytes = 1 << 20;
  // Payloads kept in memory for peers that lag; older ones are fetched from the journal.
  std::uint64_t max_cached_bytes = 64 << 20;
  // A leader whose heartbeats a quorum answered serves read barriers without asking again, for an
  // election timeout less `max_clock_drift_ppm`. Only answers of peers count for that which promise
  // to vote for nobody else for as long: with this option, and an election timeout that is no
  // shorter (docs/adr/0008).
  bool leases = false;
  std::uint32_t max_clock_drift_ppm = 50'000;
  // A learner that is to vote is made a voter when it lacks at most so many committed slots.
  std::uint64_t promote_within = 64;
};

class RaftCore final : public Core {
 public:
  // `random` must outlive the core and belongs to the same executor.
  RaftCore(const RaftOptions& options, Random* random)
      : options_(options), self_{options.self, options.incarnation}, random_(random) {}

  Effects Step(const Event& event) override;
  [[nodiscard]] std::vector<PeerProgress> ProgressOfPeers(MonotonicTime now) const override;

  // For tests, invariants and diagnostics.
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Slot committed() const { return committed_; }
  [[nodiscard]] const Log& log() const { return log_; }
  [[nodiscard]] const Membership& membership() const { return memberships_.back().second; }
  [[nodiscard]] const std::map<PeerId, Progress>& peers() const { return peers_; }
  [[nodiscard]] std::optional<PeerId> voted_for() const { return voted_for_; }
  [[nodiscard]] bool lease_is_valid() const { return role_ == Role::kLeader && LeaseIsValid(); }

 private:
  // ---- Events
  void On(const Recovered& event);
  void On(const Tick& event);
  void On(const MessageReceived& event);
  void On(const Propose& event);
  void On(const ReadBarrier& event);
  void On(const Persisted& event);
  void On(const Applied& event);
  void On(const ChangeMembership& event);
  void On(const TransferLeadership& event);
  void On(const Fetched& event);
  void On(const Compacted& event);
  void On(const SnapshotReceived& event);
  void On(const SnapshotInstalled& event);
  void On(const SnapshotSent& event);

  // ---- Messages
  void Receive(const PeerId& from, const VoteRequest& m);
  void Receive(const PeerId& from, const VoteResponse& m);
  void Receive(const PeerId& from, const AppendRequest& m);
  void Receive(const PeerId& from, const AppendResponse& m);
  void Receive(const PeerId& from, const TimeoutNow& m);
  void Receive(const PeerId& from, const BarrierRequest& m);
  void Receive(const PeerId& from, const BarrierResponse& m);

  // ---- Roles and elections (election.cc)
  void BecomeFollower(Epoch epoch, std::optional<PeerId> leader);
  void Campaign(bool pre, bool transfer);
  void CountVotesSoFar();
  // A voter of the membership in force, or of one that may still be: as long as the entry that
  // removes this node is not known to be committed, the others may not be able to elect a leader
  // without its log (dissertation, 4.2.2). Its own vote counts only where it is a voter.
  [[nodiscard]] bool MayCampaign() const;
  void BecomeLeader();
  void ResetElectionTimer();
  [[nodiscard]] bool HearsFromLeader() const;
  [[nodiscard]] bool IsUpToDate(Slot last_slot, Epoch last_epoch) const;
  void CheckQuorum();
  void CheckDisk();

  // ---- Replication: the leader's side (replication.cc)
  Slot AppendOwn(EntryKind kind, std::shared_ptr<const std::string> payload);
  void Broadcast();
  void StartRound();
  // Sends what the peer's progress allows; with `heartbeat` at least an empty append.
  void SendAppend(const PeerId& peer, bool heartbeat);
  void AskForSnapshot(const PeerId& peer, Progress& progress);
  void SendEntries(const PeerId& peer, Progress& progress, std::vector<Entry> entries);
  void MaybeCommit();
  void CommitTo(Slot slot);
  // Tells peers that have all of the log what of it is committed: at once, if somebody may wait
  // there or if they have not heard of `overdue`, else in a while.
  void TellCommitted(Slot overdue);
  void Acknowledged(const PeerId& from, Progress& progress, Slot slot);
  void Refused(const PeerId& from, Progress& progress, const AppendResponse& m);
  // The follower's side (follower.cc)
  // Drops the log from `slot` on, if it reaches that far, and forgets what was durable of it.
  void CutFrom(Slot slot);
  void TakeEntries(const std::vector<Entry>& entries);
  // The answer that everything up to `slot` is here, with what this node promises by it.
  [[nodiscard]] AppendResponse Holds(Slot slot, const AppendRequest& m) const;
  void Acknowledge(const PeerId& leader, const AppendRequest& m, Slot match);

  // ---- Membership and transfer (membership_change.cc)
  [[nodiscard]] Status MayChangeTo(const Membership& target) const;
  [[nodiscard]] bool Answers(const PeerId& peer, MonotonicTime now) const;
  Slot AppendMembership(Membership next);
  void SetMembership(Slot slot, Membership membership);
  void ForgetMembershipsFrom(Slot slot);
  [[nodiscard]] const Membership& CommittedMembership() const;
  void AfterMembershipCommitted();
  void PromoteIfCaughtUp();
  void UpdatePeers();
  void MaybeFinishTransfer();
  [[nodiscard]] std::optional<PeerId> MostCaughtUp() const;
  void HandOverTo(const std::optional<PeerId>& peer);

  // ---- Read barriers (barriers.cc)
  struct Waiting {
    std::optional<PeerId> peer;  // who asked; nothing: this node
    std::uint64_t run = 0;       // of a peer
    std::uint64_t id = 0;
    Slot slot;
  };
  void AskLeader();
  void AskLeaderAgain();
  void OpenBarriers();
  void OpenAll(const std::vector<Waiting>& barriers);
  void FailBarriers(const Status& status);
  [[nodiscard]] std::uint64_t RoundOfQuorum(std::uint64_t Progress::*round) const;
  [[nodiscard]] bool LeaseIsValid() const;

  // ---- Effects
  void Send(const PeerId& to, RaftMessage message);
  // Leaves once everything handed to the journal so far, this step included, is durable.
  void SendAfterPersist(const PeerId& to, RaftMessage message);
  void Finish();
  void ReportLeadership();
  [[nodiscard]] std::string EncodeHardState() const;
  void DecodeHardState(const std::string& bytes);

  const RaftOptions options_;
  const PeerId self_;
  Random* const random_;

  // Of the step that runs.
  MonotonicTime now_;
  Effects effects_;
  Persist persist_;
  bool hard_state_dirty_ = false;
  std::vector<std::size_t> after_persist_;  // indexes into effects_.messages

  // Durable.
  Epoch epoch_;
  std::optional<PeerId> voted_for_;
  Log log_;

  // What is on its way to the journal: in the order of tokens.
  struct Writing {
    PersistToken token;
    Slot last_slot;  // durable with it; 0 if no entries
    MonotonicTime handed_over;
  };
  PersistToken next_token_{1};
  PersistToken durable_token_;
  PersistToken hard_state_token_;  // of the last change of epoch or vote
  std::deque<Writing> persists_;
  Slot durable_slot_;

  bool recovered_ = false;
  MonotonicTime recovered_at_;
  std::uint64_t run_ = 0;  // random: tells answers to this run from those to a former one
  Role role_ = Role::kFollower;
  std::optional<PeerId> leader_;
  std::optional<Leadership> reported_;
  Slot committed_;
  MonotonicTime heard_from_leader_{INT64_MIN / 2};
  MonotonicTime election_at_;
  bool removed_ = false;            // for good
  std::optional<Slot> installing_;  // the snapshot that is being installed

  // By the slot of the entry that brought it; the first is that of the snapshot. The last is in
  // force, committed or not.
  std::deque<std::pair<Slot, Membership>> memberships_;

  // Of a candidate.
  bool pre_voting_ = false;
  PersistToken own_vote_;  // with it, its own vote is durable
  std::map<PeerId, Vote> votes_;

  // Of a leader.
  std::map<PeerId, Progress> peers_;
  MonotonicTime heartbeat_at_;
  Slot first_own_slot_;  // the no-op of this leadership
  Slot announce_;        // commits up to here are told at once
  // When the others are told of commits up to which slot, at the latest.
  std::optional<std::pair<MonotonicTime, Slot>> notice_;
  std::uint64_t round_ = 0;
  std::deque<std::pair<std::uint64_t, MonotonicTime>> rounds_;  // when each began
  std::optional<std::pair<PeerId, MonotonicTime>> transfer_;    // to whom, and until when
  bool lease_void_ = false;  // another node may have been told to take over

  // Barriers of the round that is under way, and of the next one: at most one of each peer in each.
  std::vector<Waiting> barriers_;
  std::uint64_t barriers_round_ = 0;
  std::vector<Waiting> next_barriers_;
  // On followers: barriers with the numbers under which the leader is asked, and the numbers that
  // were asked for and are not answered.
  std::deque<std::pair<std::uint64_t, BarrierId>> asked_barriers_;
  std::deque<std::uint64_t> asks_in_flight_;
  std::uint64_t next_ask_ = 1;
};

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_RAFT_CORE_H_
