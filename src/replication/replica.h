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
// A step of the core may also run on the thread that brings its event, a caller's of Propose or
// Barrier included, while the core executor has nothing to do (SerialExecutor::Dispatch): a write
// then changes threads only to reach the disk and the state machine (docs/adr/0016-dispatch.md).
// Propose, Barrier, WaitForVersion and status may be called from any thread. Callbacks run on one
// of the executors, or inside a call, and must not block. Callers hold no lock.
//
// The way of a write: Propose -> [core] batch, Step(Propose) -> [journal] Append, Sync -> [core]
// Step(Persisted), committed -> [apply] ApplyEntry -> callback. Where another node leads, it is
// sent there (forwarder.h); while nobody leads, it waits.
//
// What is safe because of the order of things here:
//   * a message that promises something leaves when what it promises is durable, never earlier;
//   * nothing is applied that is not durable in the local journal, so that what this node's engine
//     holds can never be ahead of what its journal can continue;
//   * persists reach the journal in the order in which the core made them; one fdatasync covers all
//     that wait.
#ifndef CAIRN_SRC_REPLICATION_REPLICA_H_
#define CAIRN_SRC_REPLICATION_REPLICA_H_

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/consensus/core/core.h"
#include "src/consensus/journal/journal.h"
#include "src/kv/command.h"
#include "src/replication/batch_pacer.h"
#include "src/replication/forward_messages.h"
#include "src/replication/forward_table.h"
#include "src/replication/forwarder.h"
#include "src/replication/membership_edits.h"
#include "src/replication/node_report.h"
#include "src/replication/peer_frame.h"
#include "src/replication/replica_figures.h"
#include "src/replication/replica_options.h"
#include "src/replication/snapshot_receiver.h"
#include "src/replication/snapshot_sender.h"
#include "src/replication/stall.h"
#include "src/replication/state_machine_executor.h"
#include "src/replication/waiters.h"
#include "src/storage/engine.h"
#include "src/transport/peer_transport.h"

namespace cairn::replication {

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
  // command are filled in here. Sizes must have been validated. While no leader is known the
  // command waits for one, until its deadline.
  // With kForward it is sent to another node that leads, under its session or one of this node's.
  // `caller`: the thread that waits for the answer, if it can run something meanwhile. It may get
  // one task, before `done` runs: to apply the write, and what is committed with it, rather than
  // wake the apply executor for that.
  //   kNotLeader           another node leads (status().leadership.leader), and `elsewhere` is
  //                        kRefuse; nothing happened
  //   kResourceExhausted   too many proposals outstanding, or no room on disk; nothing happened
  //   kUnavailable         stopping
  //   kTimeout             the deadline passed; maybe_applied() if it may be in the log
  //   and whatever the state machine decides
  void Propose(kv::Command command, MonotonicTime deadline, WriteCallback done,
               Elsewhere elsewhere = Elsewhere::kRefuse, SerialExecutor* caller = nullptr);

  // Read barrier: `done` runs with OK when everything that was committed anywhere at the time of
  // this call is applied here, so that a read made then is linearizable.
  void Barrier(MonotonicTime deadline, StatusCallback done);

  // `done` runs when `version` is applied here.
  void WaitForVersion(Version version, MonotonicTime deadline, StatusCallback done);

  // Begins a change of the group's members: `done` runs with OK when its first step is in the log
  // of this node, which leads; status().membership shows how far it is. How a change goes on, and
  // what is refused: consensus/core/core.h, ChangeMembership. The target is made of what is in
  // force: `edit` runs on the core executor, and nothing comes between it and the change. An edit
  // that changes nothing is OK at once; its error is passed on.
  //   kNotLeader            another node leads, or none; `edit` is not asked
  //   kFailedPrecondition   another change is under way, or the target is not allowed
  //   kInvalidArgument      the target is no membership
  //   kUnavailable          this node has just begun to lead; try again
  using MembershipEdit = std::function<Result<consensus::Membership>(const GroupView&)>;
  void EditMembership(MembershipEdit edit, StatusCallback done);

  // The group as this node sees it; `done` runs on the core executor. Nothing if the replica has
  // stopped, and then possibly inside the call.
  void View(absl::AnyInvocable<void(std::optional<GroupView>)> done);

