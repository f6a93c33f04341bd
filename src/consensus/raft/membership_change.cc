// Membership changes by joint consensus (section 6 of the Raft paper) and leadership transfer
// (section 3.10 of the dissertation).
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::On(const ChangeMembership& event) {
  const auto reject = [&](Status status) {
    effects_.rejected.push_back({event.id, std::move(status)});
  };
  if (role_ != Role::kLeader) return reject(NotLeaderError("this node does not lead"));
  if (committed_ < first_own_slot_) {
    return reject(UnavailableError("the leader has not committed an entry of its own yet"));
  }
  if (memberships_.back().first > committed_ || membership().IsJoint()) {
    return reject(FailedPreconditionError("another membership change is under way"));
  }
  if (event.target.Voters().empty() || event.target.IsJoint()) {
    return reject(InvalidArgumentError("a group needs a voter"));
  }
  Membership next = event.target;
  // With the same voters every quorum of one meets every quorum of the other.
  if (next.Voters() != membership().Voters()) next.outgoing_voters = membership().Voters();
  const Slot slot =
      AppendOwn(EntryKind::kMembership, std::make_shared<const std::string>(next.Encode()));
  effects_.accepted.push_back({event.id, slot, epoch_});
  SetMembership(slot, std::move(next));
  Broadcast();
}

void RaftCore::SetMembership(Slot slot, Membership membership) {
  memberships_.emplace_back(slot, std::move(membership));
  effects_.membership = memberships_.back().second;
  if (role_ == Role::kLeader) UpdatePeers();
}

void RaftCore::ForgetMembershipsFrom(Slot slot) {
  bool changed = false;
  while (memberships_.size() > 1 && memberships_.back().first >= slot) {
    memberships_.pop_back();
    changed = true;
  }
  if (changed) effects_.membership = membership();
}

void RaftCore::UpdatePeers() {
  const std::vector<NodeId> nodes = membership().Nodes();
  for (auto it = peers_.begin(); it != peers_.end();) {
    const bool stays = std::binary_search(nodes.begin(), nodes.end(), it->first);
    it = stays ? std::next(it) : peers_.erase(it);
  }
  for (const NodeId node : nodes) {
    if (node == options_.self || peers_.count(node) != 0) continue;
    Progress progress;
    progress.next = log_.last_slot();  // Probing starts before the entry just added, or at it.
    if (progress.next <= log_.base_slot()) progress.next = log_.base_slot().Next();
    progress.last_heard = now_;  // It has an election timeout to answer.
    peers_.emplace(node, progress);
  }
}

void RaftCore::AfterMembershipCommitted() {
  if (memberships_.back().first > committed_) return;
  if (membership().IsJoint()) {
    Membership next = membership();
    next.outgoing_voters.clear();
    const Slot slot =
        AppendOwn(EntryKind::kMembership, std::make_shared<const std::string>(next.Encode()));
    // Voters on their way out still get this entry: peers are dropped after it was sent.
    Broadcast();
    SetMembership(slot, std::move(next));
    MaybeCommit();
    return;
  }
  // A leader that is no voter any more leads until the change is committed, and no longer.
  if (!membership().IsVoter(options_.self)) BecomeFollower(epoch_, std::nullopt);
}

void RaftCore::On(const TransferLeadership& event) {
  const auto it = peers_.find(event.to);
  if (role_ != Role::kLeader || it == peers_.end() || !membership().IsVoter(event.to)) return;
  transfer_ = {event.to, now_ + options_.election_timeout};
  MaybeFinishTransfer();
}

void RaftCore::MaybeFinishTransfer() {
  if (!transfer_) return;
  const auto it = peers_.find(transfer_->first);
  if (it == peers_.end()) return transfer_.reset();
  if (it->second.match < log_.last_slot()) return;
  // From here on another node may be elected past everybody's stickiness, even if the message is
  // late: there is no lease any more in this epoch.
  lease_void_ = true;
  Send(transfer_->first, TimeoutNow{epoch_});
}

}  // namespace cairn::consensus::raft
