#include "src/replication/replica.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/replication/interrupted_install.h"

namespace cairn::replication {
namespace {

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
      forwarder_(MakeForwarderOptions(), MakeForwarderHooks(), &waiters_),
      pacer_(options.max_batch_size, options.max_batch_delay),
      snapshot_sender_(MakeSnapshotSenderOptions(), engine, environment.files,
                       MakeSnapshotSenderHooks()),
      snapshot_receiver_(environment.snapshot_directory, options.incarnation, environment.files,
                         MakeSnapshotReceiverHooks(), executor->known_features()) {}

Replica::~Replica() = default;

// ---- Start and stop

Status Replica::Start(StatusCallback recovered) {
  const storage::StateMeta state = engine_->Meta();
  if (MovesSnapshots()) CAIRN_RETURN_IF_ERROR(snapshot_receiver_.TakeUp(state.applied_slot));
  CAIRN_RETURN_IF_ERROR(
      FinishInterruptedInstall(journal_, state, options_.installed_slot, options_.installed_epoch));
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
  CAIRN_ASSIGN_OR_RETURN(consensus::Recovered event, WhatIsHeld(state, held, last));
  engine_->SetFlushListener([weak = weak_from_this()] {
    const std::shared_ptr<Replica> self = weak.lock();
    if (self && !self->stopped_.load(std::memory_order_acquire)) {
      self->PostTo(self->env_.upkeep, [raw = self.get()] { raw->AfterFlush(); });
    }
  });
  durable_slot_ = last;
  committed_slot_ = handed_over_ = applied_slot_ = state.applied_slot;
  membership_ = event.membership;
  recovered_ = std::move(recovered);
  started_ = env_.clock->Now();
  waiters_.Applied(state.applied_slot, state.version);
  {
    MutexLock lock(&status_mutex_);
    status_.last_slot = status_.durable_slot = last;
    status_.committed_slot = status_.applied_slot = state.applied_slot;
    status_.membership = membership_;
    alone_ = IsAlone();
  }
  if (last > state.applied_slot) {
    CAIRN_LOG(kInfo, "replica: the journal holds slots {} to {}, the database those before",
              state.applied_slot.Next().value(), last.value());
  }
  PostTo(env_.core, [this, event = std::move(event)]() mutable {
    Step(std::move(event));
    // Recovery ends on the apply executor, even if nothing is replayed; and not before the core has
    // said where this node stands.
    PostTo(env_.apply, [this, target = committed_slot_] {
      recovery_target_ = target;
      RunApply();
    });
    if (options_.freshness_interval > Duration::zero()) ProbeFreshness();
    if (options_.report_interval > Duration::zero()) SendReports();
  });
  // After that: a frame must not reach the core before it has recovered.
  if (env_.transport != nullptr) {
    env_.transport->SetReceiver([weak = weak_from_this()](NodeId from, const std::string& frame) {
      if (const std::shared_ptr<Replica> self = weak.lock()) self->OnFrame(from, frame);
    });
  }
  ScheduleUpkeep();
  return Status::Ok();
}

Result<consensus::Recovered> Replica::WhatIsHeld(const storage::StateMeta& state,
                                                 const consensus::JournalContents& held,
                                                 Slot last) {
  consensus::Recovered event;
  event.hard_state = held.hard_state;
  event.membership = options_.initial_membership;
  if (!state.membership.empty()) {
    CAIRN_ASSIGN_OR_RETURN(event.membership, consensus::Membership::Decode(state.membership));
  }
  // All that the journal holds, also what the engine has: peers may lack it.
  event.snapshot_slot = held.compacted_slot;
  event.snapshot_epoch = held.compacted_epoch;
  if (last > held.compacted_slot) {
    CAIRN_ASSIGN_OR_RETURN(event.entries,
                           journal_->ReadEntries(held.compacted_slot.Next(), last, UINT64_MAX));
  }
  for (const consensus::Entry& entry : event.entries) {
    if (entry.slot <= state.applied_slot) continue;
    log_.emplace(entry.slot,
                 LogEntry{entry, consensus::PersistToken(), {}, entry.payload->size(), {}});
  }
  if (log_.size() != last.value() - state.applied_slot.value()) {
    return CorruptionError("the journal lacks slots between " + ToString(state.applied_slot) +
                           " and " + ToString(last));
  }
  return event;
}

void Replica::Stop() {
  stopped_.store(true, std::memory_order_release);
  if (env_.transport != nullptr) env_.transport->SetReceiver(nullptr);
  waiters_.Close(Stopping());
  env_.apply->Post([self = shared_from_this()] { self->AnswerSlotWaiters(); });
}

void Replica::Fatal(const Status& why) {
  if (stopped_.exchange(true, std::memory_order_acq_rel)) return;
  CAIRN_LOG(kError, "replica: this node must end: {}", why.ToString());
  waiters_.Close(UnavailableError("this node failed: " + why.message()));
  env_.fatal(why);
}

// ---- What clients call

Status Replica::RefusedByHealth() {
  if (led_elsewhere_) return Status::Ok();
  return !journal_health_.ok() ? journal_health_ : engine_health_;
}

void Replica::Propose(kv::Command command, MonotonicTime deadline, WriteCallback done,
                      Elsewhere elsewhere, SerialExecutor* caller) {
  command.group = options_.group;
  command.proposed_at = env_.clock->Wall();
  std::string encoded;
  EncodeCommand(command, &encoded);
  if (env_.transport != nullptr && encoded.size() > kMaxReplicatedCommandBytes) {
    return done(InvalidArgumentError("the write takes " + std::to_string(encoded.size()) +
                                     " bytes, and one that is sent to " + "other nodes may take " +
                                     std::to_string(kMaxReplicatedCommandBytes) +
                                     "; write less at once"));
  }
  const MonotonicTime now = env_.clock->Now();
  const Waiters::Bounds bounds{options_.max_outstanding_proposals, options_.max_outstanding_bytes};
  Status refused;
  bool schedule = false;
  {
    MutexLock lock(&intake_mutex_);
    refused = RefusedByHealth();
    if (refused.ok()) {
      const Waiters::Id waiter =
          waiters_.AddWrite(deadline, encoded.size(), bounds, std::move(done), caller);
      if (waiter != 0) {
        intake_.push_back({waiter, now, std::move(encoded), deadline, elsewhere});
        schedule = !std::exchange(intake_scheduled_, true);
      } else if (stopped_.load(std::memory_order_acquire)) {
        refused = Stopping();
      } else {
        refused = ResourceExhaustedError(
            "max_outstanding_proposals = " + std::to_string(options_.max_outstanding_proposals) +
            " writes, or max_outstanding_bytes = " +
            std::to_string(options_.max_outstanding_bytes) +
            " of them, are under way already; try again later");
      }
    }
  }
  if (!refused.ok()) {
    // NOLINTNEXTLINE(bugprone-use-after-move): AddWrite leaves it alone when it answers 0.
    done(std::move(refused));
    return;
  }
  ArmSweep();
  if (schedule) DispatchTo(env_.core, [this] { Intake(); });
}

void Replica::Barrier(MonotonicTime deadline, StatusCallback done) {
  const Waiters::Id waiter = waiters_.AddBarrier(deadline, std::move(done));
  if (waiter == 0) return;
  bool schedule = false;
  {
    MutexLock lock(&intake_mutex_);
    barrier_intake_.push_back(waiter);
    schedule = !std::exchange(intake_scheduled_, true);
  }
  ArmSweep();
  if (schedule) DispatchTo(env_.core, [this] { Intake(); });
}

void Replica::WaitForVersion(Version version, MonotonicTime deadline, StatusCallback done) {
  if (!waiters_.AddVersion(version, deadline, std::move(done))) return;
  ArmSweep();
  // That version is committed, or will be: a leader that is asked for a barrier tells of it at
  // once, rather than with its next message. Max() is nobody's version.
  if (version == Version::Max()) return;
  bool schedule = false;
  {
    MutexLock lock(&intake_mutex_);
    if (!led_elsewhere_) return;
    news_wanted_ = true;
    schedule = !std::exchange(intake_scheduled_, true);
  }
  if (schedule) DispatchTo(env_.core, [this] { Intake(); });
}

Duration Replica::Staleness() const {
  MutexLock lock(&status_mutex_);
  if (!status_.recovered) return Duration::max();
  const MonotonicTime now = env_.clock->Now();
  // What was acknowledged before it led alone is in its log, and applied from there on.
  if (alone_ && status_.leadership.role == consensus::Role::kLeader &&
      status_.applied_slot >= led_from_) {
    return unapplied_.empty() ? Duration::zero() : now - unapplied_.front().second;
  }
  return fresh_at_ ? now - *fresh_at_ : Duration::max();
}

ReplicaStatus Replica::status() const {
  ReplicaStatus status;
  {
    MutexLock lock(&status_mutex_);
    status = status_;
    if (status.leadership.role == consensus::Role::kLeader) {
      status.stalled_for = stall_.For(env_.clock->Now());
    }
  }
  status.outstanding = waiters_.outstanding_writes();
  status.applied_version = executor_->applied_version();
  status.watermark = executor_->watermark();
  status.features = executor_->features();
  status.bad_frames = bad_frames_.load(std::memory_order_relaxed);
  return status;
}

ReplicaDepths Replica::depths() const {
  ReplicaDepths depths;
  {
    MutexLock lock(&intake_mutex_);
    depths.intake = intake_.size();
  }
  {
    MutexLock lock(&persist_mutex_);
    depths.persists = persist_queue_.size();
  }
  {
    MutexLock lock(&apply_mutex_);
    depths.apply_entries = apply_queue_.size();
  }
  depths.apply_backlog_bytes = backlog_bytes_.load(std::memory_order_relaxed);
  depths.apply_memory_bytes = apply_queue_bytes_.load(std::memory_order_relaxed);
  depths.inbox_bytes = inbox_bytes_.load(std::memory_order_relaxed);
  return depths;
}

void Replica::SetHealth(Status* which, Status status) {
  MutexLock lock(&intake_mutex_);
  if (which->ok() != status.ok()) {
    CAIRN_LOG(kWarn, "replica: {}",
              status.ok() ? "taking writes again" : "refusing writes: " + status.message());
  }
  *which = std::move(status);
  const Status& worst = !journal_health_.ok() ? journal_health_ : engine_health_;
  if (worst.ok()) {
    ill_since_.reset();
  } else if (!ill_since_) {
    ill_since_ = env_.clock->Now();
    PostTo(env_.core, [this] { WatchHealth(); });
  }
  MutexLock status_lock(&status_mutex_);
  status_.health = worst;
}

}  // namespace cairn::replication