  // Asks the voter `to` to take over leadership; if none is named, of those that answer the one
  // that is furthest along, and one that says it is ill only if there is no other. `done` runs with
  // OK when the core was told, or if `to` leads already; who leads in the end is in status().
  //   kNotLeader            this node does not lead
  //   kInvalidArgument      `to` is no voter
  //   kFailedPrecondition   `to` does not answer, or there is nobody to take over: no voter
  //                         answers that has not to be sent a snapshot first
  //   kUnavailable          this node has just begun to lead, and not heard of `to` yet
  void TransferLeadership(std::optional<NodeId> to, StatusCallback done);

  // Before this node stops: if it leads, voters are asked to take over, one after the other, the
  // one that is furthest along first. `done` runs with OK once another node is known to lead, or at
  // once where this one does not; what clients ask meanwhile is answered as ever. One at a time.
  //   kFailedPrecondition   no other voter answers, or it is handing over already
  //   kTimeout              nobody led by the deadline; this node may still lead
  void HandOver(MonotonicTime deadline, StatusCallback done);

  // How long ago the applied state was known to hold every commit that there was anywhere, as
  // confirmed by a quorum: the age of the newest read barrier whose slot is applied. So an isolated
  // leader grows stale too. Max() if that was never known since the start.
  [[nodiscard]] Duration Staleness() const;

  [[nodiscard]] ReplicaStatus status() const;
  // Stop was called, or the replica failed.
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  // `done` runs on the apply executor when exactly what stands up to `slot` is applied, before the
  // next entry is: whoever needs that state takes hold of it then. Slot 0: what is applied when its
  // turn comes. kFailedPrecondition if the state is past the slot, kUnavailable when stopping.
  // Waits for ever otherwise; a later call with the same `token` takes the place of an earlier one,
  // which is answered kCancelled.
  void AtSlot(Slot slot, std::uint64_t token, StatusCallback done);
  [[nodiscard]] const ReplicaFigures& figures() const { return figures_; }
  [[nodiscard]] ReplicaDepths depths() const;

  // Where clients reach this node, for its reports to the others.
  void SetClientEndpoints(ClientEndpoints endpoints);
  // The newest report of each other node that has sent one.
  [[nodiscard]] std::vector<PeerReport> Reports() const;
  // Where a peer said that clients reach it; all empty: it has not said.
  [[nodiscard]] ClientEndpoints ReportedEndpoints(NodeId node) const;
  // How far the snapshot is that is being sent to this node, if one is. Any thread.
  [[nodiscard]] std::optional<SnapshotReceiver::Progress> incoming_snapshot() const {
    return snapshot_receiver_.progress();
  }

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

  // A proposal that waits to be batched, or for a leader.
  struct Pending {
    Waiters::Id waiter = 0;
    MonotonicTime since;
    std::string encoded;
    MonotonicTime deadline;
    Elsewhere elsewhere = Elsewhere::kRefuse;
  };
  // An entry of the log that is not handed to apply yet, and who proposed its commands: one waiter
  // a command, or none if they were not proposed here.
  struct LogEntry {
    consensus::Entry entry;
    consensus::PersistToken token;  // durable with this one
    std::vector<Waiters::Id> waiters;
    std::uint64_t bytes = 0;                // of the payload, also when it was dropped
    std::optional<MonotonicTime> proposed;  // when, if it was proposed here
  };
  // A barrier put to the core.
  struct BarrierRound {
    MonotonicTime asked;
    std::vector<Waiters::Id> waiters;
  };
  // This node looks for another leader.
  struct HandOverRun {
    Waiters::Id waiter = 0;
    MonotonicTime begun;
    MonotonicTime deadline;
    std::vector<NodeId> asked;
  };
  // A snapshot that lies complete beside the state.
  struct ArrivedSnapshot {
    std::uint64_t id = 0;  // of its transfer
    std::string folder;
    storage::StateMeta meta;
    consensus::Membership membership;
  };
  using Step_t = decltype(consensus::Event::what);

