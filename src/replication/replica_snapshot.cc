// Snapshots: to peers that lack what is gone from the journal, and from a leader to this node.
//
// The way of one that arrives: [upkeep] collected, complete and durable -> [core] SnapshotReceived;
// if the core wants it -> [journal] everything handed over before is written -> [apply] the
// engine's state is replaced, then what the state machine holds in memory -> [journal] reset to the
// snapshot's slot -> [core] SnapshotInstalled. A crash between the two steps on the disk is healed
// by the next start.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// How often a transfer looks whether something is due.
constexpr Duration kTickEvery = std::chrono::milliseconds(20);

// Of a write that waited in a log which a snapshot replaced.
Status Replaced() {
  return UnavailableError("a snapshot took the place of the log that held this write")
      .WithMaybeApplied();
}

}  // namespace

SnapshotSenderOptions Replica::MakeSnapshotSenderOptions() const {
  SnapshotSenderOptions sender;
  sender.directory = env_.snapshot_directory;
  sender.seed = options_.boot;
  sender.bytes_per_second = options_.snapshot_bytes_per_second;
  return sender;
}

SnapshotSender::Hooks Replica::MakeSnapshotSenderHooks() {
  SnapshotSender::Hooks hooks;
  hooks.send = [this](NodeId to, const std::string& body) {
    SendFrame(to, FrameKind::kSnapshot, body);
  };
  hooks.done = [this](const consensus::PeerId& peer, bool ok, Slot slot) {
    PostTo(env_.core, [this, peer, ok, slot] { Step(consensus::SnapshotSent{peer, ok, slot}); });
  };
  return hooks;
}

SnapshotReceiver::Hooks Replica::MakeSnapshotReceiverHooks() {
  SnapshotReceiver::Hooks hooks;
  hooks.send = [this](NodeId to, const std::string& body) {
    SendFrame(to, FrameKind::kSnapshotAck, body);
  };
  hooks.complete = [this](std::uint64_t id, const std::string& folder,
                          const storage::StateMeta& meta) {
    PostTo(env_.core, [this, id, folder, meta] { OnSnapshotComplete({id, folder, meta, {}}); });
  };
  return hooks;
}

void Replica::SendSnapshots(const std::vector<consensus::PeerId>& peers) {
  for (const consensus::PeerId& peer : peers) {
    if (!MovesSnapshots()) {
      PostTo(env_.core, [this, peer] { Step(consensus::SnapshotSent{peer, false, Slot()}); });
      continue;
    }
    PostTo(env_.upkeep, [this, peer, epoch = leadership_.epoch] {
      snapshot_sender_.Start(peer, epoch, env_.clock->Now());
      ArmSnapshotTimer();
    });
  }
}

void Replica::ArmSnapshotTimer() {
  if (snapshot_timer_armed_ || snapshot_sender_.empty()) return;
  snapshot_timer_armed_ = true;
  PostAt(env_.upkeep, env_.clock->Now() + kTickEvery, [this] {
    snapshot_timer_armed_ = false;
    snapshot_sender_.Tick(env_.clock->Now());
    ArmSnapshotTimer();
  });
}

void Replica::OnSnapshotFrame(NodeId from, FrameKind kind, std::string body) {
  if (!MovesSnapshots()) return;
  PostTo(env_.upkeep, [this, from, kind, body = std::move(body)] {
    Status status;
    if (kind == FrameKind::kSnapshot) {
      status = snapshot_receiver_.OnMessage(from, body);
    } else if (const Result<SnapshotAck> ack = DecodeSnapshotAck(body); ack.ok()) {
      snapshot_sender_.OnAck(from, *ack, env_.clock->Now());
    } else {
      status = ack.status();
    }
    if (!status.ok())
      CAIRN_LOG(kWarn, "snapshot: dropped a frame from node {}: {}", from.value(),
                status.message());
  });
}

void Replica::OnSnapshotComplete(ArrivedSnapshot arrived) {
  const auto drop = [this, id = arrived.id] {
    PostTo(env_.upkeep, [this, id] { snapshot_receiver_.Finish(id); });
  };
  if (arrived_) return drop();
  arrived.membership = options_.initial_membership;
  if (!arrived.meta.membership.empty()) {
    auto membership = consensus::Membership::Decode(arrived.meta.membership);
    if (!membership.ok()) {
      CAIRN_LOG(kError, "snapshot: its membership does not decode: {}",
                membership.status().message());
      return drop();
    }
    arrived.membership = *std::move(membership);
  }
  const consensus::SnapshotReceived event{arrived.meta.applied_slot, arrived.meta.applied_epoch,
                                          arrived.membership};
  arrived_ = std::move(arrived);
  installing_ = false;
  Step(event);
  if (installing_) return;
  arrived_.reset();
  drop();
}

