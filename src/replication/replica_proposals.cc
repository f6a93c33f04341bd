// The replica's side of the core executor that deals with who waits: proposals and their batches,
// deadlines, and the commands that the leader proposes by itself.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// How often deadlines are looked at while somebody waits: their precision.
constexpr Duration kSweepEvery = std::chrono::milliseconds(10);
// How soon a batch that the core refused (leadership is being handed over) is tried again.
constexpr Duration kRefusedRetry = std::chrono::milliseconds(10);
// What a change of members may wait for the core executor.
constexpr Duration kChangeBound = std::chrono::seconds(10);

}  // namespace

void Replica::Intake() {
  std::vector<Pending> arrived;
  std::vector<Waiters::Id> barriers;
  bool news_wanted = false;
  {
    MutexLock lock(&intake_mutex_);
    news_wanted = std::exchange(news_wanted_, false);
    intake_scheduled_ = false;
    arrived.swap(intake_);
    barriers.swap(barrier_intake_);
  }
  for (Pending& pending : arrived) queue_.push_back(std::move(pending));
  if (!barriers.empty() || (news_wanted && leadership_.leader)) StartBarrier(std::move(barriers));
  Dispatch();
}

void Replica::Dispatch() {
  if (queue_.empty() || !leadership_.leader) return;
  if (leads()) {
    ProposeIfDue();
  } else {
    ForwardQueue();
  }
}

void Replica::RefuseQueue(const Status& why) {
  for (Pending& pending : std::exchange(queue_, {})) waiters_.AnswerWrite(pending.waiter, why);
}

void Replica::ProposeIfDue() {
  while (!queue_.empty() && leads()) {
    if (last_token_.value() - durable_token_.value() >= options_.max_batches_in_flight) {
      return;  // OnPersisted comes back here.
    }
    Status unwell;
    {
      MutexLock lock(&intake_mutex_);
      unwell = RefusedByHealth();
    }
    if (!unwell.ok()) return RefuseQueue(unwell);
    const std::optional<MonotonicTime> hold = pacer_.Hold(
        queue_.size(), waiters_.outstanding_writes(), queue_.front().since, env_.clock->Now());
    if (hold) return ArmDispatch(*hold);
    if (!ProposeBatch()) return ArmDispatch(env_.clock->Now() + kRefusedRetry);
  }
}

void Replica::ArmDispatch(MonotonicTime when) {
  if (std::exchange(dispatch_armed_, true)) return;
  PostAt(env_.core, when, [this] {
    dispatch_armed_ = false;
    Dispatch();
  });
}

bool Replica::ProposeBatch() {
  kv::CommandBatchBuilder batch;
  std::vector<Pending> taken;
  bool announce = false;
  while (!queue_.empty() && batch.count() < options_.max_batch_size) {
    Pending& pending = queue_.front();
    const bool fits = batch.bytes() + pending.encoded.size() <= options_.limits.entry_bytes;
    if (batch.count() > 0 && !fits) break;
    // One whose deadline has passed was answered; it must not enter the log.
    if (waiters_.EnterLog(pending.waiter)) {
      batch.Add(pending.encoded);
      announce |= pending.elsewhere == Elsewhere::kForwarded;
      taken.push_back(std::move(pending));
    }
    queue_.pop_front();
  }
  if (taken.empty()) return true;
  pacer_.Sent(taken.size(), waiters_.outstanding_writes(), env_.clock->Now());
  const consensus::ProposalId id(next_number_++);
  proposals_.emplace(id, std::move(taken));
  const std::size_t waiting = queue_.size();
  Step(consensus::Propose{id, consensus::EntryKind::kCommands,
                          std::make_shared<const std::string>(batch.Finish()), announce});
  return queue_.size() <= waiting;
}

void Replica::HandleProposals(const consensus::Effects& effects) {
  for (const consensus::AcceptedProposal& accepted : effects.accepted) {
    AnswerChange(accepted.id, Status::Ok());
    const auto proposal = proposals_.find(accepted.id);
    if (proposal == proposals_.end()) continue;
    const auto entry = log_.find(accepted.slot);
    CAIRN_CHECK(entry != log_.end() && entry->second.entry.epoch == accepted.epoch);
    entry->second.proposed = env_.clock->Now();
    entry->second.waiters.reserve(proposal->second.size());
    for (const Pending& pending : proposal->second) {
      entry->second.waiters.push_back(pending.waiter);
    }
    // Before any of its writers is answered, who may look at the figures.
    figures_.batch_commands.Record(proposal->second.size());
    figures_.batch_bytes.Record(entry->second.bytes);
    proposals_.erase(proposal);
  }
  for (const consensus::RejectedProposal& rejected : effects.rejected) {
    AnswerChange(rejected.id, rejected.status);
    const auto proposal = proposals_.find(rejected.id);
    if (proposal == proposals_.end()) continue;
    // Nothing of it is in the log: it waits for the next leader, in its old place.
    for (auto it = proposal->second.rbegin(); it != proposal->second.rend(); ++it) {
      waiters_.LeaveLog(it->waiter);
      queue_.push_front(std::move(*it));
    }
    proposals_.erase(proposal);
  }
}

// ---- Members

GroupView Replica::CurrentView() const {
  GroupView view;
  view.self = options_.node;
  view.leadership = leadership_;
  view.membership = membership_;
  view.now = env_.clock->Now();
  view.peers = core_->ProgressOfPeers(view.now);
  view.committed_slot = committed_slot_;
  MutexLock lock(&status_mutex_);
  view.last_slot = status_.last_slot;
  return view;
}

