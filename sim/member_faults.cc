// Faults that take disks away for good, and changes of the members of the group.
#include <algorithm>
#include <utility>

#include "sim/world.h"
#include "src/replication/membership_edits.h"

namespace cairn::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What an operator does with a disk that is dead: the node gets an empty one, and is somebody new.
void World::ReplaceDisk(NodeId id) {
  if (!node(id).disk()->IsDead()) return;
  node(id).Crash(CrashMode::kDropUnsynced);
  node(id).disk()->SetDead(false);
  node(id).Wipe();
  invariants_.Wiped(id);
  report_.effects.Count(Effect::kReplacedDeadDisk);
}

// The replica that leads, as far as it knows itself; null if nobody serving does.
replication::Replica* World::LeadingReplica() {
  const std::optional<NodeId> leader = invariants_.leader();
  if (!leader || !node(*leader).serving() || node(*leader).paused()) return nullptr;
  return node(*leader).replica();
}

void World::ChangeMembers(const consensus::Membership& target) {
  replication::Replica* const leader = LeadingReplica();
  if (leader == nullptr) return;
  members_changed_ = scheduler_.now();
  leader->EditMembership(
      [target](const replication::GroupView&) -> Result<consensus::Membership> { return target; },
      [](const Status&) {});
}

// The membership that all of its members follow, if all of them run and no change can be under way
// from it: then one disk may be lost.
std::optional<consensus::Membership> World::SettledMembers() const {
  if (scheduler_.now() < members_changed_ + seconds(3)) return std::nullopt;
  for (const auto& n : nodes_) {
    // One that was removed may not know it: then its membership is not that of the others.
    if (!n->serving()) continue;
    const consensus::Membership settled = n->replica()->status().membership;
    if (settled.IsMember({n->id(), n->incarnation()}) && AllFollow(settled)) return settled;
  }
  return std::nullopt;
}

bool World::AllFollow(const consensus::Membership& membership) const {
  if (membership.IsJoint()) return false;
  return std::all_of(membership.members.begin(), membership.members.end(), [&](const auto& member) {
    SimNode& n = *nodes_[member.node.value()];
    return !member.joining && !member.leaving && n.incarnation() == member.incarnation &&
           n.serving() && !n.disk()->IsDead() && n.replica()->status().membership == membership;
  });
}

void World::StrikeMembers(const Fault& fault, SimNode& target) {
  const NodeId id = target.id();
  replication::Replica* const leader = LeadingReplica();
  const bool transfer = fault.kind == FaultKind::kTransfer;
  if (fault.kind == FaultKind::kAddMember || fault.kind == FaultKind::kRemoveMember) {
    return GrowOrShrink(fault, id);
  }
  const std::optional<consensus::Membership> settled = SettledMembers();
  // All members have their disks; one that is no member may lack it.
  const bool possible = transfer
                            ? leader != nullptr
                            : settled && settled->Voters().size() >= 3 && !target.disk()->IsDead();
  if (!possible || (fault.kind == FaultKind::kRemoveVoter && leader == nullptr)) {
    --report_.faults;  // It was none.
    return;
  }
  if (transfer) {
    ++report_.transfers;
    return leader->TransferLeadership(id, [](const Status&) {});
  }
  if (fault.kind == FaultKind::kWipe) {
    ++report_.wipes;
    members_changed_ = scheduler_.now();
    Down(id, CrashMode::kRandom, fault.lasts / 4);
    target.Wipe();
    invariants_.Wiped(id);
    return;
  }
  if (fault.kind == FaultKind::kDeadDisk) {
    members_changed_ = scheduler_.now();
    target.disk()->SetDead(true);
    scheduler_.After(fault.lasts, [this, id] {
      if (!node(id).disk()->IsDead()) return;
      ReplaceDisk(id);
      Restart(id);
    });
    return;
  }
  consensus::Membership without = leader->status().membership;
  for (auto& member : without.members) {
    if (member.node == id) member.voter = false;
  }
  ++report_.voter_changes;
  ChangeMembers(without);
  scheduler_.After(fault.lasts, [this, id] { MakeVoter(id); });
}

// Asks until it is one.
void World::MakeVoter(NodeId id) {
  if (!ok()) return;
  if (replication::Replica* const leader = LeadingReplica(); leader != nullptr) {
    consensus::Membership with = leader->status().membership;
    bool missing = false;
    for (auto& member : with.members) {
      if (member.node != id || member.leaving) continue;
      missing = missing || (!member.voter && !member.joining);
      member.voter = true;
    }
    if (!missing) return;
    if (!with.IsJoint()) ChangeMembers(with);
  }
  scheduler_.After(milliseconds(500), [this, id] { MakeVoter(id); });
}

