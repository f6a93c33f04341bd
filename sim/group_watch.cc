#include "sim/group_watch.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace cairn::sim {
namespace {

bool IsUnderWay(const consensus::Membership& membership) {
  return membership.IsJoint() ||
         std::any_of(membership.members.begin(), membership.members.end(),
                     [](const auto& member) { return member.joining || member.leaving; });
}

}  // namespace

void GroupWatch::OnStep(NodeId id, const consensus::Event& event,
                        const consensus::Effects& effects) {
  Node& node = nodes_[id.value()];
  if (const auto* recovered = std::get_if<consensus::Recovered>(&event.what)) {
    node = {{}, recovered->membership};
  }
  const bool led = node.leads();
  const Epoch epoch = node.leadership.epoch;
  if (effects.leadership) node.leadership = *effects.leadership;
  if (effects.membership) node.membership = *effects.membership;
  if (led && !node.leads()) {
    effects_->Count(Effect::kLateReadRefused, effects.failed_barriers.size());
  }
  OnBarriers(event, effects);
  if (!node.leads()) return;
  if (const auto* transfer = std::get_if<consensus::TransferLeadership>(&event.what)) {
    transfer_ = Transfer{transfer->to, node.leadership.epoch};
  }
  const bool new_leader = !led || node.leadership.epoch != epoch;
  if (new_leader) OnLeader(id);
  if (new_leader || effects.membership) OnMembership(node);
}

void GroupWatch::OnBarriers(const consensus::Event& event, const consensus::Effects& effects) {
  // In a group of more than one, nothing but a lease opens a barrier in the step that asks for it.
  const auto* asked = std::get_if<consensus::ReadBarrier>(&event.what);
  if (asked == nullptr || nodes_.size() < 2) return;
  const bool open = std::any_of(effects.open_barriers.begin(), effects.open_barriers.end(),
                                [asked](const auto& barrier) { return barrier.id == asked->id; });
  if (!open) return;
  effects_->Count(Effect::kLeaseRead);
  if (at_drift_bound_) effects_->Count(Effect::kLeaseAtDriftBound);
}

void GroupWatch::OnLeader(NodeId id) {
  const Epoch epoch = nodes_[id.value()].leadership.epoch;
  for (const Node& other : nodes_) {
    if (other.leads() && other.leadership.epoch < epoch) effects_->Count(Effect::kStaleLeader);
  }
  if (!transfer_ || epoch <= transfer_->from) return;
  const Transfer transfer = *std::exchange(transfer_, std::nullopt);
  if (transfer.to == id && epoch == transfer.from.Next()) effects_->Count(Effect::kTransferDone);
}

void GroupWatch::OnMembership(const Node& leader) {
  const Epoch epoch = leader.leadership.epoch;
  if (change_ && epoch < change_->epoch) return;  // It leads no more, and does not know it yet.
  const bool under_way = IsUnderWay(leader.membership);
  if (!change_) {
    if (under_way) change_ = Change{epoch};
    return;
  }
  const bool new_leader = epoch > change_->epoch;
  if (under_way) {
    change_->outlived = change_->outlived || new_leader;
    change_->epoch = epoch;
    return;
  }
  // A new leader that finds no change in its log: it was lost, or came to its end unseen.
  if (!new_leader) {
    effects_->Count(Effect::kChangeDone);
    if (change_->outlived) effects_->Count(Effect::kChangeOutlived);
  }
  change_.reset();
}

void GroupWatch::Ended(NodeId node) {
  if (nodes_[node.value()].leads()) effects_->Count(Effect::kLeaderLost);
  nodes_[node.value()].leadership = {};
}

void GroupWatch::Stopped(NodeId node) {
  if (nodes_[node.value()].leads()) effects_->Count(Effect::kLeaderStopped);
}

}  // namespace cairn::sim
