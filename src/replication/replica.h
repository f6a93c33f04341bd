// The replica: the one driver of any consensus core. It carries out a core's effects in the order
// that core.h demands, batches proposals, applies what is committed, answers who waits, keeps the
// journal short, and refuses work that it could not hold.
//
// Threads. The replica owns none: it runs on four serial executors, which are threads in a node and
// queues of virtual time in the simulator.
//   core     owns the core, the log cache and the proposals in flight
//   journal  owns the journal's writer side: Append, Sync, Compact
//   apply    owns the state machine's writer side
//   upkeep   flushes of the engine; nothing waits for it
// Propose, Barrier, WaitForVersion and status may be called from any thread. Callbacks run on one
// of the executors (or inside the call, when the answer is known at once) and must not block.
//
// The way of a write: Propose -> [core] batch, Step(Propose) -> [journal] Append, Sync -> [core]
// Step(Persisted), committed -> [apply] ApplyEntry -> callback.
#ifndef CAIRN_SRC_REPLICATION_REPLICA_H_
#define CAIRN_SRC_REPLICATION_REPLICA_H_

#include <absl/container/btree_map.h>
#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/consensus/core/core.h"
#include "src/consensus/journal/journal.h"
#include "src/kv/command.h"
#include "src/kv/limits.h"
#include "src/replication/batch_pacer.h"
#include "src/replication/state_machine_executor.h"
#include "src/replication/waiters.h"
#include "src/storage/engine.h"

namespace cairn::replication {

struct ReplicaOptions {
  NodeId node;
  GroupId group;
  // Commands in one log entry.
  std::uint32_t max_batch_size = 100;
  // Proposals whose fate is open, also of clients that gave up; beyond it kResourceExhausted.
  std::uint32_t max_outstanding_proposals = 1000;
  // The longest that a proposal waits for company before its batch is sent (see batch_pacer.h).
  Duration max_batch_delay = std::chrono::microseconds(1000);
  kv::Limits limits;
  // The engine is flushed when the live part of the journal exceeds this.
  std::uint64_t max_journal_bytes = 256 << 20;
  // Versions older than this may be dropped.
  Duration mvcc_window = std::chrono::seconds(300);
  // A session unused for this long is expired.
  Duration session_idle = std::chrono::seconds(600);
  // How often a full disk is tried again.
  Duration disk_retry = std::chrono::milliseconds(100);
};

// Everything the replica reaches the world through. All pointers must outlive the replica's Stop.
struct ReplicaEnvironment {
  const Clock* clock = nullptr;
  SerialExecutor* core = nullptr;
  SerialExecutor* journal = nullptr;
  SerialExecutor* apply = nullptr;
  SerialExecutor* upkeep = nullptr;
  // Hands a message to the transport. May be empty for a core that never sends.
  std::function<void(const consensus::Message&)> send;
  // Called once, with why, when the node must end: a failed fsync, a damaged record, an entry that
  // can't be decoded. The replica does nothing more after it.
  std::function<void(const Status&)> fatal;
};

struct ReplicaStatus {
  consensus::Leadership leadership;
  Slot last_slot;     // last one in the log
  Slot durable_slot;  // everything up to it is synced in the local journal
  Slot committed_slot;
  Slot applied_slot;
  Version applied_version;
  Version watermark;
  std::uint64_t outstanding = 0;  // proposals that wait for their answer
  std::uint64_t batches = 0;      // log entries proposed
  std::uint64_t commands = 0;     // commands in them
  Status health;                  // not OK while proposals are refused
  bool recovered = false;         // replayed to the last commit known at start
};

class Replica : public std::enable_shared_from_this<Replica> {
 public:
  // `core` is fresh; `journal` is open; `executor` and `engine` hold the state at some slot that
  // the journal can continue from.
  static std::shared_ptr<Replica> Create(const ReplicaOptions& options,
                                         const ReplicaEnvironment& environment,
                                         std::unique_ptr<consensus::Core> core,
                                         consensus::Journal* journal,
                                         StateMachineExecutor* executor, storage::Engine* engine);
  ~Replica();

  // Replays the journal. `recovered` runs when everything that was known to be committed is
  // applied: reads may be served from then on. Checks first that journal and state fit together:
  // kCorruption (returned, `recovered` never runs) if slots between them are missing.
  Status Start(StatusCallback recovered);

  // Puts the operation into the log and applies it; `done` runs exactly once. Group and time of the
  // command are filled in here. Sizes must have been validated.
  //   kNotLeader           with the leader's hint; nothing happened
  //   kResourceExhausted   too many proposals outstanding, or no room on disk; nothing happened
  //   kUnavailable         stopping
  //   kTimeout             the deadline passed; maybe_applied() if it may be in the log
  //   and whatever the state machine decides
  void Propose(kv::Command command, MonotonicTime deadline, WriteCallback done);

  // Read barrier: `done` runs with OK when everything that was committed anywhere at the time of
  // this call is applied here, so that a read made then is linearizable.
  void Barrier(MonotonicTime deadline, StatusCallback done);

  // `done` runs when `version` is applied here.
  void WaitForVersion(Version version, MonotonicTime deadline, StatusCallback done);

  // How long ago the applied state was known to hold every commit; see DESIGN 3.4, `local`.
  // Max() if that was never known.
  [[nodiscard]] Duration Staleness() const;