void Replica::EditMembership(MembershipEdit edit, StatusCallback done) {
  const Waiters::Id waiter = waiters_.AddBarrier(env_.clock->Now() + kChangeBound, std::move(done));
  PostTo(env_.core, [this, edit = std::move(edit), waiter] {
    if (!waiters_.Waits(waiter)) return;  // It was told that nothing came of it.
    Result<consensus::Membership> target = NotLeaderError("this node does not lead");
    if (leads()) target = edit(CurrentView());
    // What is being joined is the core's business: only who is a member, and how, is compared.
    if (!target.ok() || target->members == membership_.members) {
      return waiters_.AnswerBarrier(waiter, std::move(target).status());
    }
    const consensus::ProposalId id(next_number_++);
    changes_.emplace(id, waiter);
    Step(consensus::ChangeMembership{id, *std::move(target)});
  });
}

void Replica::View(absl::AnyInvocable<void(std::optional<GroupView>)> done) {
  env_.core->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    if (self->stopped_.load(std::memory_order_acquire)) return done(std::nullopt);
    done(self->CurrentView());
  });
}

void Replica::AnswerChange(consensus::ProposalId id, Status status) {
  const auto change = changes_.extract(id);
  if (!change.empty()) waiters_.AnswerBarrier(change.mapped(), std::move(status));
}

// ---- A leader that is ill

void Replica::WatchHealth() {
  if (options_.hand_over_after <= Duration::zero() || health_watched_) return;
  std::optional<MonotonicTime> since;
  {
    MutexLock lock(&intake_mutex_);
    since = ill_since_;
  }
  if (!since) return;
  const MonotonicTime now = env_.clock->Now();
  MonotonicTime due = *since + options_.hand_over_after;
  if (now >= due) {
    due = now + options_.hand_over_after;
    const std::optional<NodeId> to = leads() ? NextWellVoter() : std::nullopt;
    if (to) {
      CAIRN_LOG(kWarn, "replica: this node leads and can take no writes; asking node {} to lead",
                to->value());
      handed_to_ = to;
      Step(consensus::TransferLeadership{*to});
    }
  }
  health_watched_ = true;
  PostAt(env_.core, due, [this] {
    health_watched_ = false;
    WatchHealth();
  });
}

std::optional<NodeId> Replica::NextWellVoter() const {
  // In turn, so that one which does not answer is not asked for ever. One that has not said how it
  // is counts as well.
  std::optional<NodeId> first;
  for (const consensus::PeerId& voter : membership_.Voters()) {
    if (voter.node == options_.node) continue;
    if (IsIll(voter.node)) continue;
    if (!first) first = voter.node;
    if (handed_to_ && voter.node > *handed_to_) return voter.node;
  }
  return first;
}

// ---- Deadlines

void Replica::ArmSweep() {
  if (sweep_armed_.exchange(true, std::memory_order_acq_rel)) return;
  PostAt(env_.core, env_.clock->Now() + kSweepEvery, [this] { Sweep(); });
}

void Replica::Sweep() {
  sweep_armed_.store(false, std::memory_order_release);
  const bool waiting = waiters_.Expire(env_.clock->Now(), WhyNothingMoves());
  if (!forwarder_.empty()) forwarder_.Tick(env_.clock->Now());
  if (!queue_.empty() && !leads()) PurgeQueue();
  if (leadership_.leader && !parked_barriers_.empty()) {
    StartBarrier(std::exchange(parked_barriers_, {}));
  }
  if (waiting || !forwarder_.empty()) ArmSweep();
}

std::string Replica::WhyNothingMoves() {
  if (!leadership_.leader) {
    return ": no leader is known; an election is under way, or a majority of the members is out of "
           "reach";
  }
  MutexLock lock(&intake_mutex_);
  const Status& trouble = !journal_health_.ok() ? journal_health_ : engine_health_;
  return trouble.ok() ? "" : ": " + trouble.message();
}

void Replica::PurgeQueue() {
  const auto gone = [this](const Pending& pending) { return waiters_.Forget(pending.waiter); };
  queue_.erase(std::remove_if(queue_.begin(), queue_.end(), gone), queue_.end());
  std::erase_if(parked_barriers_, [this](Waiters::Id id) { return !waiters_.Waits(id); });
}

// ---- What the leader proposes by itself

void Replica::ScheduleUpkeep() {
  // Often enough that the window of versions and the life of sessions overrun by a tenth at most.
  const Duration every =
      std::clamp<Duration>(std::min(options_.mvcc_window, options_.session_idle) / 10,
                           std::chrono::milliseconds(100), std::chrono::seconds(30));
  PostAt(env_.core, env_.clock->Now() + every, [this] { Upkeep(); });
}

void Replica::Upkeep() {
  ScheduleUpkeep();
  if (snapshot_receiver_.progress().has_value()) {
    PostTo(env_.upkeep, [this] { snapshot_receiver_.Tick(env_.clock->Now()); });
  }
  if (!leads()) return;
  const auto micros = [](Duration d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  };
  const WallTime now = env_.clock->Wall();
  const MonotonicTime deadline = env_.clock->Now() + std::chrono::seconds(10);
  // If one of these fails, the next round makes up for it.
  const auto propose = [&](kv::KvOperation operation) {
    kv::Command command;
    command.operation = std::move(operation);
    Propose(std::move(command), deadline, [](const Result<kv::WriteResult>&) {});
  };
  if (const auto version = executor_->VersionAt({now.us - micros(options_.mvcc_window)})) {
    propose(kv::AdvanceWatermark{*version});
  }
  const std::int64_t idle_us = micros(options_.session_idle);
  if (executor_->HasSessionIdleSince({now.us - idle_us})) propose(kv::ExpireSessions{idle_us});
}

}  // namespace cairn::replication
