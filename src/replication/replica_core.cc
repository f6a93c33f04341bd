// The replica's side of the core executor: events in, effects out, batching, deadlines, upkeep.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// How often deadlines are looked at while somebody waits: their precision.
constexpr Duration kSweepEvery = std::chrono::milliseconds(10);
// One batch at a time is on its way to the disk: the next one gathers meanwhile.
constexpr std::uint32_t kMaxPersistsInFlight = 1;

}  // namespace

void Replica::Step(Step_t what) {
  CarryOut(core_->Step(consensus::Event{env_.clock->Now(), std::move(what)}));
}

void Replica::CarryOut(consensus::Effects effects) {
  if (effects.leadership) {
    leadership_ = *effects.leadership;
    MutexLock lock(&status_mutex_);
    status_.leadership = leadership_;
  }
  if (effects.persist) HandlePersist(std::move(*effects.persist));
  HandleProposals(effects);
  HandleBarriers(effects);
  SendMessages(std::move(effects.messages));
  if (effects.committed) {
    CAIRN_CHECK(*effects.committed >= committed_slot_);
    committed_slot_ = *effects.committed;
    MutexLock lock(&status_mutex_);
    status_.committed_slot = committed_slot_;
    if (committed_slot_ > status_.applied_slot) {
      unapplied_.emplace_back(committed_slot_, env_.clock->Now());
    }
  }
  HandOverCommitted();
  if (effects.wake_at) ArmCoreTimer(*effects.wake_at);
}

void Replica::HandlePersist(consensus::Persist persist) {
  if (persist.truncate_from) {
    for (auto it = log_.lower_bound(*persist.truncate_from); it != log_.end();) {
      waiters_.FailWrites(
          it->second.waiters,
          UnavailableError("another leader took the log slot of this write").WithMaybeApplied());
      it = log_.erase(it);
    }
    durable_slot_ = std::min(durable_slot_, persist.truncate_from->Prev());
  }
  for (const consensus::Entry& entry : persist.entries) log_[entry.slot] = LogEntry{entry, {}};
  if (!persist.entries.empty()) {
    MutexLock lock(&status_mutex_);
    status_.last_slot = persist.entries.back().slot;
  }
  ++persists_in_flight_;
  PostTo(env_.journal, [this, shared = std::make_shared<const consensus::Persist>(
                                  std::move(persist))] { RunPersist(shared); });
}

void Replica::HandleProposals(const consensus::Effects& effects) {
  for (const consensus::AcceptedProposal& accepted : effects.accepted) {
    const auto proposal = proposals_.find(accepted.id);
    if (proposal == proposals_.end()) continue;
    const auto entry = log_.find(accepted.slot);
    CAIRN_CHECK(entry != log_.end() && entry->second.entry.epoch == accepted.epoch);
    entry->second.waiters = std::move(proposal->second);
    proposals_.erase(proposal);
  }
  for (const consensus::RejectedProposal& rejected : effects.rejected) {
    const auto proposal = proposals_.find(rejected.id);
    if (proposal == proposals_.end()) continue;
    waiters_.FailWrites(proposal->second, rejected.status);
    proposals_.erase(proposal);
  }
}

void Replica::HandleBarriers(const consensus::Effects& effects) {
  for (const consensus::OpenBarrier& open : effects.open_barriers) {
    const auto barrier = barriers_.find(open.id);
    if (barrier == barriers_.end()) continue;
    for (const Waiters::Id waiter : barrier->second) waiters_.BindToSlot(waiter, open.slot);
    barriers_.erase(barrier);
  }
  for (const consensus::FailedBarrier& failed : effects.failed_barriers) {
    const auto barrier = barriers_.find(failed.id);
    if (barrier == barriers_.end()) continue;
    for (const Waiters::Id waiter : barrier->second) waiters_.AnswerBarrier(waiter, failed.status);
    barriers_.erase(barrier);
  }
}

void Replica::HandOverCommitted() {
  const Slot through = std::min(committed_slot_, durable_slot_);
  if (log_.empty() || log_.begin()->first > through) return;
  bool run = false;
  {
    MutexLock lock(&apply_mutex_);
    while (!log_.empty() && log_.begin()->first <= through) {
      apply_queue_.push_back(std::move(log_.begin()->second));
      log_.erase(log_.begin());
    }
    run = !std::exchange(apply_scheduled_, true);
  }
  if (run) PostTo(env_.apply, [this] { RunApply(); });
}

