// Linearizable reads: section 6.4 of the dissertation. A barrier opens at the commit index of the
// time it was asked for, once a quorum has answered a round of heartbeats that began later.
// Barriers that arrive while a round is under way share the next one.
//
// A follower's barriers are put to the leader. They are numbered, and a request stands for all that
// were asked for before it: the answer to a later one opens the earlier ones too. So a lost request
// is repaired by asking for the newest only, and neither side keeps more than a few.
#include <algorithm>
#include <functional>
#include <utility>

#include "src/base/planted_bug.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {
namespace {

// Requests of a follower that may wait for their answers; barriers beyond that wait for one.
constexpr std::size_t kMaxAskedAtOnce = 2;

}  // namespace

void RaftCore::On(const ReadBarrier& event) {
  if (role_ == Role::kLeader) {
    next_barriers_.push_back({std::nullopt, 0, event.id.value(), Slot()});
    return OpenBarriers();
  }
  if (!leader_) {
    effects_.failed_barriers.push_back(
        {event.id, UnavailableError("there is no leader; try again")});
    return;
  }
  asked_barriers_.emplace_back(next_ask_++, event.id);
  if (asks_in_flight_.size() < kMaxAskedAtOnce) AskLeader();
}

void RaftCore::AskLeader() {
  const std::uint64_t newest = asked_barriers_.back().first;
  asks_in_flight_.push_back(newest);
  Send(*leader_, BarrierRequest{epoch_, run_, newest});
}

// What was asked before the last heartbeat and is not answered by this one may be lost.
void RaftCore::AskLeaderAgain() {
  if (asked_barriers_.empty()) return;
  asks_in_flight_.clear();
  AskLeader();
}

void RaftCore::Receive(const PeerId& from, const BarrierRequest& m) {
  // Whoever asks an old leader gets no answer, and fails when it learns of the new one.
  if (role_ != Role::kLeader || m.epoch != epoch_) return;
  const auto same = [&](const Waiting& waiting) { return waiting.peer == from; };
  // A later request stands for the earlier ones; of a peer's former run nobody waits any more.
  const auto it = std::find_if(next_barriers_.begin(), next_barriers_.end(), same);
  if (it == next_barriers_.end()) {
    next_barriers_.push_back({from, m.run, m.id, Slot()});
  } else {
    it->id = it->run == m.run ? std::max(it->id, m.id) : m.id;
    it->run = m.run;
  }
  OpenBarriers();
}

void RaftCore::Receive(const PeerId& from, const BarrierResponse& m) {
  if (m.epoch != epoch_ || leader_ != from) return;
  if (m.run != run_ && !Planted(PlantedBug::kBarrierOfFormerRun)) return;
  while (!asked_barriers_.empty() && asked_barriers_.front().first <= m.id) {
    effects_.open_barriers.push_back({asked_barriers_.front().second, m.slot});
    asked_barriers_.pop_front();
  }
  while (!asks_in_flight_.empty() && asks_in_flight_.front() <= m.id) asks_in_flight_.pop_front();
  const bool unasked =
      !asked_barriers_.empty() &&
      (asks_in_flight_.empty() || asks_in_flight_.back() < asked_barriers_.back().first);
  if (unasked && asks_in_flight_.size() < kMaxAskedAtOnce) AskLeader();
}

std::uint64_t RaftCore::RoundOfQuorum(std::uint64_t Progress::*round) const {
  // StrongId only to have Max(): the arithmetic of quorums is that of slots.
  const std::function<Slot(const PeerId&)> round_of = [this, round](const PeerId& peer) {
    if (peer == self_) return Slot(round_);
    const auto it = peers_.find(peer);
    return it == peers_.end() ? Slot() : Slot(it->second.*round);
  };
  return std::min(ReachedByQuorum<Slot>(membership(), round_of), Slot(round_)).value();
}

bool RaftCore::LeaseIsValid() const {
  if (!options_.leases || rounds_.empty()) return false;
  if (lease_void_ && !Planted(PlantedBug::kLeaseIgnoresTransfer)) return false;
  if (rounds_.front().first > RoundOfQuorum(&Progress::promised_round)) return false;
  const auto timeout = options_.election_timeout.count();
  const std::uint32_t drift_ppm =
      Planted(PlantedBug::kLeaseIgnoresDrift) ? 0 : options_.max_clock_drift_ppm;
  const Duration lease(timeout - timeout / 1'000'000 * drift_ppm);
  if (Planted(PlantedBug::kLeaseByQuorumCheckAlone)) return true;
  return now_ < rounds_.front().second + lease;
}

void RaftCore::OpenBarriers() {
  const std::uint64_t answered = RoundOfQuorum(&Progress::round);
  // Of the rounds that a quorum answered only the newest matters, for the lease.
  while (rounds_.size() > 1 && rounds_[1].first <= answered) rounds_.pop_front();
  if (!barriers_.empty() && answered >= barriers_round_) OpenAll(std::exchange(barriers_, {}));
  if (next_barriers_.empty() || !barriers_.empty()) return;
  // A new leader does not know what is committed before an entry of its own is.
  if (committed_ < first_own_slot_ && !Planted(PlantedBug::kBarrierBeforeOwnEntry)) return;
  std::vector<Waiting> batch = std::exchange(next_barriers_, {});
  for (Waiting& barrier : batch) barrier.slot = committed_;
  if (LeaseIsValid() || Planted(PlantedBug::kBarrierWithoutQuorum)) return OpenAll(batch);
  barriers_ = std::move(batch);
  barriers_round_ = round_ + (Planted(PlantedBug::kBarrierOnRoundUnderWay) ? 0 : 1);
  StartRound();  // And comes back here: a group of one voter has its answer already.
}

void RaftCore::OpenAll(const std::vector<Waiting>& barriers) {
  for (const Waiting& barrier : barriers) {
    if (barrier.peer) {
      Send(*barrier.peer, BarrierResponse{epoch_, barrier.run, barrier.id, barrier.slot});
      // Under a lease no round went out, which would have told it of the commits it waits for.
      const auto it = peers_.find(*barrier.peer);
      if (it != peers_.end() && it->second.told < barrier.slot) SendAppend(it->first, true);
    } else {
      effects_.open_barriers.push_back({BarrierId(barrier.id), barrier.slot});
    }
  }
}

void RaftCore::FailBarriers(const Status& status) {
  for (const auto* waiting : {&barriers_, &next_barriers_}) {
    for (const Waiting& barrier : *waiting) {
      if (!barrier.peer) effects_.failed_barriers.push_back({BarrierId(barrier.id), status});
    }
  }
  for (const auto& [ask, id] : asked_barriers_) effects_.failed_barriers.push_back({id, status});
  barriers_.clear();
  next_barriers_.clear();
  asked_barriers_.clear();
  asks_in_flight_.clear();
}

}  // namespace cairn::consensus::raft
