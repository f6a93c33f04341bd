// The replica's side of the journal executor: persists in order, many under one fdatasync, and what
// happens when there is no room for the next one.
#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/base/planted_bug.h"
#include "src/replication/replica.h"

namespace cairn::replication {

void Replica::RunPersists() {
  {
    MutexLock lock(&persist_mutex_);
    persist_scheduled_ = false;
    for (consensus::Persist& persist : persist_queue_) to_write_.push_back(std::move(persist));
    persist_queue_.clear();
  }
  if (persist_retry_armed_) return;  // There was no room; the retry finds these too.
  Status held;
  const std::optional<consensus::PersistToken> token = AppendPersists(&held);
  if (token) {
    if (!Planted(PlantedBug::kAnswerBeforeSync)) {
      const MonotonicTime begun = env_.clock->Now();
      if (const Status synced = journal_->Sync(); !synced.ok()) return Fatal(synced);
      figures_.sync.Record(metrics::Nanoseconds(env_.clock->Now() - begun));
    }
    // Before anybody is answered: who was may write again at once.
    if (held.ok()) SetHealthFromReserve();
    DispatchTo(env_.core, [this, last = *token] { OnPersisted(last); });
  }
  if (!held.ok()) return HoldPersists(std::move(held));
  FlushIfJournalIsLong();
}

std::optional<consensus::PersistToken> Replica::AppendPersists(Status* held) {
  std::optional<consensus::PersistToken> last;
  while (!to_write_.empty()) {
    const consensus::Persist& next = to_write_.front();
    if (!next.entries.empty() && backlog_bytes_.load(std::memory_order_relaxed) > MaxBacklog()) {
      *held = ResourceExhaustedError(
          "the database is " + std::to_string(backlog_bytes_.load(std::memory_order_relaxed)) +
          " bytes of log behind; nothing more is taken until it has caught up");
      return last;
    }
    Status status = journal_->Append(next);
    if (status.code() == StatusCode::kResourceExhausted) {
      *held = std::move(status);
      return last;
    }
    if (!status.ok()) {
      Fatal(status);
      return std::nullopt;
    }
    last = next.token;
    to_write_.pop_front();
  }
  return last;
}

void Replica::HoldPersists(Status why) {
  // Nothing of the first that waits was written. What waits stays in order and is tried again; a
  // flush may free old segments meanwhile.
  SetHealth(&journal_health_, std::move(why));
  journal_was_well_ = false;  // SetHealthFromReserve takes it back.
  if (!flush_scheduled_.exchange(true)) PostTo(env_.upkeep, [this] { FlushEngine(nullptr); });
  if (std::exchange(persist_retry_armed_, true)) return;
  PostAt(env_.journal, env_.clock->Now() + options_.disk_retry, [this] {
    persist_retry_armed_ = false;
    RunPersists();
  });
}

// Room for the largest batch is made ahead, so that a full disk is found before a proposal is taken
// and not after.
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
    if (to_write_.empty()) SetHealthFromReserve();  // Else the retry of those finds out.
  });
}

void Replica::FlushIfJournalIsLong() {
  const consensus::JournalFigures figures = journal_->Figures();
  if (figures.live_bytes <= options_.max_journal_bytes) return;
  // What is kept for other nodes does not go with a flush: the next one waits for news.
  if (figures.appended_bytes - flushed_at_bytes_ < options_.max_journal_bytes / 8) return;
  if (flush_scheduled_.exchange(true)) return;
  flushed_at_bytes_ = figures.appended_bytes;
  PostTo(env_.upkeep, [this] { FlushEngine(nullptr); });
}

// The engine holds everything up to `flushed` durably. In a group a part of the log stays all the
// same, for nodes that were away and for those to whom a snapshot is on its way; unless there is no
// room for it.
void Replica::CutJournal(Slot flushed, Epoch epoch) {
  // A snapshot that is being installed: its state is in the engine, and the journal is not reset to
  // it yet. What the journal holds there may be of a leader that lost.
  if (journal_->EpochAt(flushed) != epoch) return;
  bool alone = false;
  {
    MutexLock lock(&status_mutex_);
    alone = alone_;
  }
  Slot cut = flushed;
  const bool roomy = journal_was_well_ && to_write_.empty();
  if (Planted(PlantedBug::kJournalCutTooFar)) {
    cut = executor_->applied_slot();
  } else if (!alone && roomy) {
    const std::uint64_t keep = options_.retain_journal_bytes;
    if (journal_->Figures().live_bytes <= std::max(options_.max_journal_bytes, 2 * keep)) return;
    cut = std::min({flushed, journal_->SlotBefore(keep), snapshot_sender_.lowest_slot()});
  }
  if (cut == Slot()) return;
  if (cut != flushed) {
    const std::optional<Epoch> held = journal_->EpochAt(cut);
    if (!held) return;  // Below the mark: it is cut already.
    epoch = *held;
  }
  const Status status = journal_->Compact(cut, epoch);
  if (status.ok()) {
    PostTo(env_.core, [this, cut] { Step(consensus::Compacted{cut}); });
  } else if (status.code() != StatusCode::kResourceExhausted) {
    Fatal(status);
  }
}

void Replica::RunFetch(const consensus::Fetch& fetch) {
  consensus::Fetched answer{fetch.peer, fetch.first, {}};
  Result<std::vector<consensus::Entry>> entries =
      journal_->ReadEntries(fetch.first, Slot::Max().Prev(), fetch.max_bytes);
  if (entries.ok()) {
    answer.entries = *std::move(entries);
  } else if (entries.status().code() != StatusCode::kNotFound) {
    return Fatal(entries.status());
  }
  PostTo(env_.core, [this, answer = std::move(answer)]() mutable { Step(std::move(answer)); });
}

}  // namespace cairn::replication