  [[nodiscard]] ReplicaStatus status() const;

  // Writes what is in memory to disk, in the engine, so that the next start need not replay. `done`
  // runs on the upkeep executor.
  void Flush(StatusCallback done);

  // Stops taking work and answers everyone who waits with kUnavailable. What is in the journal
  // stays. The executors may still run tasks of this replica; they do nothing.
  void Stop();

 private:
  Replica(const ReplicaOptions& options, const ReplicaEnvironment& environment,
          std::unique_ptr<consensus::Core> core, consensus::Journal* journal,
          StateMachineExecutor* executor, storage::Engine* engine);

  // A proposal that waits to be batched.
  struct Pending {
    Waiters::Id waiter = 0;
    MonotonicTime since;
    std::string encoded;
  };
  // An entry of the log that is not applied yet, and who proposed its commands: one waiter a
  // command, or none if they were not proposed here.
  struct LogEntry {
    consensus::Entry entry;
    std::vector<Waiters::Id> waiters;
  };
  using Step_t = decltype(consensus::Event::what);

  // Posts `task` unless the replica has stopped by the time it runs; keeps the replica alive.
  template <class F>
  void PostTo(SerialExecutor* executor, F task);
  template <class F>
  void PostAt(SerialExecutor* executor, MonotonicTime when, F task);

  // Core executor.
  void Step(Step_t what);
  void CarryOut(consensus::Effects effects);
  void HandlePersist(consensus::Persist persist);
  void HandleProposals(const consensus::Effects& effects);
  void HandleBarriers(const consensus::Effects& effects);
  void HandOverCommitted();
  void Intake();
  void ProposeIfDue();
  void ProposeBatch();
  void OnPersisted(consensus::PersistToken token, std::optional<Slot> last_slot);
  void SendMessages(std::vector<consensus::Message> messages);
  void ArmCoreTimer(MonotonicTime when);
  void Sweep();
  void Upkeep();
  void ScheduleUpkeep();

  // Any thread.
  void ScheduleIntake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(intake_mutex_);
  void ArmSweep();
  void Fatal(const Status& why);
  void SetHealth(Status* which, Status status);

  // Journal executor.
  void RunPersist(const std::shared_ptr<const consensus::Persist>& persist);
  // Makes room for the next batch; refuses proposals while there is none.
  void SetHealthFromReserve();
  void FlushIfJournalIsLong();

  // Apply executor.
  void RunApply();
  void AfterApply(LogEntry& applied);

  // Upkeep executor.
  void FlushEngine(StatusCallback done);
  void AfterFlush();

  const ReplicaOptions options_;
  const ReplicaEnvironment env_;
  const std::unique_ptr<consensus::Core> core_;
  consensus::Journal* const journal_;
  StateMachineExecutor* const executor_;
  storage::Engine* const engine_;

  std::atomic<bool> stopped_{false};
  std::atomic<bool> sweep_armed_{false};
  std::atomic<bool> flush_scheduled_{false};
  Waiters waiters_;  // locks by itself

  // What arrives on its way to the core executor, and why nothing may arrive.
  Mutex intake_mutex_;
  std::vector<Pending> intake_ ABSL_GUARDED_BY(intake_mutex_);
  std::vector<Waiters::Id> barrier_intake_ ABSL_GUARDED_BY(intake_mutex_);
  bool intake_scheduled_ ABSL_GUARDED_BY(intake_mutex_) = false;
  Status journal_health_ ABSL_GUARDED_BY(intake_mutex_);
  Status engine_health_ ABSL_GUARDED_BY(intake_mutex_);

  // Owned by the core executor.
  std::deque<Pending> queue_;
  BatchPacer pacer_;
  bool batch_timer_armed_ = false;
  std::uint64_t next_number_ = 1;  // of proposals and barriers
  absl::btree_map<consensus::ProposalId, std::vector<Waiters::Id>> proposals_;
  absl::btree_map<consensus::BarrierId, std::vector<Waiters::Id>> barriers_;
  absl::btree_map<Slot, LogEntry> log_;  // after the last slot that was handed to apply
  Slot durable_slot_;
  Slot committed_slot_;
  std::uint32_t persists_in_flight_ = 0;
  consensus::PersistToken durable_token_;
  std::deque<consensus::Message> held_messages_;  // wait for their token
  std::optional<MonotonicTime> core_timer_;
  consensus::Leadership leadership_;

  // Owned by the journal executor.
  bool journal_was_well_ = true;
  bool room_retry_armed_ = false;

  // Handed from core to apply.
  Mutex apply_mutex_;
  std::deque<LogEntry> apply_queue_ ABSL_GUARDED_BY(apply_mutex_);
  bool apply_scheduled_ ABSL_GUARDED_BY(apply_mutex_) = false;

  // Owned by the apply executor (set by Start before anything runs there).
  std::optional<LogEntry> applying_;
  std::vector<ApplyOutcome> outcomes_;
  Slot recovery_target_;
  StatusCallback recovered_;

  mutable Mutex status_mutex_;
  ReplicaStatus status_ ABSL_GUARDED_BY(status_mutex_);
  // Commits that are not applied yet, with the time at which they became known: for Staleness.
  std::deque<std::pair<Slot, MonotonicTime>> unapplied_ ABSL_GUARDED_BY(status_mutex_);
};

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

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_REPLICA_H_
