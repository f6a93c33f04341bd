// Whole states of a node, for operators: digests at one slot, to compare replicas, and captures, to
// back them up.
//
// How replicas are compared. Somebody chooses a slot that lies a little ahead in the log and tells
// every node to prepare for it; a node that is past it already says so, and a later slot is chosen.
// Then the leader's log is advanced to it, if clients don't do so by themselves. Each node takes
// hold of its state when exactly that slot is applied, and reads it on a thread of its own while
// it goes on serving. So all digests are of one slot, and of one version.
//
// Thread safety: all methods from any thread. Callbacks run on executors of the replica or on the
// thread of this object, and must not block.
#ifndef CAIRN_SRC_SERVER_STATE_ADMIN_H_
#define CAIRN_SRC_SERVER_STATE_ADMIN_H_

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/digest/state_digest.h"
#include "src/replication/replica.h"
#include "src/replication/state_capture.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::server {

class StateAdmin {
 public:
  using DigestResult = Result<std::shared_ptr<const digest::StateDigest>>;
  using DigestCallback = absl::AnyInvocable<void(const DigestResult&)>;
  using CaptureCallback = absl::AnyInvocable<void(Result<replication::StateCapture>)>;

  // Pointers must outlive the object.
  StateAdmin(replication::Replica* replica, replication::StateMachineExecutor* executor,
             const Clock* clock);
  // Ends what runs; the replica must have stopped.
  ~StateAdmin();

  // `armed` runs with OK when this node is bound to make a digest of exactly `slot`, which it keeps
  // under `token` (not 0) until the next one is prepared. kFailedPrecondition: the state is past
  // it.
  void PrepareDigest(Slot slot, std::uint64_t token, replication::StatusCallback armed);
  // `done` runs when that digest is there. kNotFound for a token that was not prepared, or was
  // replaced by another one.
  void GetDigest(std::uint64_t token, DigestCallback done);

  // On the leader: proposes commands without effect, one after the other, until the log reaches
  // `slot`. kNotLeader, kTimeout; kInvalidArgument for a slot more than kMaxAdvance ahead.
  // Each command is written and synced by a majority: without a bound one call could fill the logs.
  // `cairn cluster verify` goes up to 65,536 ahead, when a busy log runs past anything less.
  static constexpr std::uint64_t kMaxAdvance = 100'000;
  void AdvanceLog(Slot slot, MonotonicTime deadline, replication::StatusCallback done);

  // Takes hold of the applied state. `fresh`: after a read barrier, so that everything that was
  // acknowledged anywhere before the call is in it.
  void Capture(bool fresh, MonotonicTime deadline, CaptureCallback done);

  // Where captures are read: one thread.
  [[nodiscard]] SerialExecutor* worker() { return &worker_; }
  // OK while the node runs: for what reads a capture.
  [[nodiscard]] Status MayGoOn() const;
  // From now on MayGoOn says no: what reads a capture ends soon. For a node that waits for its
  // calls before it stops its replica.
  void SetStopping() { stopping_.store(true, std::memory_order_release); }

 private:
  struct Job {
    std::uint64_t token = 0;
    std::optional<DigestResult> result;
    std::vector<DigestCallback> waiting;
  };

  void OnSlot(std::uint64_t token, const Status& status);
  void Finish(std::uint64_t token, DigestResult result);

  replication::Replica* const replica_;
  replication::StateMachineExecutor* const executor_;
  const Clock* const clock_;
  std::atomic<bool> stopping_{false};
  ThreadExecutor worker_;
  Mutex mutex_;
  Job job_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_STATE_ADMIN_H_