// What a node's driver of formation does in production: a new life asks to be taken in.
void World::TakeIn() {
  replication::Replica* const leader = LeadingReplica();
  if (leader == nullptr) return;
  const consensus::Membership now = leader->status().membership;
  for (const auto& n : nodes_) {
    const consensus::PeerId peer{n->id(), n->incarnation()};
    if (!n->running() || ClassifyJoin(now, peer) != consensus::JoinVerdict::kReplace) continue;
    once_members_.insert(peer);
    return ChangeMembers(now.WithReplaced(peer));
  }
}

// ---- A group that grows and shrinks

// Waits for a quiet moment, as an operator does; there may be none.
void World::GrowOrShrink(const Fault& fault, NodeId id) {
  if (healing_ || !ok()) return;
  const bool adds = fault.kind == FaultKind::kAddMember;
  replication::Replica* const leader = LeadingReplica();
  const std::optional<consensus::Membership> settled = SettledMembers();
  const bool has_disk = !adds || !node(id).disk()->IsDead();
  if (leader != nullptr && settled && has_disk) {
    if (adds ? settled->Find(id) != nullptr : !MayBeRemoved(*settled, id)) {
      --report_.faults;  // It was none.
      return;
    }
    members_changed_ = scheduler_.now();
    return adds ? AddMember(id, leader) : RemoveMember(id, leader);
  }
  if (scheduler_.now() > MonotonicTime{fault.at.count()} + seconds(10)) {
    --report_.faults;
    return;
  }
  scheduler_.After(milliseconds(500), [this, &fault, id] { GrowOrShrink(fault, id); });
}

// As `cairn cluster add`, and `promote` until it is done. A node that was a member before comes
// with an empty disk; one that never was waits for its seat.
void World::AddMember(NodeId id, replication::Replica* leader) {
  SimNode& target = node(id);
  if (once_members_.count({id, target.incarnation()}) != 0) {
    Down(id, CrashMode::kRandom, milliseconds(100));
    target.Wipe();
    invariants_.Wiped(id);
  }
  const replication::NewMember member{id, "node" + ToString(id) + ":1",
                                      IncarnationId(1'000'000 + ++placeholders_)};
  leader->EditMembership([member](const auto& view) { return WithLearner(view, member); },
                         [](const Status&) {});
  scheduler_.After(milliseconds(500), [this, id] { Promote(id); });
}

void World::Promote(NodeId id) {
  if (!ok()) return;
  if (replication::Replica* const leader = LeadingReplica(); leader != nullptr) {
    const consensus::Membership now = leader->status().membership;
    const auto* const seat = now.Find(id);
    if (seat == nullptr) return;  // the leader that was asked is gone, and the seat with it
    if (seat->voter && !now.IsJoint()) {
      if (seat->incarnation == node(id).incarnation()) {
        report_.effects.Count(Effect::kMemberGained);
      }
      return;
    }
    leader->EditMembership([id](const auto& view) { return WithPromoted(view, id); },
                           [](const Status&) {});
  }
  scheduler_.After(milliseconds(500), [this, id] { Promote(id); });
}

// A group of three becomes one of two at times, and never a smaller one.
bool World::MayBeRemoved(const consensus::Membership& settled, NodeId id) {
  const auto* const seat = settled.Find(id);
  return seat != nullptr && (!seat->voter || settled.Voters().size() > 2);
}

void World::RemoveMember(NodeId id, replication::Replica* leader) {
  leader->EditMembership([id](const auto& view) { return WithRemoved(view, id, /*force=*/false); },
                         [](const Status&) {});
  scheduler_.After(milliseconds(500), [this, id] { AwaitRemoval(id); });
}

void World::AwaitRemoval(NodeId id) {
  if (!ok()) return;
  const std::optional<consensus::Membership> settled = SettledMembers();
  if (!settled) return scheduler_.After(milliseconds(500), [this, id] { AwaitRemoval(id); });
  if (settled->Find(id) != nullptr) return;
  report_.effects.Count(Effect::kMemberGone);
  // What operators are told to do; not all of them do it.
  if (scheduler_.random().OneIn(1, 2) && !node(id).paused()) node(id).Stop();
}

}  // namespace cairn::sim
