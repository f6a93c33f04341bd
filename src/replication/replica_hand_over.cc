// Leadership that goes to another voter: because somebody asks for it, or because this node is to
// stop, so that nobody has to wait for an election.
#include <algorithm>
#include <tuple>
#include <utility>

#include "src/base/log.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// A voter that was asked gets this share of the time that is left; then the next one is asked.
constexpr int kShare = 3;
// What a transfer may wait for the core executor.
constexpr Duration kTransferBound = std::chrono::seconds(10);

}  // namespace

void Replica::TransferLeadership(std::optional<NodeId> to, StatusCallback done) {
  const Waiters::Id waiter =
      waiters_.AddBarrier(env_.clock->Now() + kTransferBound, std::move(done));
  PostTo(env_.core, [this, to, waiter] {
    if (!waiters_.Waits(waiter)) return;  // It was told that nothing came of it.
    waiters_.AnswerBarrier(waiter, BeginTransfer(to));
  });
}

Status Replica::BeginTransfer(std::optional<NodeId> to) {
  if (!leads()) return NotLeaderError("this node does not lead");
  if (to == options_.node) return Status::Ok();
  const GroupView view = CurrentView();
  const bool chosen = to.has_value();
  if (!chosen) to = NextLeader({});
  if (!to) {
    for (const consensus::PeerProgress& progress : view.peers) {
      if (progress.awaited && membership_.IsVoter(progress.peer)) {
        return NotHeardYet(ToString(progress.peer.node));
      }
    }
    return FailedPreconditionError("no other voter answers: there is nobody to lead instead");
  }
  const consensus::Membership::Member* const member = membership_.Find(*to);
  if (member == nullptr || !member->voter) {
    return InvalidArgumentError("node " + ToString(*to) +
                                " is no voter of this group; only those can lead");
  }
  if (chosen && view.Awaits(member->id())) return NotHeardYet(ToString(*to));
  if (chosen && !view.Answers(member->id())) {
    return FailedPreconditionError("node " + ToString(*to) + " does not answer; it can't lead now");
  }
  Step(consensus::TransferLeadership{*to});
  return Status::Ok();
}

void Replica::HandOver(MonotonicTime deadline, StatusCallback done) {
  const Waiters::Id waiter = waiters_.AddBarrier(deadline, std::move(done));
  ArmSweep();
  PostTo(env_.core, [this, deadline, waiter] {
    if (hand_over_) {
      return waiters_.AnswerBarrier(waiter, FailedPreconditionError("it is handing over already"));
    }
    hand_over_ = HandOverRun{waiter, env_.clock->Now(), deadline, {}};
    ContinueHandOver();
  });
}

void Replica::ContinueHandOver() {
  if (!hand_over_) return;
  if (!waiters_.Waits(hand_over_->waiter)) return hand_over_.reset();  // Its time is over.
  if (!leads()) {
    // Whoever led waits until it is known who leads now: what it has in hand goes there.
    if (leadership_.leader || hand_over_->asked.empty()) FinishHandOver(Status::Ok());
    return;
  }
  const std::optional<NodeId> to = NextLeader(hand_over_->asked);
  if (!to) return FinishHandOver(FailedPreconditionError("no other voter answers"));
  hand_over_->asked.push_back(*to);
  const MonotonicTime now = env_.clock->Now();
  const Duration left = hand_over_->deadline - now;
  PostAt(env_.core, now + std::max<Duration>(left / kShare, std::chrono::milliseconds(1)), [this] {
    if (leads()) ContinueHandOver();
  });
  Step(consensus::TransferLeadership{*to});
}

void Replica::FinishHandOver(Status status) {
  const HandOverRun run = *std::exchange(hand_over_, std::nullopt);
  if (status.ok() && !run.asked.empty()) {
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(env_.clock->Now() - run.begun);
    CAIRN_LOG(kInfo, "replica: handed leadership over to node {} in {} ms, epoch {}",
              leadership_.leader->value(), took.count(), leadership_.epoch.value());
  }
  waiters_.AnswerBarrier(run.waiter, std::move(status));
}

std::optional<NodeId> Replica::NextLeader(const std::vector<NodeId>& asked) const {
  // The one whose journal holds most of what this one holds: it has to catch up before it leads,
  // and nobody can write meanwhile. One that is ill comes last, and so do those that were asked.
  std::optional<NodeId> best;
  std::tuple<bool, bool, Slot> best_rank;
  for (const consensus::PeerProgress& progress : core_->ProgressOfPeers(env_.clock->Now())) {
    const NodeId node = progress.peer.node;
    if (!progress.answers || progress.needs_snapshot || !membership_.IsVoter(progress.peer)) {
      continue;
    }
    const bool fresh = std::find(asked.begin(), asked.end(), node) == asked.end();
    const std::tuple rank{fresh, !IsIll(node), progress.match};
    if (!best || rank > best_rank) {
      best = node;
      best_rank = rank;
    }
  }
  return best;
}

bool Replica::IsIll(NodeId node) const {
  MutexLock lock(&reports_mutex_);
  const auto report = reports_.find(node);
  return report != reports_.end() && !report->second.report.problem.empty();
}

}  // namespace cairn::replication
