// The state machine: applies committed commands to the engine and answers reads from it.
//
// What apply does depends on the state and the command alone: not on clocks (time comes from the
// command), configuration, threads or hash tables. So every replica that has applied the same log
// holds the same state and gave the same answers (docs/formats/state.md lists all of that state).
//
// Versions: each command that commits takes the next version. A command that fails (CONFLICT, an
// unknown family, an expired session) changes nothing but the answer remembered for its session.
//
// Thread safety: ApplyEntry, ApplyOperation and the other methods marked "apply thread" belong to
// one thread at a time; everything else may be called from any thread at any time.
#ifndef CAIRN_SRC_REPLICATION_STATE_MACHINE_EXECUTOR_H_
#define CAIRN_SRC_REPLICATION_STATE_MACHINE_EXECUTOR_H_

#include <absl/container/btree_map.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/consensus/core/core.h"
#include "src/kv/command.h"
#include "src/kv/limits.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/replication/families.h"
#include "src/replication/sessions.h"
#include "src/storage/engine.h"

namespace cairn::replication {

struct StateCapture;  // state_capture.h

// The answer to one command of an entry.
struct ApplyOutcome {
  Status status;
  kv::WriteResult result;  // if status is OK
};

class StateMachineExecutor {
 public:
  // Loads sessions and families from the engine's state. `engine` must outlive the executor.
  // kCorruption if the state's records don't decode; kUnimplemented if features are switched on
  // that are not among `known_features`, and for a database that was made before session ids had a
  // mask.
  static Result<std::unique_ptr<StateMachineExecutor>> Open(
      storage::Engine* engine, std::uint64_t known_features = kv::kKnownFeatures);

  // ---- Apply thread

  // Applies the commands of the entry that follows the last applied one; an entry that is already
  // applied does nothing. Appends one outcome a command to `outcomes`.
  // On kResourceExhausted (the engine's disk is full) call again later with the same entry and
  // outcomes: it goes on where it stopped. kUnimplemented: the entry was written by a later version
  // of Cairn, or switches on a feature of one; kCorruption: it does not decode. After these or
  // another error the node must stop.
  Status ApplyEntry(const consensus::Entry& entry, std::vector<ApplyOutcome>* outcomes);

  // Applies a write to the local store, bypassing consensus: for tools and tests. A read is
  // refused with kInvalidArgument. The applied slot does not move.
  Result<kv::WriteResult> ApplyOperation(const kv::KvOperation& operation, WallTime now);

  // Tells the engine that versions below the flushed watermark may go. Only the flushed one: an
  // engine that dropped versions below a watermark that a crash takes back would replay conflict
  // checks against a history with holes, and decide them differently.
  Status ReleaseHistory();

  // A snapshot takes the place of the state, in two steps. First, before any read can reach `next`,
  // the engine that holds the snapshot: reads its sessions and families. Errors as Open's; nothing
  // has changed then.
  Status PrepareSnapshot(storage::Engine* next);
  // Then, as soon as the executor's engine answers with that state (storage::SwapEngine::Install):
  // takes over what was prepared. A read that runs meanwhile sees the old state or the new one:
  // below the new watermark it is told so, and above it both hold the same data.
  Status AdoptSnapshot();

  // Takes hold of the state as it is. While the capture lives, its versions are not released.
  [[nodiscard]] Result<StateCapture> Capture();

  // ---- Any thread

  // What was answered when the operation took `version`; sessions remember no more than that.
  [[nodiscard]] static kv::WriteResult AnswerAgain(const kv::KvOperation& operation,
                                                   Version version);

  // Answers a read from what is applied. `deadline` bounds a scan (checked against `clock`).
  // kNotFound: unknown family. kTransactionTooOld: the read version is below the watermark.
  // kInvalidArgument: it is above the applied version (callers wait for it first), or the operation
  // is a write.
  Result<kv::OperationResult> Read(const kv::KvOperation& operation, const kv::Limits& limits,
                                   MonotonicTime deadline, const Clock& clock) const;