// What the core answered to SnapshotReceived.
void Replica::BeginInstall(Slot slot) {
  CAIRN_CHECK(arrived_ && arrived_->meta.applied_slot == slot,
              "the core wants a snapshot that is not here: slot " + ToString(slot));
  installing_ = true;
  PostTo(env_.journal, [this, arrived = *arrived_] { InstallBehindPersists(arrived); });
}

// Journal executor.
void Replica::InstallBehindPersists(const ArrivedSnapshot& arrived) {
  bool waits = !to_write_.empty();
  {
    MutexLock lock(&persist_mutex_);
    waits = waits || !persist_queue_.empty();
  }
  if (waits) {  // For room on the disk.
    PostAt(env_.journal, env_.clock->Now() + options_.disk_retry,
           [this, arrived] { InstallBehindPersists(arrived); });
    return;
  }
  PostTo(env_.apply, [this, arrived] { InstallState(arrived); });
}

// Apply executor. What waits to be applied here is in the snapshot.
void Replica::InstallState(const ArrivedSnapshot& arrived) {
  std::vector<LogEntry> waiting;
  {
    MutexLock lock(&apply_mutex_);
    for (LogEntry& entry : apply_queue_) {
      if (entry.entry.payload != nullptr) {
        apply_queue_bytes_.fetch_sub(entry.bytes, std::memory_order_relaxed);
      }
      waiting.push_back(std::move(entry));
    }
    apply_queue_.clear();
  }
  if (applying_) waiting.push_back(std::move(*applying_));
  applying_.reset();
  outcomes_.clear();
  read_ahead_.clear();
  for (const LogEntry& entry : waiting) {
    backlog_bytes_.fetch_sub(entry.bytes, std::memory_order_relaxed);
    waiters_.FailWrites(entry.waiters, Replaced());
  }
  Status status = env_.install_snapshot(
      arrived.folder, arrived.meta,
      [this](storage::Engine* next) { return executor_->PrepareSnapshot(next); });
  if (status.ok()) status = executor_->AdoptSnapshot();
  if (!status.ok()) {
    return Fatal(Status(status.code(), "the snapshot of slot " +
                                           ToString(arrived.meta.applied_slot) +
                                           " can't be installed: " + status.message()));
  }
  waiters_.Applied(arrived.meta.applied_slot, executor_->applied_version());
  AnswerSlotWaiters();
  PostTo(env_.journal, [this, arrived] { ResetJournal(arrived); });
}

// Journal executor.
void Replica::ResetJournal(const ArrivedSnapshot& arrived) {
  const Status status = journal_->ResetTo(arrived.meta.applied_slot, arrived.meta.applied_epoch);
  if (status.code() == StatusCode::kResourceExhausted) {
    PostAt(env_.journal, env_.clock->Now() + options_.disk_retry,
           [this, arrived] { ResetJournal(arrived); });
    return;
  }
  if (!status.ok()) return Fatal(status);
  PostTo(env_.core, [this] { FinishInstall(); });
}

// Core executor.
void Replica::FinishInstall() {
  const ArrivedSnapshot arrived = *std::exchange(arrived_, std::nullopt);
  const Slot slot = arrived.meta.applied_slot;
  for (auto& [at, entry] : log_) waiters_.FailWrites(entry.waiters, Replaced());
  log_.clear();
  handed_over_ = durable_slot_ = applied_slot_ = slot;
  committed_slot_ = std::max(committed_slot_, slot);
  {
    MutexLock lock(&status_mutex_);
    status_.last_slot = status_.durable_slot = status_.applied_slot = slot;
    status_.committed_slot = committed_slot_;
    stall_.Note(slot, slot, /*moved=*/true, *env_.clock);
    ++status_.snapshots_installed;
    while (!unapplied_.empty() && unapplied_.front().first <= slot) unapplied_.pop_front();
  }
  CAIRN_LOG(kInfo, "snapshot: installed; the state is that of slot {}", slot.value());
  installing_ = false;
  Step(consensus::SnapshotInstalled{slot, arrived.meta.applied_epoch, arrived.membership});
  OnApplied(slot);
  PostTo(env_.apply, [this] { ReportApplied(false); });
  PostTo(env_.upkeep, [this, id = arrived.id] { snapshot_receiver_.Finish(id); });
}

}  // namespace cairn::replication
