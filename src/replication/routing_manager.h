// The only way to data: every adapter hands its requests to RoutingManager::Execute, which serves
// reads at the level asked for and sends writes through the log.
//
// Thread safety: Execute may be called from any thread. It never waits for the log, for a barrier
// or for another node: a request that must wait is parked and its callback runs later, on an
// internal thread. A read that needs no waiting is served inside the call, on the caller's thread,
// unless `max_read_concurrency` reads are running: then it is queued and served by the thread that
// finishes one. A read that had to wait is served where RequestContext::read_on says.
#ifndef CAIRN_SRC_REPLICATION_ROUTING_MANAGER_H_
#define CAIRN_SRC_REPLICATION_ROUTING_MANAGER_H_

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/kv/limits.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/replication/fault_injector.h"

namespace cairn::replication {

class Replica;
class StateMachineExecutor;

// What a read promises (DESIGN 3.4).
enum class ReadLevel : std::uint8_t {
  kDefault,    // as configured in [reads] consistency_level
  kLocal,      // what this node has applied
  kLeader,     // linearizable, served by the leader
  kReadIndex,  // linearizable, served by any node after a barrier at the leader
};

struct RequestContext {
  // The answer comes by then: kTimeout at the latest. Max(): the configured default applies.
  MonotonicTime deadline = MonotonicTime::Max();
  ReadLevel read_level = ReadLevel::kDefault;
  // Reads wait until this version is applied, so that a client reads its own writes on any node.
  Version min_version;
  // A write under a session is applied at most once; see kv::Command.
  SessionId session;
  std::uint64_t sequence = 0;
  std::uint64_t first_outstanding = 0;
  // False: a node that is not the leader answers kNotLeader with the leader's endpoint.
  bool allow_forwarding = true;
  // Where a read is served that had to wait for a barrier or a version; must live until the answer.
  // Null: on the internal thread that ended the wait, which does nothing else meanwhile.
  SerialExecutor* read_on = nullptr;
  // A thread that only waits for the answer of a write: it may get one task before that, to apply
  // the write (Replica::Propose). Must live until the answer. Null: there is none.
  SerialExecutor* write_on = nullptr;
  // Who asks, for logs: "127.0.0.1:40312". May be empty.
  std::string caller;
};

using OperationCallback = absl::AnyInvocable<void(Result<kv::OperationResult>)>;

struct RoutingOptions {
  ReadLevel default_read_level = ReadLevel::kLocal;
  bool allow_stale_reads = true;
  Duration max_staleness = std::chrono::milliseconds(1000);
  // Reads inside the engine at once; 0: no bound.
  std::uint32_t max_read_concurrency = 32;
  // For requests that bring no deadline.
  Duration default_deadline = std::chrono::seconds(60);
  kv::Limits limits;
  // Where clients reach a node: the hint of NOT_LEADER. May be empty.
  std::function<std::string(NodeId)> endpoint_of;
};

class RoutingManager {
 public:
  // All pointers must outlive the manager and every request it was given. `faults` may be null.
  RoutingManager(const RoutingOptions& options, StateMachineExecutor* executor, Replica* replica,
                 const Clock* clock, FaultInjector* faults);
  ~RoutingManager();

  // Runs `operation` and calls `done` exactly once, possibly inside this call. See the head of this
  // file for threads, StatusCode for errors.
  void Execute(const RequestContext& context, kv::KvOperation operation, OperationCallback done);

  [[nodiscard]] const kv::Limits& limits() const { return options_.limits; }

 private:
  // A read on its way.
  struct PendingRead {
    MonotonicTime deadline;
    kv::KvOperation operation;
    SerialExecutor* read_on = nullptr;
    OperationCallback done;
  };

  void ExecuteRead(const RequestContext& context, MonotonicTime deadline, kv::KvOperation operation,
                   OperationCallback done);
  void ExecuteWrite(const RequestContext& context, MonotonicTime deadline,
                    kv::KvOperation operation, OperationCallback done);
  // Answers with `status` after `delay`.
  void Delay(Duration delay, Status status, OperationCallback done);
  [[nodiscard]] Status CheckSequence(const RequestContext& context) const;
  [[nodiscard]] Status CheckStaleness() const;
  // Puts the leader's endpoint into a kNotLeader.
  [[nodiscard]] Status WithHint(Status status) const;
  // Serves the read once `version` is applied.
  void AwaitVersion(Version version, PendingRead read);
  // Serves the read after a wait, where it asked for that.
  void ServeAfterWait(PendingRead read);
  // Serves the read now or, above the bound on concurrency, when another one ends.
  void Serve(PendingRead read);
  void ServeQueued();
  // Reads and answers, if there is time left.
  void Answer(PendingRead& read);
  bool TryEnter();

  const RoutingOptions options_;
  StateMachineExecutor* const executor_;
  Replica* const replica_;
  const Clock* const clock_;
  FaultInjector* const faults_;

  std::atomic<std::uint32_t> reads_running_{0};
  std::atomic<std::uint32_t> reads_queued_{0};  // size of queue_, to look at without the lock
  Mutex queue_mutex_;
  std::deque<PendingRead> queue_ ABSL_GUARDED_BY(queue_mutex_);
};

// Execute, waiting for the answer on the calling thread, which also serves the read itself whatever
// it has to wait for. Not to be called from internal threads.
Result<kv::OperationResult> ExecuteAndWait(RoutingManager* routing, const RequestContext& context,
                                           kv::KvOperation operation);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_ROUTING_MANAGER_H_
