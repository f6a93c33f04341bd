#include "src/replication/replica.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"

namespace cairn::replication {
namespace {

// How often deadlines are looked at while somebody waits: their precision.
constexpr Duration kSweepEvery = std::chrono::milliseconds(10);
// Entries that one run of the apply executor takes before it lets other tasks in.
constexpr int kEntriesPerRun = 64;
// One batch at a time is on its way to the disk: the next one gathers meanwhile.
constexpr std::uint32_t kMaxPersistsInFlight = 1;

Status Stopping() { return UnavailableError("this node is stopping; try another one"); }

}  // namespace

std::shared_ptr<Replica> Replica::Create(const ReplicaOptions& options,
                                         const ReplicaEnvironment& environment,
                                         std::unique_ptr<consensus::Core> core,
                                         consensus::Journal* journal,
                                         StateMachineExecutor* executor, storage::Engine* engine) {
  return std::shared_ptr<Replica>(
      new Replica(options, environment, std::move(core), journal, executor, engine));
}

Replica::Replica(const ReplicaOptions& options, const ReplicaEnvironment& environment,
                 std::unique_ptr<consensus::Core> core, consensus::Journal* journal,
                 StateMachineExecutor* executor, storage::Engine* engine)
    : options_(options),
      env_(environment),
      core_(std::move(core)),
      journal_(journal),
      executor_(executor),
      engine_(engine),
      pacer_(options.max_batch_size, options.max_batch_delay) {}

Replica::~Replica() = default;

template <class F>
void Replica::PostTo(SerialExecutor* executor, F task) {
  executor->Post([self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->stopped_.load(std::memory_order_acquire)) task();
  });
}

template <class F>
void Replica::PostAt(SerialExecutor* executor, MonotonicTime when, F task) {
  executor->PostAt(when, [self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->stopped_.load(std::memory_order_acquire)) task();
  });
}

// ---- Start and stop

Status Replica::Start(StatusCallback recovered) {
  const storage::StateMeta state = engine_->Meta();
  const consensus::JournalContents held = journal_->Contents();
  if (held.compacted_slot > state.applied_slot) {
    return CorruptionError("the journal begins after slot " + ToString(held.compacted_slot) +
                           ", but the database holds the state of slot " +
                           ToString(state.applied_slot) +
                           " only; the database files are older than the journal. Restore both "
                           "from one backup");
  }
  const Slot last = std::max(held.last_slot.value_or(Slot()), held.compacted_slot);
  if (last < state.applied_slot) {
    return CorruptionError("the journal ends at slot " + ToString(last) +
                           ", but the database holds the state of slot " +
                           ToString(state.applied_slot) +
                           "; journal files are missing. Restore both from one backup");
  }
  consensus::Recovered event;
  event.hard_state = held.hard_state;
  event.snapshot_slot = state.applied_slot;
  event.snapshot_epoch = state.applied_epoch;
  if (last > state.applied_slot) {
    CAIRN_ASSIGN_OR_RETURN(event.entries,
                           journal_->ReadEntries(state.applied_slot.Next(), last, UINT64_MAX));
  }
  for (const consensus::Entry& entry : event.entries) log_.emplace(entry.slot, LogEntry{entry, {}});
  if (log_.size() != last.value() - state.applied_slot.value()) {
    return CorruptionError("the journal lacks slots between " + ToString(state.applied_slot) +
                           " and " + ToString(last));
  }
  engine_->SetFlushListener([weak = weak_from_this()] {
    const std::shared_ptr<Replica> self = weak.lock();
    if (self && !self->stopped_.load(std::memory_order_acquire)) {
      self->PostTo(self->env_.upkeep, [raw = self.get()] { raw->AfterFlush(); });
    }
  });
  durable_slot_ = last;
  committed_slot_ = state.applied_slot;
  recovery_target_ = last;
  recovered_ = std::move(recovered);
  waiters_.Applied(state.applied_slot, state.version);
  {
    MutexLock lock(&status_mutex_);
    status_.last_slot = status_.durable_slot = last;
    status_.committed_slot = status_.applied_slot = state.applied_slot;
  }
  if (!event.entries.empty()) {
    CAIRN_LOG(kInfo, "replica: replaying slots {} to {}", state.applied_slot.Next().value(),
              last.value());
  }
  PostTo(env_.core, [this, event = std::move(event)]() mutable { Step(std::move(event)); });
  PostTo(env_.apply, [this] { RunApply(); });
  ScheduleUpkeep();
  return Status::Ok();
}

