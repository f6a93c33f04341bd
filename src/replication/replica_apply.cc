// The replica's side of the executors that touch the engine: apply and upkeep.
#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/base/planted_bug.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// Entries that one run of the apply executor takes before it lets other tasks in.
constexpr int kEntriesPerRun = 64;
// How much is read from the journal at once, of entries that memory had no room for.
constexpr std::uint64_t kReadAheadBytes = 4 << 20;

}  // namespace

// ---- Apply executor

void Replica::RunApply() {
  bool applied_any = false;
  for (int i = 0; i < kEntriesPerRun; ++i) {
    const Result<bool> taken = TakeNext();
    if (!taken.ok()) return Fatal(taken.status());
    if (!*taken) break;
    const MonotonicTime begun = env_.clock->Now();
    Status status = executor_->ApplyEntry(applying_->entry, &outcomes_);
    figures_.apply.Record(metrics::Nanoseconds(env_.clock->Now() - begun));
    if (status.code() == StatusCode::kResourceExhausted) {
      SetHealth(&engine_health_, std::move(status));
      PostAt(env_.apply, env_.clock->Now() + options_.disk_retry, [this] {
        if (Status resumed = engine_->Resume(); resumed.ok()) {
          SetHealth(&engine_health_, Status::Ok());
        }
        RunApply();
      });
      break;
    }
    if (!status.ok()) {
      return Fatal(Status(status.code(), "slot " + ToString(applying_->entry.slot) +
                                             " cannot be applied: " + status.message()));
    }
    LogEntry applied = std::move(*applying_);
    applying_.reset();
    AfterApply(applied);
    if (!slot_waiters_.empty()) AnswerSlotWaiters();
    applied_any = true;
    if (i + 1 == kEntriesPerRun) PostTo(env_.apply, [this] { RunApply(); });
  }
  ReportApplied(applied_any);
}

Result<bool> Replica::TakeNext() {
  if (applying_) return true;
  {
    MutexLock lock(&apply_mutex_);
    if (apply_queue_.empty()) {
      apply_scheduled_ = false;
      return false;
    }
    applying_ = std::move(apply_queue_.front());
    apply_queue_.pop_front();
  }
  outcomes_.clear();
  if (applying_->entry.payload != nullptr) {
    apply_queue_bytes_.fetch_sub(applying_->bytes, std::memory_order_relaxed);
  } else {
    CAIRN_RETURN_IF_ERROR(ReadPayload(&applying_->entry));
  }
  return true;
}

