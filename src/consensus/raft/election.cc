// Roles and elections: sections 5.2 and 5.4.1 of the Raft paper; 4.2.3, 6.2 and 9.6 of the
// dissertation for stickiness, check-quorum and pre-vote.
#include <algorithm>
#include <functional>

#include "src/base/planted_bug.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::ResetElectionTimer() {
  const auto range = static_cast<std::uint64_t>(options_.election_timeout.count());
  election_at_ =
      now_ + options_.election_timeout + Duration(static_cast<std::int64_t>(random_->Below(range)));
}

bool RaftCore::HearsFromLeader() const {
  if (role_ == Role::kLeader) return true;
  const bool lately = now_ < heard_from_leader_ + options_.election_timeout;
  // A lease rests on this promise, whatever this node has come to think of the leader since.
  return lately && (leader_ || options_.leases);
}

bool RaftCore::IsUpToDate(Slot last_slot, Epoch last_epoch) const {
  if (Planted(PlantedBug::kVoteForStaleLog)) return true;
  if (Planted(PlantedBug::kVoteByLengthAlone)) return last_slot >= log_.last_slot();
  if (last_epoch != log_.last_epoch()) return last_epoch > log_.last_epoch();
  return last_slot >= log_.last_slot();
}

void RaftCore::BecomeFollower(Epoch epoch, std::optional<PeerId> leader) {
  const bool led = role_ == Role::kLeader;
  const bool changed = role_ != Role::kFollower || epoch != epoch_ || leader != leader_;
  if (epoch > epoch_) {
    epoch_ = epoch;
    if (!Planted(PlantedBug::kVoteOutlivesEpoch)) voted_for_.reset();
    hard_state_dirty_ = true;
  } else if (Planted(PlantedBug::kStepDownForgetsVote)) {
    voted_for_.reset();
  }
  pre_voting_ = false;
  votes_.clear();
  role_ = Role::kFollower;
  leader_ = leader;
  if (led) {
    if (Planted(PlantedBug::kStepDownCutsLog)) CutFrom(committed_.Next());
    peers_.clear();
    transfer_.reset();
    rounds_.clear();
    ResetElectionTimer();
  }
  if (led || changed) FailBarriers(UnavailableError("the leader changed; try again"));
}

void RaftCore::Campaign(bool pre, bool transfer) {
  ResetElectionTimer();
  pre_voting_ = pre;
  votes_.clear();
  role_ = Role::kCandidate;
  leader_.reset();
  if (pre) {
    votes_[self_] = Vote::kGranted;
  } else {
    epoch_ = epoch_.Next();
    voted_for_ = self_;
    hard_state_dirty_ = true;
    // Its own vote counts once it is durable, like any other: see On(Persisted).
    own_vote_ = next_token_;
  }
  const VoteRequest request{pre ? epoch_.Next() : epoch_, log_.last_slot(), log_.last_epoch(), pre,
                            transfer};
  for (const PeerId& peer : membership().Peers()) {
    if (peer != self_ && membership().IsVoter(peer)) SendAfterPersist(peer, request);
  }
  CountVotesSoFar();
}

bool RaftCore::MayCampaign() const {
  if (removed_ || installing_) return false;
  for (auto it = memberships_.rbegin(); it != memberships_.rend(); ++it) {
    if (it->second.IsVoter(self_) || Planted(PlantedBug::kLearnerCampaigns)) return true;
    if (it->first <= committed_) return false;
  }
  return false;
}

void RaftCore::CountVotesSoFar() {
  const std::function<Vote(const PeerId&)> vote_of = [this](const PeerId& peer) {
    const auto it = votes_.find(peer);
    return it == votes_.end() ? Vote::kMissing : it->second;
  };
  switch (CountVotes(membership(), vote_of)) {
    case VoteOutcome::kWon:
      return pre_voting_ ? Campaign(false, false) : BecomeLeader();
    case VoteOutcome::kLost:
      return BecomeFollower(epoch_, std::nullopt);
    case VoteOutcome::kPending:
      return;
  }
}

void RaftCore::BecomeLeader() {
  votes_.clear();
  FailBarriers(UnavailableError("the leader changed; try again"));
  role_ = Role::kLeader;
  leader_ = self_;
  peers_.clear();
  rounds_.clear();
  transfer_.reset();
  lease_void_ = false;
  notice_.reset();
  // An empty entry of this epoch: when it commits, so does everything before it.
  first_own_slot_ = AppendOwn(EntryKind::kNoOp, std::make_shared<const std::string>());
  UpdatePeers();
  StartRound();
  MaybeCommit();
}