  // Posts `task` unless the replica has stopped by the time it runs; keeps the replica alive.
  template <class F>
  void PostTo(SerialExecutor* executor, F task);
  // The same by SerialExecutor::Dispatch, for what a single write or read waits for. Only towards
  // the core executor, whose tasks are short and never wait, or from a thread that does nothing but
  // wait; and without a lock.
  template <class F>
  void DispatchTo(SerialExecutor* executor, F task);
  template <class F>
  void PostAt(SerialExecutor* executor, MonotonicTime when, F task);

  [[nodiscard]] ForwarderOptions MakeForwarderOptions() const;
  [[nodiscard]] Forwarder::Hooks MakeForwarderHooks();
  // What journal and engine hold, for the core. Fills log_.
  Result<consensus::Recovered> WhatIsHeld(const storage::StateMeta& state,
                                          const consensus::JournalContents& held, Slot last);

  // Core executor: events and effects (replica_core.cc).
  void Step(Step_t what);
  void CarryOut(consensus::Effects effects);
  void HandleLeadership(const consensus::Effects& effects);
  void HandlePersist(consensus::Persist persist);
  void HandleCommitted(Slot committed);
  void HandleBarriers(const consensus::Effects& effects);
  void HandOverCommitted();
  // `waiter`: of a write that is to be applied; 0: there is none.
  void ScheduleApply(Waiters::Id waiter);
  void OnPersisted(consensus::PersistToken token);
  void OnApplied(Slot slot);
  void StartBarrier(std::vector<Waiters::Id> waiters);
  void ArmCoreTimer(MonotonicTime when);
  void ProbeFreshness();
  [[nodiscard]] bool leads() const { return leadership_.role == consensus::Role::kLeader; }
  // The only voter, which knows every commit there is.
  [[nodiscard]] bool IsAlone() const;

  // Core executor: proposals (replica_proposals.cc).
  void Intake();
  // Sends what waits in queue_ where it belongs.
  void Dispatch();
  void RefuseQueue(const Status& why);
  void ForwardQueue();
  void ProposeIfDue();
  // False if the core refused the batch; it is back in the queue then.
  bool ProposeBatch();
  void HandleProposals(const consensus::Effects& effects);
  void AnswerChange(consensus::ProposalId id, Status status);
  [[nodiscard]] GroupView CurrentView() const;
  // A leader that can take no writes looks for another one.
  void WatchHealth();
  [[nodiscard]] std::optional<NodeId> NextWellVoter() const;
  // Before it stops (replica_hand_over.cc).
  void ContinueHandOver();
  void FinishHandOver(Status status);
  // Tells the core who is to lead, or says why that can't be.
  Status BeginTransfer(std::optional<NodeId> to);
  [[nodiscard]] std::optional<NodeId> NextLeader(const std::vector<NodeId>& asked) const;
  [[nodiscard]] bool IsIll(NodeId node) const;
  void ArmDispatch(MonotonicTime when);
  // Behind the words of a request whose time is over; empty if nothing is known to be wrong.
  std::string WhyNothingMoves();
  void PurgeQueue();
  void Sweep();
  void Upkeep();
  void ScheduleUpkeep();

  // Peers (replica_peers.cc).
  void SendMessages(std::vector<consensus::Message> messages);
  void SendFrame(NodeId to, FrameKind kind, std::string_view body);
  void OnFrame(NodeId from, const std::string& bytes);  // any thread
  void HandleFrame(NodeId from, const FrameHeader& header, std::string body);
  void OnForwardRequest(NodeId from, const std::string& body);
  void OnForwardResponse(NodeId from, const std::string& body);
  void OnReport(const consensus::PeerId& from, const std::string& body);
  // Tells the peers how this node is, now and at intervals; SendReport: once.
  void SendReports();
  void SendReport();
  void WarnOfLeases();
  // `epoch`: what the request names.
  void AnswerForward(NodeId from, Epoch epoch, ForwardResponse response);

