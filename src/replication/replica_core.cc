// The replica's side of the core executor: events in, effects out.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/base/planted_bug.h"
#include "src/replication/replica.h"

namespace cairn::replication {

void Replica::Step(Step_t what) {
  CarryOut(core_->Step(consensus::Event{env_.clock->Now(), std::move(what)}));
}

void Replica::CarryOut(consensus::Effects effects) {
  if (effects.persist) HandlePersist(std::move(*effects.persist));
  HandleProposals(effects);
  if (effects.committed) HandleCommitted(*effects.committed);
  // Before the messages: the disk and the state machine are at work while those are sent.
  HandOverCommitted();
  SendMessages(std::move(effects.messages));
  HandleBarriers(effects);
  for (const consensus::Fetch& fetch : effects.fetches) {
    PostTo(env_.journal, [this, fetch] { RunFetch(fetch); });
  }
  if (!effects.snapshots.empty()) SendSnapshots(effects.snapshots);
  if (effects.install_snapshot) BeginInstall(*effects.install_snapshot);
  if (effects.wake_at) ArmCoreTimer(*effects.wake_at);
  // Last: what waits for a leader is dispatched, which steps the core again.
  HandleLeadership(effects);
}

bool Replica::IsAlone() const {
  if (membership_.IsJoint() || membership_.members.size() > 1) return false;
  return membership_.members.empty() || membership_.IsVoter({options_.node, options_.incarnation});
}

void Replica::HandleLeadership(const consensus::Effects& effects) {
  if (effects.membership) {
    membership_ = *effects.membership;
    MutexLock lock(&status_mutex_);
    status_.membership = membership_;
    // What others confirmed before may not be applied here.
    if (!std::exchange(alone_, IsAlone()) && alone_) led_from_ = status_.last_slot;
  }
  if (effects.membership && env_.membership_changed) env_.membership_changed(membership_);
  if (effects.removed) {
    CAIRN_LOG(kWarn,
              "replica: node {} was removed from the cluster; stop it, or empty its data folder "
              "to let it join as a new one",
              options_.node.value());
    MutexLock lock(&status_mutex_);
    status_.removed = true;
  }
  if (!effects.leadership) return;
  if (effects.leadership->leader && effects.leadership->leader != last_leader_) {
    last_leader_ = effects.leadership->leader;
    figures_.leader_changes.Add();
  }
  leadership_ = *effects.leadership;
  if (leads() && !first_led_) first_led_ = leadership_.epoch;
  {
    MutexLock lock(&status_mutex_);
    const bool led = status_.leadership.role == consensus::Role::kLeader &&
                     status_.leadership.epoch == leadership_.epoch;
    if (leads() && !led) {
      led_from_ = status_.last_slot;
      stall_.Note(status_.last_slot, status_.applied_slot, /*moved=*/true, *env_.clock);
    }
    status_.leadership = leadership_;
  }
  {
    MutexLock lock(&intake_mutex_);
    led_elsewhere_ = leadership_.leader && *leadership_.leader != options_.node;
  }
  forwarder_.OnLeader(leadership_.leader, leadership_.epoch, env_.clock->Now());
  if (!leadership_.leader) return;
  if (!parked_barriers_.empty()) StartBarrier(std::exchange(parked_barriers_, {}));
  Dispatch();
  if (!leads()) ContinueHandOver();
}

void Replica::HandlePersist(consensus::Persist persist) {
  CAIRN_CHECK(persist.token == last_token_.Next(), "persist tokens count up by one");
  last_token_ = persist.token;
  if (persist.truncate_from) {
    CAIRN_CHECK(*persist.truncate_from > committed_slot_,
                "a committed slot would be cut: " + ToString(*persist.truncate_from));
    for (auto it = log_.lower_bound(*persist.truncate_from); it != log_.end();) {
      waiters_.FailWrites(
          it->second.waiters,
          UnavailableError("another leader took the log slot of this write").WithMaybeApplied());
      it = log_.erase(it);
    }
    durable_slot_ = std::min(durable_slot_, persist.truncate_from->Prev());
  }
  for (const consensus::Entry& entry : persist.entries) {
    if (entry.slot <= handed_over_) continue;  // Chosen, and written again under another epoch.
    LogEntry& held = log_[entry.slot];
    waiters_.FailWrites(
        held.waiters,
        UnavailableError("another leader took the log slot of this write").WithMaybeApplied());
    held = LogEntry{entry, persist.token, {}, entry.payload->size(), {}};
    durable_slot_ = std::min(durable_slot_, entry.slot.Prev());
  }
  if (persist.truncate_from || !persist.entries.empty()) {
    MutexLock lock(&status_mutex_);
    status_.last_slot = log_.empty() ? handed_over_ : log_.rbegin()->first;
    stall_.Note(status_.last_slot, status_.applied_slot, /*moved=*/false, *env_.clock);
  }
  bool run = false;
  {
    MutexLock lock(&persist_mutex_);
    persist_queue_.push_back(std::move(persist));
    run = !std::exchange(persist_scheduled_, true);
  }
  if (run) PostTo(env_.journal, [this] { RunPersists(); });
}

void Replica::HandleCommitted(Slot committed) {
  // After a restart the core may know of less than the engine holds, until it hears more.
  if (committed <= committed_slot_) return;
  committed_slot_ = committed;
  MutexLock lock(&status_mutex_);
  status_.committed_slot = committed_slot_;
  if (alone_ && committed_slot_ > status_.applied_slot) {
    unapplied_.emplace_back(committed_slot_, env_.clock->Now());
  }
}

void Replica::HandOverCommitted() {
  if (installing_) return;  // It is in the snapshot.
  const auto ready = [this] {
    return !log_.empty() && log_.begin()->first == handed_over_.Next() &&
           log_.begin()->first <= committed_slot_ &&
           (log_.begin()->second.token <= durable_token_ ||
            Planted(PlantedBug::kApplyBeyondDurable));
  };
  if (!ready()) return;
  bool run = false;
  Waiters::Id waiter = 0;
  const MonotonicTime now = env_.clock->Now();
  {
    MutexLock lock(&apply_mutex_);
    while (ready()) {
      LogEntry& next = log_.begin()->second;
      backlog_bytes_.fetch_add(next.bytes, std::memory_order_relaxed);
      if (next.entry.payload != nullptr) {
        // It is durable: beyond the bound it is read back when its turn comes.
        const bool full = apply_queue_bytes_.load(std::memory_order_relaxed) + next.bytes >
                          options_.max_apply_queue_bytes;
        if (full) {
          next.entry.payload = nullptr;
        } else {
          apply_queue_bytes_.fetch_add(next.bytes, std::memory_order_relaxed);
        }
      }
      if (next.proposed) {
        figures_.commit.Record(metrics::Nanoseconds(now - *next.proposed));
      }
      handed_over_ = log_.begin()->first;
      if (waiter == 0 && !next.waiters.empty()) waiter = next.waiters.front();
      apply_queue_.push_back(std::move(next));
      log_.erase(log_.begin());
    }
    run = !std::exchange(apply_scheduled_, true);
  }
  durable_slot_ = std::max(durable_slot_, handed_over_);
  if (run) ScheduleApply(waiter);
}

void Replica::ScheduleApply(Waiters::Id waiter) {
  Task by_caller = [self = shared_from_this()] {
    self->DispatchTo(self->env_.apply, [raw = self.get()] { raw->RunApply(); });
  };
  if (!waiters_.PostToCaller(waiter, by_caller)) PostTo(env_.apply, [this] { RunApply(); });
}

void Replica::OnPersisted(consensus::PersistToken token) {
  durable_token_ = token;
  for (auto it = log_.upper_bound(durable_slot_);
       it != log_.end() && it->first == durable_slot_.Next() && it->second.token <= token; ++it) {
    durable_slot_ = it->first;
  }
  {
    MutexLock lock(&status_mutex_);
    status_.durable_slot = durable_slot_;
  }
  while (!held_messages_.empty() && held_messages_.front().after <= durable_token_) {
    SendFrame(held_messages_.front().to, FrameKind::kCore, held_messages_.front().body);
    held_messages_.pop_front();
  }
  Step(consensus::Persisted{token});
  Dispatch();
}

void Replica::OnApplied(Slot slot) {
  applied_slot_ = slot;
  std::optional<MonotonicTime> fresh;
  while (!confirmed_.empty() && confirmed_.front().first <= slot) {
    fresh = confirmed_.front().second;
    confirmed_.pop_front();
  }
  if (fresh) {
    MutexLock lock(&status_mutex_);
    fresh_at_ = std::max(fresh_at_.value_or(*fresh), *fresh);
  }
  Step(consensus::Applied{slot});
}

// ---- Barriers

void Replica::StartBarrier(std::vector<Waiters::Id> waiters) {
  const consensus::BarrierId id(next_number_++);
  barriers_.emplace(id, BarrierRound{env_.clock->Now(), std::move(waiters)});
  Step(consensus::ReadBarrier{id});
}

void Replica::HandleBarriers(const consensus::Effects& effects) {
  for (const consensus::OpenBarrier& open : effects.open_barriers) {
    const auto barrier = barriers_.find(open.id);
    if (barrier == barriers_.end()) continue;
    const MonotonicTime asked = barrier->second.asked;
    if (open.slot <= applied_slot_) {
      MutexLock lock(&status_mutex_);
      fresh_at_ = std::max(fresh_at_.value_or(asked), asked);
    } else {
      // Later barriers open at the same slot or a later one.
      confirmed_.emplace_back(open.slot, asked);
    }
    for (const Waiters::Id waiter : barrier->second.waiters) waiters_.BindToSlot(waiter, open.slot);
    barriers_.erase(barrier);
  }
  for (const consensus::FailedBarrier& failed : effects.failed_barriers) {
    const auto barrier = barriers_.find(failed.id);
    if (barrier == barriers_.end()) continue;
    // Whoever still has time waits for the next leader.
    for (const Waiters::Id waiter : barrier->second.waiters) {
      if (waiters_.Waits(waiter)) parked_barriers_.push_back(waiter);
    }
    barriers_.erase(barrier);
  }
}

void Replica::ProbeFreshness() {
  PostAt(env_.core, env_.clock->Now() + options_.freshness_interval, [this] { ProbeFreshness(); });
  if (leadership_.leader) StartBarrier({});
}

void Replica::ArmCoreTimer(MonotonicTime when) {
  // An earlier tick lets the core ask again.
  if (!core_timers_.empty() && *core_timers_.begin() <= when) return;
  core_timers_.insert(when);
  PostAt(env_.core, when, [this, when] {
    core_timers_.erase(when);
    Step(consensus::Tick{});
  });
}

}  // namespace cairn::replication