void Replica::Intake() {
  std::vector<Pending> arrived;
  std::vector<Waiters::Id> barriers;
  {
    MutexLock lock(&intake_mutex_);
    intake_scheduled_ = false;
    arrived.swap(intake_);
    barriers.swap(barrier_intake_);
  }
  for (Pending& pending : arrived) queue_.push_back(std::move(pending));
  if (!barriers.empty()) {
    const consensus::BarrierId id(next_number_++);
    barriers_.emplace(id, std::move(barriers));
    Step(consensus::ReadBarrier{id});
  }
  ProposeIfDue();
}

void Replica::ProposeIfDue() {
  while (!queue_.empty()) {
    if (leadership_.role == consensus::Role::kLeader) {
      if (persists_in_flight_ >= kMaxPersistsInFlight) return;  // OnPersisted comes back here.
      const std::optional<MonotonicTime> hold = pacer_.Hold(
          queue_.size(), waiters_.outstanding_writes(), queue_.front().since, env_.clock->Now());
      if (hold) {
        if (batch_timer_armed_) return;
        batch_timer_armed_ = true;
        PostAt(env_.core, *hold, [this] {
          batch_timer_armed_ = false;
          ProposeIfDue();
        });
        return;
      }
    }
    ProposeBatch();
  }
}

void Replica::ProposeBatch() {
  kv::CommandBatchBuilder batch;
  std::vector<Waiters::Id> waiters;
  while (!queue_.empty() && batch.count() < options_.max_batch_size) {
    Pending& pending = queue_.front();
    const bool fits = batch.bytes() + pending.encoded.size() <= options_.limits.entry_bytes;
    if (batch.count() > 0 && !fits) break;
    // One whose deadline has passed was answered; it must not enter the log.
    if (waiters_.EnterLog(pending.waiter)) {
      batch.Add(pending.encoded);
      waiters.push_back(pending.waiter);
    }
    queue_.pop_front();
  }
  if (batch.count() == 0) return;
  pacer_.Sent(waiters_.outstanding_writes());
  {
    MutexLock lock(&status_mutex_);
    ++status_.batches;
    status_.commands += batch.count();
  }
  const consensus::ProposalId id(next_number_++);
  proposals_.emplace(id, std::move(waiters));
  Step(consensus::Propose{id, consensus::EntryKind::kCommands,
                          std::make_shared<const std::string>(batch.Finish())});
}

void Replica::OnPersisted(consensus::PersistToken token, std::optional<Slot> last_slot) {
  --persists_in_flight_;
  durable_token_ = token;
  if (last_slot) durable_slot_ = *last_slot;
  {
    MutexLock lock(&status_mutex_);
    status_.durable_slot = durable_slot_;
  }
  while (!held_messages_.empty() && held_messages_.front().after <= durable_token_) {
    env_.send(held_messages_.front());
    held_messages_.pop_front();
  }
  Step(consensus::Persisted{token});
  ProposeIfDue();
}

void Replica::SendMessages(std::vector<consensus::Message> messages) {
  for (consensus::Message& message : messages) {
    if (message.after > durable_token_) {
      held_messages_.push_back(std::move(message));
    } else {
      env_.send(message);
    }
  }
}

void Replica::ArmCoreTimer(MonotonicTime when) {
  if (core_timer_ && *core_timer_ <= when) return;  // An earlier tick lets the core ask again.
  core_timer_ = when;
  PostAt(env_.core, when, [this, when] {
    if (core_timer_ == when) core_timer_.reset();
    Step(consensus::Tick{});
  });
}

void Replica::ArmSweep() {
  if (sweep_armed_.exchange(true, std::memory_order_acq_rel)) return;
  PostAt(env_.core, env_.clock->Now() + kSweepEvery, [this] { Sweep(); });
}

void Replica::Sweep() {
  sweep_armed_.store(false, std::memory_order_release);
  if (waiters_.Expire(env_.clock->Now())) ArmSweep();
}

void Replica::ScheduleUpkeep() {
  // Often enough that the window of versions and the life of sessions overrun by a tenth at most.
  const Duration every =
      std::clamp<Duration>(std::min(options_.mvcc_window, options_.session_idle) / 10,
                           std::chrono::milliseconds(100), std::chrono::seconds(30));
  PostAt(env_.core, env_.clock->Now() + every, [this] { Upkeep(); });
}

void Replica::Upkeep() {
  ScheduleUpkeep();
  if (leadership_.role != consensus::Role::kLeader) return;
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