  // Snapshots (replica_snapshot.cc); on which executor is said there.
  [[nodiscard]] SnapshotSenderOptions MakeSnapshotSenderOptions() const;
  [[nodiscard]] SnapshotSender::Hooks MakeSnapshotSenderHooks();
  [[nodiscard]] SnapshotReceiver::Hooks MakeSnapshotReceiverHooks();
  [[nodiscard]] bool MovesSnapshots() const {
    return env_.files != nullptr && env_.install_snapshot != nullptr;
  }
  void SendSnapshots(const std::vector<consensus::PeerId>& peers);
  void ArmSnapshotTimer();
  void OnSnapshotFrame(NodeId from, FrameKind kind, std::string body);
  void OnSnapshotComplete(ArrivedSnapshot arrived);
  void BeginInstall(Slot slot);
  void InstallBehindPersists(const ArrivedSnapshot& arrived);
  void InstallState(const ArrivedSnapshot& arrived);
  void ResetJournal(const ArrivedSnapshot& arrived);
  void FinishInstall();

  // Any thread.
  [[nodiscard]] Status RefusedByHealth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(intake_mutex_);
  void ArmSweep();
  void Fatal(const Status& why);
  void SetHealth(Status* which, Status status);

  // Journal executor (replica_journal.cc).
  void RunPersists();
  // Appends what waits, as far as there is room; the token of the last one, if any. Sets `held` to
  // why the next one must wait.
  std::optional<consensus::PersistToken> AppendPersists(Status* held);
  void HoldPersists(Status why);
  // Makes room for the next batch; refuses proposals while there is none.
  void SetHealthFromReserve();
  void FlushIfJournalIsLong();
  void CutJournal(Slot flushed, Epoch epoch);
  void RunFetch(const consensus::Fetch& fetch);
  [[nodiscard]] std::uint64_t MaxBacklog() const {
    return options_.max_apply_backlog_bytes != 0 ? options_.max_apply_backlog_bytes
                                                 : 4 * options_.max_journal_bytes;
  }

  // Apply executor (replica_apply.cc).
  void RunApply();
  // Makes the next committed entry applying_. False if none waits.
  Result<bool> TakeNext();
  Status ReadPayload(consensus::Entry* entry);
  void AfterApply(LogEntry& applied);
  void AnswerSlotWaiters();
  void ReportApplied(bool applied_any);

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
  // Of committed entries that are not applied: bytes in all, and bytes held in memory.
  std::atomic<std::uint64_t> backlog_bytes_{0};
  std::atomic<std::uint64_t> apply_queue_bytes_{0};
  std::atomic<std::uint64_t> inbox_bytes_{0};  // frames on their way to the core executor
  std::atomic<std::uint64_t> bad_frames_{0};
  Waiters waiters_;         // locks by itself
  ReplicaFigures figures_;  // so does this

  // What arrives on its way to the core executor, and why nothing may arrive.
  mutable Mutex intake_mutex_;
  std::vector<Pending> intake_ ABSL_GUARDED_BY(intake_mutex_);
  std::vector<Waiters::Id> barrier_intake_ ABSL_GUARDED_BY(intake_mutex_);
  bool news_wanted_ ABSL_GUARDED_BY(intake_mutex_) = false;  // a barrier nobody waits for
  bool intake_scheduled_ ABSL_GUARDED_BY(intake_mutex_) = false;
  // Another node leads: its health counts, not this one's.
  bool led_elsewhere_ ABSL_GUARDED_BY(intake_mutex_) = false;
  Status journal_health_ ABSL_GUARDED_BY(intake_mutex_);
  Status engine_health_ ABSL_GUARDED_BY(intake_mutex_);
  std::optional<MonotonicTime> ill_since_ ABSL_GUARDED_BY(intake_mutex_);

