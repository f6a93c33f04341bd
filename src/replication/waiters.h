// Everyone who waits for an answer of the replica: proposals, and reads that wait for a slot or a
// version to be applied. Each is answered exactly once: by what it waits for, by its deadline, or
// by Close.
//
// A write whose deadline passed is answered, but keeps its place among the limited ones until its
// fate is known: what waits in the log and in memory stays bounded although clients give up and try
// again.
//
// Thread safety: all methods from any thread. Callbacks run on the calling thread, without the
// lock.
#ifndef CAIRN_SRC_REPLICATION_WAITERS_H_
#define CAIRN_SRC_REPLICATION_WAITERS_H_

#include <absl/container/btree_map.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <map>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/kv/result.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::replication {

using WriteCallback = absl::AnyInvocable<void(Result<kv::WriteResult>)>;
using StatusCallback = absl::AnyInvocable<void(Status)>;

class Waiters {
 public:
  // 0 is no waiter's number.
  using Id = std::uint64_t;

  // ---- Proposals

  // What may be open at once; a single write may exceed `bytes` alone.
  struct Bounds {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
  };
  // Takes a proposal of `bytes` in; 0 (and `done` is left alone) if the fate of as many as `bounds`
  // allows is open already, or after Close.
  // `caller`, if any, is the thread that waits for the answer; it lives until `done` has run.
  Id AddWrite(MonotonicTime deadline, std::uint64_t bytes, const Bounds& bounds,
              WriteCallback&& done, SerialExecutor* caller = nullptr);
  // Lets the caller of the write run the task, if it still waits and has one. At most once for each
  // write. False: the task is left alone.
  bool PostToCaller(Id id, Task& task);
  // The proposal is about to enter the log: from now on its fate is open until it is answered.
  // False if it was answered already (its deadline passed); then it must not be proposed, and its
  // place is free.
  bool EnterLog(Id id);
  // It did not enter the log after all.
  void LeaveLog(Id id);
  // Frees the place of a proposal that was answered and is not in the log. True if that is so, or
  // if there is no such proposal any more.
  bool Forget(Id id);
  // True until the proposal is answered.
  [[nodiscard]] bool WritePending(Id id) const;
  // Frees the place of a proposal that was answered: whoever had it does nothing more with it.
  void Release(Id id);
  void AnswerWrite(Id id, Result<kv::WriteResult> result);
  // One outcome a waiter, in order.
  void AnswerWrites(const std::vector<Id>& ids, std::vector<ApplyOutcome>& outcomes);
  // All of them with the same status.
  void FailWrites(const std::vector<Id>& ids, const Status& status);

  // ---- Reads

  // Answered by AnswerBarrier, or after BindToSlot by Applied.
  Id AddBarrier(MonotonicTime deadline, StatusCallback&& done);
  void AnswerBarrier(Id id, Status status);
  void BindToSlot(Id id, Slot slot);
  // True until the read is answered.
  [[nodiscard]] bool Waits(Id id) const;
  // True if it has to wait, false if `done` has run.
  bool AddVersion(Version version, MonotonicTime deadline, StatusCallback&& done);
  // Everything up to `slot` and `version` is applied: answers who waited for that.
  void Applied(Slot slot, Version version);

  // ---- All

  // Answers those whose deadline has passed with kTimeout; `why`, if there is one, stands behind
  // the words. False if nobody waits any more.
  bool Expire(MonotonicTime now, const std::string& why = "");
  // Answers everyone with `status`, now and from now on.
  void Close(const Status& status);

  // Writes that wait for their answer.
  [[nodiscard]] std::uint64_t outstanding_writes() const;
  [[nodiscard]] bool empty() const;

 private:
  struct Write {
    MonotonicTime deadline;
    std::uint64_t bytes = 0;
    bool in_log = false;
    SerialExecutor* caller = nullptr;
    WriteCallback done;  // empty: the deadline passed, it was answered
  };
  struct Read {
    MonotonicTime deadline;
    StatusCallback done;
  };

  using WriteMap = absl::btree_map<Id, Write>;

  // Frees the write's place and returns what is to be called; empty if it was answered.
  WriteCallback Take(WriteMap::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Id next_ ABSL_GUARDED_BY(mutex_) = 1;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Status closed_with_ ABSL_GUARDED_BY(mutex_);
  WriteMap writes_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t given_up_ ABSL_GUARDED_BY(mutex_) = 0;  // of writes_: those without `done`
  std::uint64_t write_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::btree_map<Id, Read> reads_ ABSL_GUARDED_BY(mutex_);
  // Ids of `reads_`; one that was answered meanwhile is skipped.
  std::multimap<Slot, Id> by_slot_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Version, Id> by_version_ ABSL_GUARDED_BY(mutex_);
  Slot applied_slot_ ABSL_GUARDED_BY(mutex_);
  Version applied_version_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_WAITERS_H_
