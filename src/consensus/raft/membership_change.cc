// Membership changes by joint consensus (section 6 of the Raft paper), learners that catch up
// before they vote (4.2.1 of the dissertation), and leadership transfer (3.10 of the dissertation).
//
// A change takes up to three entries: those who join get the log as learners, while those who leave
// still vote; then, once all of them have caught up, a joint membership; then the target. All that
// is intended stands in the membership itself, so that any later leader goes on with it.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/planted_bug.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {
namespace {

using Member = Membership::Member;

bool ById(const Member& a, const Member& b) { return a.id() < b.id(); }

bool AnyJoining(const Membership& membership) {
  return std::any_of(membership.members.begin(), membership.members.end(),
                     [](const Member& member) { return member.joining; });
}

// Who was in `before` and is in `after` no more, nor on the way out of it, never comes back.
void RememberRemoved(const Membership& before, Membership* after) {
  after->removed = before.removed;
  const std::vector<PeerId> stay = after->Peers();
  for (const PeerId& peer : before.Peers()) {
    if (!std::binary_search(stay.begin(), stay.end(), peer)) after->removed.push_back(peer);
  }
  while (after->removed.size() > Membership::kMaxRemoved) {
    after->removed.erase(after->removed.begin());
  }
}

// Goes from `now` to `next`, in one step if the voters stay the same: then every quorum of one
// meets every quorum of the other.
Membership StepTo(const Membership& now, Membership next) {
  std::sort(next.members.begin(), next.members.end(), ById);
  if (next.Voters() != now.Voters() && !Planted(PlantedBug::kSingleStepMembership)) {
    next.outgoing_voters = now.Voters();
  }
  RememberRemoved(now, &next);
  return next;
}

// The first step towards `target`.
Membership FirstStep(const Membership& now, const Membership& target) {
  Membership next;
  for (Member member : target.members) {
    member.leaving = false;
    const bool votes = now.IsVoter(member.id());
    member.joining = !votes && (member.voter || member.joining);
    member.voter = member.voter && votes;
    if (Planted(PlantedBug::kVotesBeforeCaughtUp) && member.joining) {
      member.joining = false;
      member.voter = true;
    }
    next.members.push_back(std::move(member));
  }
  if (!AnyJoining(next)) return StepTo(now, std::move(next));
  for (Member member : now.members) {
    if (!member.voter || next.IsMember(member.id())) continue;
    member.leaving = true;
    next.members.push_back(std::move(member));
  }
  return StepTo(now, std::move(next));
}

// The step after it, when those who join have caught up.
Membership SecondStep(const Membership& now) {
  Membership next;
  for (Member member : now.members) {
    if (member.leaving) continue;
    member.voter = member.voter || member.joining;
    member.joining = false;
    next.members.push_back(std::move(member));
  }
  return StepTo(now, std::move(next));
}

}  // namespace

Status RaftCore::MayChangeTo(const Membership& target) const {
  if (committed_ < first_own_slot_) {
    return UnavailableError("the leader has not committed an entry of its own yet; try again");
  }
  const bool under_way = memberships_.back().first > committed_ || membership().IsJoint();
  if (under_way && !Planted(PlantedBug::kOverlappingChanges)) {
    return FailedPreconditionError("another membership change is under way");
  }
  const auto unsorted = [](const Member& a, const Member& b) { return a.node >= b.node; };
  const auto& members = target.members;
  if (std::adjacent_find(members.begin(), members.end(), unsorted) != members.end()) {
    return InvalidArgumentError("members must be sorted by node, each node once");
  }
  if (target.Voters().empty()) return InvalidArgumentError("a group needs a voter");
  for (const Member& member : members) {
    if (membership().WasRemoved(member.id())) {
      return FailedPreconditionError("node " + ToString(member.id()) +
                                     " was removed; empty its folder to let it join as a new one");
    }
    if (membership().IsMember(member.id())) continue;
    for (const PeerId& old : membership().Peers()) {
      if (old.node != member.node || !Answers(old, now_)) continue;
      return FailedPreconditionError("node " + ToString(old) + " still answers; " +
                                     ToString(member.id()) +
                                     " can't replace it: do two nodes run under one number?");
    }
  }
  return Status::Ok();
}

bool RaftCore::Answers(const PeerId& peer, MonotonicTime now) const {
  if (peer == self_) return true;
  const auto it = peers_.find(peer);
  return it != peers_.end() && it->second.answered &&
         now < it->second.last_heard + options_.election_timeout;
}

std::vector<PeerProgress> RaftCore::ProgressOfPeers(MonotonicTime now) const {
  std::vector<PeerProgress> all;
  if (role_ != Role::kLeader) return all;
  all.reserve(peers_.size());
  for (const auto& [peer, progress] : peers_) {
    const bool awaited =
        !progress.answered && now < progress.last_heard + options_.election_timeout;
    all.push_back({peer, progress.match, Answers(peer, now), progress.last_heard, awaited,
                   progress.state == Progress::State::kSnapshot,
                   !options_.leases || progress.promises});
  }
  return all;
}

