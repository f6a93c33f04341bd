// Roles and elections: sections 5.2 and 5.4.1 of the Raft paper; 4.2.3, 6.2 and 9.6 of the
// dissertation for stickiness, check-quorum and pre-vote.
#include <algorithm>
#include <functional>

#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::SetLeadership(Role role, std::optional<NodeId> leader) {
  role_ = role;
  leader_ = leader;
  effects_.leadership = Leadership{role, epoch_, leader};
}

void RaftCore::ResetElectionTimer() {
  const auto range = static_cast<std::uint64_t>(options_.election_timeout.count());
  election_at_ =
      now_ + options_.election_timeout + Duration(static_cast<std::int64_t>(random_->Below(range)));
}

bool RaftCore::HearsFromLeader() const {
  if (role_ == Role::kLeader) return true;
  return leader_ && now_ < heard_from_leader_ + options_.election_timeout;
}

bool RaftCore::IsUpToDate(Slot last_slot, Epoch last_epoch) const {
  if (last_epoch != log_.last_epoch()) return last_epoch > log_.last_epoch();
  return last_slot >= log_.last_slot();
}

void RaftCore::BecomeFollower(Epoch epoch, std::optional<NodeId> leader) {
  const bool led = role_ == Role::kLeader;
  const bool changed = role_ != Role::kFollower || epoch != epoch_ || leader != leader_;
  if (epoch > epoch_) {
    epoch_ = epoch;
    voted_for_.reset();
    hard_state_dirty_ = true;
  }
  pre_voting_ = false;
  votes_.clear();
  if (changed) SetLeadership(Role::kFollower, leader);
  if (led) {
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
  if (!pre) {
    epoch_ = epoch_.Next();
    voted_for_ = options_.self;
    hard_state_dirty_ = true;
  }
  votes_[options_.self] = Vote::kGranted;
  SetLeadership(Role::kCandidate, std::nullopt);
  const VoteRequest request{pre ? epoch_.Next() : epoch_, log_.last_slot(), log_.last_epoch(), pre,
                            transfer};
  for (const NodeId node : membership().Nodes()) {
    if (node != options_.self && membership().IsVoter(node)) SendAfterPersist(node, request);
  }
  CountVotesSoFar();
}

bool RaftCore::MayCampaign() const {
  for (auto it = memberships_.rbegin(); it != memberships_.rend(); ++it) {
    if (it->second.IsVoter(options_.self)) return true;
    if (it->first <= committed_) return false;
  }
  return false;
}

void RaftCore::CountVotesSoFar() {
  const std::function<Vote(NodeId)> vote_of = [this](NodeId node) {
    const auto it = votes_.find(node);
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
  SetLeadership(Role::kLeader, options_.self);
  peers_.clear();
  rounds_.clear();
  lease_void_ = false;
  // An empty entry of this epoch: when it commits, so does everything before it.
  first_own_slot_ = AppendOwn(EntryKind::kNoOp, std::make_shared<const std::string>());
  UpdatePeers();
  StartRound();
  MaybeCommit();
}

void RaftCore::Receive(NodeId from, const VoteRequest& m) {
  // A node that hears from a leader lets nobody disturb it; with leases on, one that restarted may
  // have promised just that and forgotten.
  const bool bound_by_lease = options_.leases && now_ < recovered_at_ + options_.election_timeout;
  if (!m.transfer && (HearsFromLeader() || bound_by_lease)) return;
  if (m.pre) {
    const bool granted = m.epoch > epoch_ && IsUpToDate(m.last_slot, m.last_epoch);
    Send(from, VoteResponse{granted ? m.epoch : epoch_, true, granted});
    return;
  }
  if (m.epoch > epoch_) BecomeFollower(m.epoch, std::nullopt);
  const bool free = !voted_for_ || *voted_for_ == from;
  const bool granted =
      m.epoch == epoch_ && free && !leader_ && IsUpToDate(m.last_slot, m.last_epoch);
  if (granted) {
    if (voted_for_ != from) hard_state_dirty_ = true;
    voted_for_ = from;
    ResetElectionTimer();
  }
  SendAfterPersist(from, VoteResponse{epoch_, false, granted});
}

void RaftCore::Receive(NodeId from, const VoteResponse& m) {
  if (!m.granted && m.epoch > epoch_) {
    BecomeFollower(m.epoch, std::nullopt);
    return;
  }
  const Epoch asked = pre_voting_ ? epoch_.Next() : epoch_;
  if (role_ != Role::kCandidate || m.pre != pre_voting_) return;
  if (m.granted && m.epoch != asked) return;
  // A refusal of a pre-vote carries the voter's own epoch, which may be an older one.
  if (!m.granted && !m.pre && m.epoch != epoch_) return;
  votes_[from] = m.granted ? Vote::kGranted : Vote::kRefused;
  CountVotesSoFar();
}

void RaftCore::Receive(NodeId, const TimeoutNow& m) {
  if (m.epoch != epoch_ || role_ == Role::kLeader || !membership().IsVoter(options_.self)) return;
  Campaign(false, true);
}

// A leader that can't reach a quorum must not go on believing that it leads.
void RaftCore::CheckQuorum() {
  const std::function<Vote(NodeId)> active = [this](NodeId node) {
    if (node == options_.self) return Vote::kGranted;
    const auto it = peers_.find(node);
    const bool heard =
        it != peers_.end() && now_ < it->second.last_heard + options_.election_timeout;
    return heard ? Vote::kGranted : Vote::kRefused;
  };
  if (CountVotes(membership(), active) == VoteOutcome::kWon) return;
  BecomeFollower(epoch_, std::nullopt);
}

}  // namespace cairn::consensus::raft
