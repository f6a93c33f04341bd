// Linearizable reads: section 6.4 of the dissertation. A barrier opens at the commit index of the
// time it was asked for, once a quorum has answered a round of heartbeats that began later.
// Barriers that arrive while a round is under way share the next one.
#include <algorithm>
#include <functional>
#include <utility>

#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::On(const ReadBarrier& event) {
  if (role_ == Role::kLeader) return AddBarrier(std::nullopt, event.id.value());
  if (!leader_) {
    effects_.failed_barriers.push_back(
        {event.id, UnavailableError("there is no leader; try again")});
    return;
  }
  asked_barriers_.push_back(event.id.value());
  Send(*leader_, BarrierRequest{epoch_, event.id.value()});
}

void RaftCore::Receive(NodeId from, const BarrierRequest& m) {
  // Whoever asks an old leader gets no answer, and fails when it learns of the new one.
  if (role_ == Role::kLeader && m.epoch == epoch_) AddBarrier(from, m.id);
}

void RaftCore::Receive(NodeId from, const BarrierResponse& m) {
  if (m.epoch != epoch_ || leader_ != from) return;
  const auto it = std::find(asked_barriers_.begin(), asked_barriers_.end(), m.id);
  if (it == asked_barriers_.end()) return;
  asked_barriers_.erase(it);
  effects_.open_barriers.push_back({BarrierId(m.id), m.slot});
}

void RaftCore::AddBarrier(std::optional<NodeId> peer, std::uint64_t id) {
  next_barriers_.push_back({peer, id, Slot()});
  OpenBarriers();
}

std::uint64_t RaftCore::RoundOfQuorum() const {
  // StrongId only to have Max(): the arithmetic of quorums is that of slots.
  const std::function<Slot(NodeId)> round_of = [this](NodeId node) {
    if (node == options_.self) return Slot(round_);
    const auto it = peers_.find(node);
    return it == peers_.end() ? Slot() : Slot(it->second.round);
  };
  return std::min(ReachedByQuorum<Slot>(membership(), round_of), Slot(round_)).value();
}

bool RaftCore::LeaseIsValid() const {
  if (!options_.leases || lease_void_ || rounds_.empty()) return false;
  const std::uint64_t answered = RoundOfQuorum();
  if (rounds_.front().first > answered) return false;
  const auto timeout = options_.election_timeout.count();
  const Duration lease(timeout - timeout / 1'000'000 * options_.max_clock_drift_ppm);
  return now_ < rounds_.front().second + lease;
}

void RaftCore::OpenBarriers() {
  const std::uint64_t answered = RoundOfQuorum();
  // Of the rounds that a quorum answered only the newest matters, for the lease.
  while (rounds_.size() > 1 && rounds_[1].first <= answered) rounds_.pop_front();
  if (!barriers_.empty() && answered >= barriers_round_) {
    for (const Waiting& barrier : std::exchange(barriers_, {})) Open(barrier);
  }
  // A new leader does not know what is committed before an entry of its own is.
  if (next_barriers_.empty() || !barriers_.empty() || committed_ < first_own_slot_) return;
  barriers_ = std::exchange(next_barriers_, {});
  for (Waiting& barrier : barriers_) barrier.slot = committed_;
  if (LeaseIsValid() || RoundOfQuorum() == Slot::Max().value() || peers_.empty()) {
    for (const Waiting& barrier : std::exchange(barriers_, {})) Open(barrier);
    return;
  }
  barriers_round_ = round_ + 1;
  StartRound();
}

void RaftCore::Open(const Waiting& barrier) {
  if (barrier.peer) {
    Send(*barrier.peer, BarrierResponse{epoch_, barrier.id, barrier.slot});
  } else {
    effects_.open_barriers.push_back({BarrierId(barrier.id), barrier.slot});
  }
}

void RaftCore::FailBarriers(const Status& status) {
  const auto fail = [&](std::uint64_t id) {
    effects_.failed_barriers.push_back({BarrierId(id), status});
  };
  for (const auto* waiting : {&barriers_, &next_barriers_}) {
    for (const Waiting& barrier : *waiting) {
      if (!barrier.peer) fail(barrier.id);
    }
  }
  for (const std::uint64_t id : asked_barriers_) fail(id);
  barriers_.clear();
  next_barriers_.clear();
  asked_barriers_.clear();
}

}  // namespace cairn::consensus::raft