void RaftCore::On(const ChangeMembership& event) {
  const Status may = role_ == Role::kLeader ? MayChangeTo(event.target)
                                            : NotLeaderError("this node does not lead");
  if (!may.ok()) {
    effects_.rejected.push_back({event.id, may});
    return;
  }
  Membership next = FirstStep(membership(), event.target);
  const auto demoted = [&](const Member& member) {
    return !member.voter && membership().IsVoter(member.id());
  };
  // A voter that turns learner at once would leave too few until the new ones have caught up.
  if (AnyJoining(next) && std::any_of(next.members.begin(), next.members.end(), demoted)) {
    effects_.rejected.push_back(
        {event.id,
         FailedPreconditionError(
             "a voter can't become a learner while new voters still catch up: make it two "
             "changes, the new voters first")});
    return;
  }
  const Slot slot = AppendMembership(std::move(next));
  effects_.accepted.push_back({event.id, slot, epoch_});
}

Slot RaftCore::AppendMembership(Membership next) {
  const Slot slot =
      AppendOwn(EntryKind::kMembership, std::make_shared<const std::string>(next.Encode()));
  // Those who go still get this entry: peers are dropped after it was sent.
  Broadcast();
  SetMembership(slot, std::move(next));
  Broadcast();
  MaybeCommit();
  return slot;
}

void RaftCore::SetMembership(Slot slot, Membership membership) {
  memberships_.emplace_back(slot, std::move(membership));
  effects_.membership = memberships_.back().second;
  if (role_ == Role::kLeader) UpdatePeers();
}

void RaftCore::ForgetMembershipsFrom(Slot slot) {
  if (Planted(PlantedBug::kMembershipOutlivesTruncation)) return;
  bool changed = false;
  while (memberships_.size() > 1 && memberships_.back().first >= slot) {
    memberships_.pop_back();
    changed = true;
  }
  if (changed) effects_.membership = membership();
}

const Membership& RaftCore::CommittedMembership() const {
  auto it = memberships_.rbegin();
  while (std::next(it) != memberships_.rend() && it->first > committed_) ++it;
  return it->second;
}

void RaftCore::UpdatePeers() {
  const std::vector<PeerId> stay = membership().Peers();
  for (auto it = peers_.begin(); it != peers_.end();) {
    it = std::binary_search(stay.begin(), stay.end(), it->first) ? std::next(it) : peers_.erase(it);
  }
  for (const PeerId& peer : stay) {
    if (peer == self_ || peers_.count(peer) != 0) continue;
    Progress progress;
    progress.next = log_.last_slot();  // Probing starts before the entry just added, or at it.
    if (progress.next <= log_.base_slot()) progress.next = log_.base_slot().Next();
    progress.last_heard = now_;  // It has an election timeout to answer.
    peers_.emplace(peer, progress);
  }
}

void RaftCore::AfterMembershipCommitted() {
  if (membership().WasRemoved(self_) && memberships_.back().first <= committed_) {
    removed_ = true;
    effects_.removed = true;
  }
  if (role_ != Role::kLeader || memberships_.back().first > committed_) return;
  if (membership().IsJoint()) {
    Membership next = membership();
    next.outgoing_voters.clear();
    RememberRemoved(membership(), &next);
    AppendMembership(std::move(next));
    return;
  }
  // A leader that is no voter any more leads until the change is committed, and no longer.
  if (membership().IsVoter(self_)) return PromoteIfCaughtUp();
  HandOverTo(MostCaughtUp());
  BecomeFollower(epoch_, std::nullopt);
}

void RaftCore::PromoteIfCaughtUp() {
  if (memberships_.back().first > committed_ || membership().IsJoint()) return;
  if (committed_ < first_own_slot_ || !AnyJoining(membership())) return;
  for (const Member& member : membership().members) {
    if (!member.joining) continue;
    const auto it = peers_.find(member.id());
    const bool caught_up = it != peers_.end() && it->second.answered &&
                           it->second.match.Plus(options_.promote_within) >= committed_;
    if (!caught_up) return;
  }
  AppendMembership(SecondStep(membership()));
}

// ---- Transfer

void RaftCore::On(const TransferLeadership& event) {
  if (role_ != Role::kLeader) return;
  for (const Member& member : membership().members) {
    if (member.node != event.to || !member.voter || peers_.count(member.id()) == 0) continue;
    transfer_ = {member.id(), now_ + options_.election_timeout};
    return MaybeFinishTransfer();
  }
}

void RaftCore::MaybeFinishTransfer() {
  if (!transfer_) return;
  const auto it = peers_.find(transfer_->first);
  if (it == peers_.end()) return transfer_.reset();
  if (it->second.match >= log_.last_slot()) HandOverTo(transfer_->first);
}

std::optional<PeerId> RaftCore::MostCaughtUp() const {
  std::optional<PeerId> best;
  Slot match;
  for (const auto& [peer, progress] : peers_) {
    if (!membership().IsVoter(peer) || !progress.answered || (best && progress.match <= match)) {
      continue;
    }
    best = peer;
    match = progress.match;
  }
  return best;
}

void RaftCore::HandOverTo(const std::optional<PeerId>& peer) {
  if (!peer) return;
  // From here on another node may be elected past everybody's stickiness, even if the message is
  // late: there is no lease any more in this epoch.
  lease_void_ = true;
  Send(*peer, TimeoutNow{epoch_});
}

}  // namespace cairn::consensus::raft