  // Owned by the core executor.
  std::deque<Pending> queue_;
  Forwarder forwarder_;         // writes that wait at another node
  ForwardTable forward_table_;  // and those that other nodes sent here
  BatchPacer pacer_;
  bool dispatch_armed_ = false;
  bool health_watched_ = false;
  std::optional<NodeId> handed_to_;  // whom a leader that is ill asked last
  std::optional<HandOverRun> hand_over_;
  std::uint64_t next_number_ = 1;  // of proposals and barriers
  absl::btree_map<consensus::ProposalId, std::vector<Pending>> proposals_;
  absl::btree_map<consensus::ProposalId, Waiters::Id> changes_;  // of the membership
  absl::btree_map<consensus::BarrierId, BarrierRound> barriers_;
  std::vector<Waiters::Id> parked_barriers_;              // until a leader is known
  std::deque<std::pair<Slot, MonotonicTime>> confirmed_;  // opened barriers that are not applied
  absl::btree_map<Slot, LogEntry> log_;                   // after handed_over_
  Slot handed_over_;                                      // last one handed to apply
  Slot durable_slot_;
  Slot committed_slot_;
  Slot applied_slot_;                   // as last reported by the apply executor
  consensus::PersistToken last_token_;  // handed to the journal
  consensus::PersistToken durable_token_;
  std::deque<consensus::Message> held_messages_;  // wait for their token
  absl::btree_set<MonotonicTime> core_timers_;    // when a tick will come
  std::set<NodeId> no_lease_from_;                // voters that were warned of
  std::optional<ArrivedSnapshot> arrived_;        // until it is installed, or dropped
  bool installing_ = false;                       // nothing is handed to apply meanwhile
  consensus::Leadership leadership_;
  std::optional<NodeId> last_leader_;  // that was known
  // The epoch that this process led first. In those before an earlier one may have led.
  std::optional<Epoch> first_led_;
  consensus::Membership membership_;

  // Owned by the upkeep executor.
  SnapshotSender snapshot_sender_;
  SnapshotReceiver snapshot_receiver_;
  bool snapshot_timer_armed_ = false;

  // Handed from core to journal.
  mutable Mutex persist_mutex_;
  std::vector<consensus::Persist> persist_queue_ ABSL_GUARDED_BY(persist_mutex_);
  bool persist_scheduled_ ABSL_GUARDED_BY(persist_mutex_) = false;

  // Owned by the journal executor.
  std::deque<consensus::Persist> to_write_;
  bool journal_was_well_ = true;
  std::uint64_t flushed_at_bytes_ = 0;  // appended when the last flush was asked for
  bool room_retry_armed_ = false;
  bool persist_retry_armed_ = false;

  // Handed from core to apply.
  mutable Mutex apply_mutex_;
  std::deque<LogEntry> apply_queue_ ABSL_GUARDED_BY(apply_mutex_);
  bool apply_scheduled_ ABSL_GUARDED_BY(apply_mutex_) = false;

  // Owned by the apply executor (set by Start before anything runs there).
  std::optional<LogEntry> applying_;
  std::vector<ApplyOutcome> outcomes_;
  std::deque<consensus::Entry> read_ahead_;  // from the journal, in slot order
  struct SlotWaiter {
    Slot slot;
    std::uint64_t token = 0;
    StatusCallback done;
  };
  std::vector<SlotWaiter> slot_waiters_;  // of AtSlot
  Slot recovery_target_ = Slot::Max();    // until the core has said what is committed
  StatusCallback recovered_;

  MonotonicTime started_;

  mutable Mutex reports_mutex_;
  ClientEndpoints client_endpoints_ ABSL_GUARDED_BY(reports_mutex_);
  absl::btree_map<NodeId, PeerReport> reports_ ABSL_GUARDED_BY(reports_mutex_);

  mutable Mutex status_mutex_;
  ReplicaStatus status_ ABSL_GUARDED_BY(status_mutex_);
  StallWatch stall_ ABSL_GUARDED_BY(status_mutex_);
  bool alone_ ABSL_GUARDED_BY(status_mutex_) = true;
  // Commits that are not applied yet, with the time at which they became known: how stale the only
  // voter of a group is.
  std::deque<std::pair<Slot, MonotonicTime>> unapplied_ ABSL_GUARDED_BY(status_mutex_);
  // The end of the log when this node came to lead, or to be the only member.
  Slot led_from_ ABSL_GUARDED_BY(status_mutex_);
  // When the newest barrier was asked for whose slot is applied.
  std::optional<MonotonicTime> fresh_at_ ABSL_GUARDED_BY(status_mutex_);
};

template <class F>
void Replica::PostTo(SerialExecutor* executor, F task) {
  executor->Post([self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->stopped_.load(std::memory_order_acquire)) task();
  });
}

template <class F>
void Replica::DispatchTo(SerialExecutor* executor, F task) {
  executor->Dispatch([self = shared_from_this(), task = std::move(task)]() mutable {
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