void Replica::Stop() {
  stopped_.store(true, std::memory_order_release);
  waiters_.Close(Stopping());
}

void Replica::Fatal(const Status& why) {
  if (stopped_.exchange(true, std::memory_order_acq_rel)) return;
  CAIRN_LOG(kError, "replica: this node must end: {}", why.ToString());
  waiters_.Close(UnavailableError("this node failed: " + why.message()));
  env_.fatal(why);
}

// ---- What clients call

void Replica::Propose(kv::Command command, MonotonicTime deadline, WriteCallback done) {
  command.group = options_.group;
  command.proposed_at = env_.clock->Wall();
  std::string encoded;
  EncodeCommand(command, &encoded);
  const MonotonicTime now = env_.clock->Now();
  Status refused;
  {
    MutexLock lock(&intake_mutex_);
    refused = !journal_health_.ok() ? journal_health_ : engine_health_;
    if (refused.ok()) {
      const Waiters::Id waiter =
          waiters_.AddWrite(deadline, options_.max_outstanding_proposals, std::move(done));
      if (waiter != 0) {
        intake_.push_back({waiter, now, std::move(encoded)});
        ScheduleIntake();
      } else if (stopped_.load(std::memory_order_acquire)) {
        refused = Stopping();
      } else {
        refused = ResourceExhaustedError(
            "max_outstanding_proposals = " + std::to_string(options_.max_outstanding_proposals) +
            " writes wait already; try again later");
      }
    }
  }
  if (!refused.ok()) {
    done(std::move(refused));
    return;
  }
  ArmSweep();
}

void Replica::Barrier(MonotonicTime deadline, StatusCallback done) {
  const Waiters::Id waiter = waiters_.AddBarrier(deadline, std::move(done));
  if (waiter == 0) return;
  {
    MutexLock lock(&intake_mutex_);
    barrier_intake_.push_back(waiter);
    ScheduleIntake();
  }
  ArmSweep();
}

void Replica::WaitForVersion(Version version, MonotonicTime deadline, StatusCallback done) {
  waiters_.AddVersion(version, deadline, std::move(done));
  ArmSweep();
}

Duration Replica::Staleness() const {
  MutexLock lock(&status_mutex_);
  if (!status_.recovered) return Duration::max();
  if (!unapplied_.empty()) return env_.clock->Now() - unapplied_.front().second;
  // A leader of a single voter knows every commit there is.
  return status_.leadership.role == consensus::Role::kLeader ? Duration::zero() : Duration::max();
}

ReplicaStatus Replica::status() const {
  ReplicaStatus status;
  {
    MutexLock lock(&status_mutex_);
    status = status_;
  }
  status.outstanding = waiters_.outstanding_writes();
  status.applied_version = executor_->applied_version();
  status.watermark = executor_->watermark();
  return status;
}

void Replica::ScheduleIntake() {
  if (intake_scheduled_) return;
  intake_scheduled_ = true;
  PostTo(env_.core, [this] { Intake(); });
}

void Replica::SetHealth(Status* which, Status status) {
  MutexLock lock(&intake_mutex_);
  if (which->ok() != status.ok()) {
    CAIRN_LOG(kWarn, "replica: {}",
              status.ok() ? "taking writes again" : "refusing writes: " + status.message());
  }
  *which = std::move(status);
  MutexLock status_lock(&status_mutex_);
  status_.health = !journal_health_.ok() ? journal_health_ : engine_health_;
}

// ---- Core executor

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

// ---- Journal executor

void Replica::RunPersist(const std::shared_ptr<const consensus::Persist>& persist) {
  Status status = journal_->Append(*persist);
  if (status.code() == StatusCode::kResourceExhausted) {
    // Nothing was written. The entries stay where they are and are tried again; a flush may free
    // old segments meanwhile.
    SetHealth(&journal_health_, std::move(status));
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
  if (well) return;
  PostAt(env_.journal, env_.clock->Now() + options_.disk_retry, [this] { SetHealthFromReserve(); });
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