Status Replica::ReadPayload(consensus::Entry* entry) {
  while (!read_ahead_.empty() && read_ahead_.front().slot < entry->slot) read_ahead_.pop_front();
  if (read_ahead_.empty() || read_ahead_.front().slot != entry->slot) {
    CAIRN_ASSIGN_OR_RETURN(std::vector<consensus::Entry> read,
                           journal_->ReadEntries(entry->slot, Slot::Max().Prev(), kReadAheadBytes));
    read_ahead_.assign(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  }
  // What is committed and durable does not change any more. What was read ahead of the commit may
  // have: it is read again then.
  if (read_ahead_.front().epoch != entry->epoch) {
    CAIRN_ASSIGN_OR_RETURN(std::vector<consensus::Entry> read,
                           journal_->ReadEntries(entry->slot, entry->slot, 0));
    read_ahead_.assign(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  }
  if (read_ahead_.front().epoch != entry->epoch) {
    return CorruptionError("the journal holds another entry than the one that was committed");
  }
  entry->payload = std::move(read_ahead_.front().payload);
  read_ahead_.pop_front();
  return Status::Ok();
}

void Replica::ReportApplied(bool applied_any) {
  const Slot slot = executor_->applied_slot();
  if (applied_any) DispatchTo(env_.core, [this, slot] { OnApplied(slot); });
  if (recovered_ && slot >= recovery_target_) {
    {
      MutexLock lock(&status_mutex_);
      status_.recovered = true;
    }
    // Until the next report the peers would take it for one that replays.
    if (options_.report_interval > Duration::zero()) PostTo(env_.core, [this] { SendReport(); });
    std::exchange(recovered_, nullptr)(Status::Ok());
  }
}

void Replica::AfterApply(LogEntry& applied) {
  backlog_bytes_.fetch_sub(applied.bytes, std::memory_order_relaxed);
  {
    MutexLock lock(&status_mutex_);
    status_.applied_slot = applied.entry.slot;
    stall_.Note(status_.last_slot, status_.applied_slot, /*moved=*/true, *env_.clock);
    while (!unapplied_.empty() && unapplied_.front().first <= applied.entry.slot) {
      unapplied_.pop_front();
    }
  }
  waiters_.Applied(applied.entry.slot, executor_->applied_version());
  if (!applied.waiters.empty()) waiters_.AnswerWrites(applied.waiters, outcomes_);
}

void Replica::AtSlot(Slot slot, std::uint64_t token, StatusCallback done) {
  env_.apply->Post([self = shared_from_this(), slot, token, done = std::move(done)]() mutable {
    for (SlotWaiter& waiter : self->slot_waiters_) {
      if (waiter.token != token) continue;
      waiter.done(Status(StatusCode::kCancelled, "a newer request took the place of this one"));
      waiter.token = 0;
    }
    std::erase_if(self->slot_waiters_, [](const SlotWaiter& waiter) { return waiter.token == 0; });
    self->slot_waiters_.push_back({slot, token, std::move(done)});
    self->AnswerSlotWaiters();
  });
}

void Replica::AnswerSlotWaiters() {
  const Slot here = executor_->applied_slot();
  const bool stopped = stopped_.load(std::memory_order_acquire);
  std::vector<SlotWaiter> ready;
  const auto due = [&](const SlotWaiter& waiter) { return stopped || waiter.slot <= here; };
  for (SlotWaiter& waiter : slot_waiters_) {
    if (due(waiter)) ready.push_back(std::move(waiter));
  }
  std::erase_if(slot_waiters_, [](const SlotWaiter& waiter) { return waiter.done == nullptr; });
  for (SlotWaiter& waiter : ready) {
    Status status;
    if (stopped) {
      status = UnavailableError("this node is stopping");
    } else if (waiter.slot != Slot() && waiter.slot < here) {
      status = FailedPreconditionError("the state is at slot " + ToString(here) + ", past slot " +
                                       ToString(waiter.slot));
    }
    waiter.done(std::move(status));
  }
}

// ---- Upkeep executor

void Replica::Flush(StatusCallback done) {
  env_.upkeep->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    if (!self->stopped()) return self->FlushEngine(std::move(done));
    if (done) done(UnavailableError("this node is stopping; try another one"));
  });
}

void Replica::FlushEngine(StatusCallback done) {
  const Status status = engine_->Flush();
  flush_scheduled_.store(false);
  if (status.ok()) {
    AfterFlush();
  } else if (status.code() != StatusCode::kResourceExhausted) {
    CAIRN_LOG(kError, "replica: the engine could not flush: {}", status.ToString());
  }
  if (done) done(status);
}

void Replica::AfterFlush() {
  const Result<storage::StateMeta> flushed = engine_->FlushedMeta();
  if (!flushed.ok()) {
    CAIRN_LOG(kError, "replica: the flushed state is not readable: {}",
              flushed.status().ToString());
    return;
  }
  if (flushed->applied_slot.value() == 0) return;
  snapshot_receiver_.DropUpTo(flushed->applied_slot);
  PostTo(env_.journal, [this, slot = flushed->applied_slot, epoch = flushed->applied_epoch] {
    CutJournal(slot, epoch);
  });
  PostTo(env_.apply, [this] {
    if (Status status = executor_->ReleaseHistory(); !status.ok()) {
      CAIRN_LOG(kError, "replica: the watermark could not be passed on: {}", status.ToString());
    }
  });
}

}  // namespace cairn::replication