  [[nodiscard]] Version applied_version() const {
    return Version(version_.load(std::memory_order_acquire));
  }
  [[nodiscard]] Slot applied_slot() const {
    return Slot(applied_slot_.load(std::memory_order_acquire));
  }
  [[nodiscard]] Version watermark() const {
    return Version(watermark_.load(std::memory_order_acquire));
  }
  // Bits that commands have switched on, and those that this node knows (kv::EnableFeatures).
  [[nodiscard]] std::uint64_t features() const { return features_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t known_features() const { return known_features_; }

  // Names of all column families, "default" first, then in byte order.
  [[nodiscard]] std::vector<std::string> ColumnFamilyNames() const;
  [[nodiscard]] std::vector<FamilyId> ColumnFamilyIds() const;

  // The newest version that was committed at or before `time`, if it lies above the watermark: what
  // a leader proposes as the next watermark. Known from samples taken while applying; none right
  // after a restart.
  [[nodiscard]] std::optional<Version> VersionAt(WallTime time) const;

  // Sessions that exist, and whether any was last used before `time`.
  [[nodiscard]] std::size_t session_count() const;
  [[nodiscard]] bool HasSessionIdleSince(WallTime time) const;

  // Hash of the replicated state as of the applied version; equal on replicas that applied the same
  // entries. Apply thread.
  [[nodiscard]] Result<std::uint64_t> StateHash() const;

 private:
  // What is kept in memory of a state.
  struct Loaded {
    storage::StateMeta meta;
    SessionTable sessions;
    FamilyTable::Map families;
    Version last_drop;
    std::uint64_t session_mask = 0;
  };

  // Versions that captures read. Shared with them: one may outlive the executor.
  struct HistoryPins;

  StateMachineExecutor(storage::Engine* engine, std::uint64_t known_features);

  // What bounds a scan.
  struct ReadBounds {
    const kv::Limits& limits;
    MonotonicTime deadline;
    const Clock& clock;
  };
  [[nodiscard]] Status CheckReadVersion(Version at) const;
  // The family of that name as of `at`.
  [[nodiscard]] Result<Family> FamilyAt(std::string_view name, Version at) const;
  [[nodiscard]] Result<kv::OperationResult> GetAt(std::string_view key,
                                                  std::string_view column_family, Version at) const;
  [[nodiscard]] Result<kv::OperationResult> RangeAt(const kv::RangeQuery& query,
                                                    std::string_view column_family, Version at,
                                                    const ReadBounds& bounds) const;

  // Reads what the engine holds, and reconciles its families with it.
  Result<std::unique_ptr<Loaded>> Load(storage::Engine* engine) const;
  void Adopt(std::unique_ptr<Loaded> loaded);
  [[nodiscard]] Status CheckFeatures(std::uint64_t bits) const;
  // Writes what is pending to the engine and publishes it to readers.
  Status WritePending();
  // Lets readers see the state that was just written.
  void Publish();
  Status ApplyCommand(const kv::Command& command, ApplyOutcome* outcome);
  Status ApplySessionCommand(const kv::Command& command, ApplyOutcome* outcome);
  Status Execute(const kv::Command& command, ApplyOutcome* outcome);

  // One a kind of write. They return an error only if the engine failed; what the command itself
  // did wrong goes to the outcome.
  Status Do(const kv::Set& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::Delete& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::AtomicCommit& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::SetVersionstampedKey& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::SetVersionstampedValue& op, const kv::Command& command,
            ApplyOutcome* outcome);
  Status Do(const kv::CreateColumnFamily& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::DropColumnFamily& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::OpenSession& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::CloseSession& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::ExpireSessions& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::AdvanceWatermark& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::EnableFeatures& op, const kv::Command& command, ApplyOutcome* outcome);
  Status Do(const kv::SkipVersions& op, const kv::Command& command, ApplyOutcome* outcome);
  void RaiseWatermark(Version to);

  void PutUser(FamilyId family, std::string key, std::string value, Version version,
               std::uint16_t order);
  void DeleteUser(FamilyId family, std::string key, Version version, std::uint16_t order);
  void IndexChange(FamilyId family, std::string_view key, Version version, std::uint16_t order);
  // Looks the family of a single write up and gives the write its version; nothing (and the outcome
  // says why) if there is no such family.
  std::optional<FamilyId> BeginWrite(std::string_view column_family, const kv::Command& command,
                                     ApplyOutcome* outcome);
  Version TakeVersion();
  // At a database's first command: see SessionMaskOf.
  void ChooseSessionMask(WallTime first_command);
  // Notes which version was current at a time, for VersionAt.
  void TakeSample(WallTime time);

  storage::Engine* const engine_;
  const std::uint64_t known_features_;
  const std::shared_ptr<HistoryPins> pins_;

  // Owned by the apply thread: what PrepareSnapshot read, the state including what is pending, and
  // the pending changes.
  std::unique_ptr<Loaded> prepared_;
  storage::StateMeta meta_;
  storage::WriteBatch pending_;
  bool meta_dirty_ = false;
  std::vector<FamilyId> families_to_drop_;
  std::uint64_t session_mask_ = 0;  // 0: no command was applied yet

  SessionTable sessions_;  // locks by itself: figures are read from other threads
  FamilyTable families_;   // locks by itself: reads look families up

  // What readers see; stored after the engine has it.
  std::atomic<std::uint64_t> version_{1};
  std::atomic<std::uint64_t> applied_slot_{0};
  std::atomic<std::uint64_t> watermark_{0};
  std::atomic<std::uint64_t> features_{0};

  struct Sample {
    WallTime time;
    Version version;
  };
  mutable Mutex samples_mutex_;
  std::deque<Sample> samples_ ABSL_GUARDED_BY(samples_mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_STATE_MACHINE_EXECUTOR_H_