void RaftCore::Receive(const PeerId& from, const VoteRequest& m) {
  if (CommittedMembership().WasRemoved(from)) {
    Send(from, VoteResponse{epoch_, m.pre, false, true});
    return;
  }
  // A node that hears from a leader lets nobody disturb it; with leases on, one that restarted may
  // have promised just that and forgotten.
  const bool bound_by_lease = options_.leases && now_ < recovered_at_ + options_.election_timeout &&
                              !Planted(PlantedBug::kRestartForgetsLease);
  const bool sticky = HearsFromLeader() && !Planted(PlantedBug::kNoStickiness);
  if (!m.transfer && (sticky || bound_by_lease)) return;
  if (m.pre) {
    const bool granted = m.epoch > epoch_ && IsUpToDate(m.last_slot, m.last_epoch);
    Send(from, VoteResponse{granted ? m.epoch : epoch_, true, granted});
    return;
  }
  if (m.epoch > epoch_) BecomeFollower(m.epoch, std::nullopt);
  const bool free = !voted_for_ || *voted_for_ == from || Planted(PlantedBug::kVoteTwice);
  const bool granted =
      m.epoch == epoch_ && free && !leader_ && IsUpToDate(m.last_slot, m.last_epoch);
  if (!granted) return SendAfterPersist(from, VoteResponse{epoch_, false, false});
  ResetElectionTimer();
  if (Planted(PlantedBug::kVoteNotPersisted)) {
    voted_for_ = from;
    return Send(from, VoteResponse{epoch_, false, true});
  }
  if (voted_for_ != from) hard_state_dirty_ = true;
  voted_for_ = from;
  SendAfterPersist(from, VoteResponse{epoch_, false, true});
}

void RaftCore::Receive(const PeerId& from, const VoteResponse& m) {
  if (m.removed) {
    removed_ = true;
    effects_.removed = true;
    if (role_ == Role::kCandidate) BecomeFollower(epoch_, std::nullopt);
    return;
  }
  if (!m.granted && m.epoch > epoch_) {
    BecomeFollower(m.epoch, std::nullopt);
    return;
  }
  const Epoch asked = pre_voting_ ? epoch_.Next() : epoch_;
  if (role_ != Role::kCandidate) return;
  if (m.pre != pre_voting_ && !Planted(PlantedBug::kPreVotesCountAsVotes)) return;
  if (m.granted && m.epoch != asked && !Planted(PlantedBug::kLateVotesCount)) return;
  // A refusal of a pre-vote carries the voter's own epoch, which may be an older one.
  if (!m.granted && !m.pre && m.epoch != epoch_) return;
  if (Planted(PlantedBug::kDoubledVotesCount) && votes_.count(from) != 0) {
    for (const PeerId& voter : membership().Voters()) {
      if (votes_.emplace(voter, votes_[from]).second) break;
    }
  }
  votes_[from] = m.granted ? Vote::kGranted : Vote::kRefused;
  CountVotesSoFar();
}

void RaftCore::Receive(const PeerId& from, const TimeoutNow& m) {
  const bool leads = m.epoch == epoch_ && (!leader_ || leader_ == from);
  if (!leads || role_ == Role::kLeader || !membership().IsVoter(self_) || !MayCampaign()) return;
  Campaign(false, true);
}

// A leader that can't reach a quorum must not go on believing that it leads.
void RaftCore::CheckQuorum() {
  const std::function<Vote(const PeerId&)> active = [this](const PeerId& peer) {
    if (peer == self_) return Vote::kGranted;
    const auto it = peers_.find(peer);
    const bool heard =
        it != peers_.end() && now_ < it->second.last_heard + options_.election_timeout;
    return heard ? Vote::kGranted : Vote::kRefused;
  };
  if (CountVotes(membership(), active) == VoteOutcome::kWon) return;
  BecomeFollower(epoch_, std::nullopt);
}

// A leader answers what it has applied, and applies what its own disk holds: one whose disk hangs
// stops the group although it commits. Somebody else should lead.
void RaftCore::CheckDisk() {
  const bool hangs =
      !persists_.empty() && now_ >= persists_.front().handed_over + 2 * options_.election_timeout;
  if (!hangs || membership().Voters() == Voters{self_}) return;
  HandOverTo(MostCaughtUp());
  BecomeFollower(epoch_, std::nullopt);
}

}  // namespace cairn::consensus::raft
