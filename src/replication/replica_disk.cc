// The replica's side of the executors that touch disks: journal, apply and upkeep.
#include <utility>

#include "src/base/log.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// Entries that one run of the apply executor takes before it lets other tasks in.
constexpr int kEntriesPerRun = 64;

}  // namespace

// ---- Journal executor

void Replica::RunPersist(const std::shared_ptr<const consensus::Persist>& persist) {
  Status status = journal_->Append(*persist);
  if (status.code() == StatusCode::kResourceExhausted) {
    // Nothing was written. The entries stay where they are and are tried again; a flush may free
    // old segments meanwhile.
    SetHealth(&journal_health_, std::move(status));
    journal_was_well_ = false;  // SetHealthFromReserve takes it back.
    if (!flush_scheduled_.exchange(true)) PostTo(env_.upkeep, [this] { FlushEngine(nullptr); });
    PostAt(env_.journal, env_.clock->Now() + options_.disk_retry,
           [this, persist] { RunPersist(persist); });
    return;
  }
  if (status.ok()) status = journal_->Sync();
  if (!status.ok()) {
    Fatal(status);
    return;
  }
  // Room for the largest batch is made now, so that a full disk is found before a proposal is taken
  // and not after.
  SetHealthFromReserve();
  std::optional<Slot> last_slot;
  if (!persist->entries.empty()) last_slot = persist->entries.back().slot;
  PostTo(env_.core, [this, token = persist->token, last_slot] { OnPersisted(token, last_slot); });
  FlushIfJournalIsLong();
}

void Replica::SetHealthFromReserve() {
  Status room = journal_->Reserve(options_.limits.entry_bytes + options_.limits.transaction_bytes);
  if (room.ok() && journal_was_well_) return;
  if (!room.ok() && room.code() != StatusCode::kResourceExhausted) {
    Fatal(room);
    return;
  }
  const bool well = room.ok();
  SetHealth(&journal_health_, std::move(room));
  journal_was_well_ = well;
  if (well || std::exchange(room_retry_armed_, true)) return;
  PostAt(env_.journal, env_.clock->Now() + options_.disk_retry, [this] {
    room_retry_armed_ = false;
    SetHealthFromReserve();
  });
}

void Replica::FlushIfJournalIsLong() {
  if (journal_->Figures().live_bytes <= options_.max_journal_bytes) return;
  if (flush_scheduled_.exchange(true)) return;
  PostTo(env_.upkeep, [this] { FlushEngine(nullptr); });
}

// ---- Apply executor

void Replica::RunApply() {
  bool applied_any = false;
  for (int i = 0; i < kEntriesPerRun; ++i) {
    if (!applying_) {
      MutexLock lock(&apply_mutex_);
      if (apply_queue_.empty()) {
        apply_scheduled_ = false;
        break;
      }
      applying_ = std::move(apply_queue_.front());
      apply_queue_.pop_front();
      outcomes_.clear();
    }
    Status status = executor_->ApplyEntry(applying_->entry, &outcomes_);
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
      Fatal(Status(status.code(), "slot " + ToString(applying_->entry.slot) +
                                      " cannot be applied: " + status.message()));
      return;
    }
    LogEntry applied = std::move(*applying_);
    applying_.reset();
    AfterApply(applied);
    applied_any = true;
    if (i + 1 == kEntriesPerRun) PostTo(env_.apply, [this] { RunApply(); });
  }
  const Slot slot = executor_->applied_slot();
  if (applied_any) PostTo(env_.core, [this, slot] { Step(consensus::Applied{slot}); });
  if (recovered_ && slot >= recovery_target_) {
    {
      MutexLock lock(&status_mutex_);
      status_.recovered = true;
    }
    std::exchange(recovered_, nullptr)(Status::Ok());
  }
}

void Replica::AfterApply(LogEntry& applied) {
  {
    MutexLock lock(&status_mutex_);
    status_.applied_slot = applied.entry.slot;
    while (!unapplied_.empty() && unapplied_.front().first <= applied.entry.slot) {
      unapplied_.pop_front();
    }
  }
  waiters_.Applied(applied.entry.slot, executor_->applied_version());
  if (!applied.waiters.empty()) waiters_.AnswerWrites(applied.waiters, outcomes_);
}

// ---- Upkeep executor

void Replica::Flush(StatusCallback done) {
  PostTo(env_.upkeep, [this, done = std::move(done)]() mutable { FlushEngine(std::move(done)); });
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
  PostTo(env_.journal, [this, slot = flushed->applied_slot, epoch = flushed->applied_epoch] {
    const Status status = journal_->Compact(slot, epoch);
    if (!status.ok() && status.code() != StatusCode::kResourceExhausted) Fatal(status);
  });
  PostTo(env_.apply, [this] {
    if (Status status = executor_->ReleaseHistory(); !status.ok()) {
      CAIRN_LOG(kError, "replica: the watermark could not be passed on: {}", status.ToString());
    }
  });
}

}  // namespace cairn::replication
