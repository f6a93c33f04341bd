#include "src/replication/routing_manager.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "src/base/check.h"
#include "src/base/planted_bug.h"
#include "src/replication/replica.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::replication {

namespace {

// The version that a snapshot read asks for; 0 for all others.
Version ReadVersionOf(const kv::KvOperation& operation) {
  if (const auto* read = std::get_if<kv::SnapshotRead>(&operation)) return read->read_version;
  if (const auto* read = std::get_if<kv::SnapshotGetRange>(&operation)) return read->read_version;
  return Version();
}

bool AsksForVersion(const kv::KvOperation& operation) {
  return std::holds_alternative<kv::GetReadVersion>(operation) ||
         std::holds_alternative<kv::GetCommittedVersion>(operation);
}

}  // namespace

RoutingManager::RoutingManager(const RoutingOptions& options, StateMachineExecutor* executor,
                               Replica* replica, const Clock* clock, FaultInjector* faults)
    : options_(options), executor_(executor), replica_(replica), clock_(clock), faults_(faults) {}

RoutingManager::~RoutingManager() = default;

void RoutingManager::Execute(const RequestContext& context, kv::KvOperation operation,
                             OperationCallback done) {
  if (Status valid = kv::Validate(operation, options_.limits); !valid.ok()) {
    done(std::move(valid));
    return;
  }
  const MonotonicTime now = clock_->Now();
  const MonotonicTime deadline =
      context.deadline == MonotonicTime::Max() ? now + options_.default_deadline : context.deadline;
  if (faults_ != nullptr) {
    if (auto fault = faults_->Check(kv::operation_name(operation))) {
      // A fault that takes longer than the caller waits shows as what it would be: a timeout.
      if (fault->delay > deadline - now) {
        Delay(deadline - now, TimeoutError("the deadline passed"), std::move(done));
      } else {
        Delay(fault->delay, std::move(fault->status), std::move(done));
      }
      return;
    }
  }
  if (kv::is_read_only(operation)) {
    ExecuteRead(context, deadline, std::move(operation), std::move(done));
  } else {
    ExecuteWrite(context, deadline, std::move(operation), std::move(done));
  }
}

void RoutingManager::Delay(Duration delay, Status status, OperationCallback done) {
  if (delay <= Duration::zero()) {
    done(std::move(status));
    return;
  }
  // Waits for a version that never comes: the deadline answers, on an internal thread.
  replica_->WaitForVersion(Version::Max(), clock_->Now() + delay,
                           [status = std::move(status), done = std::move(done)](
                               const Status&) mutable { done(std::move(status)); });
}

// ---- Writes

void RoutingManager::ExecuteWrite(const RequestContext& context, MonotonicTime deadline,
                                  kv::KvOperation operation, OperationCallback done) {
  kv::Command command;
  command.session = context.session;
  if (context.session.value() != 0) {
    command.sequence = context.sequence;
    command.first_outstanding = context.first_outstanding;
    if (Status valid = CheckSequence(context); !valid.ok()) {
      done(std::move(valid));
      return;
    }
  }
  if (const auto* create = std::get_if<kv::CreateColumnFamily>(&operation)) {
    const std::vector<std::string> names = executor_->ColumnFamilyNames();
    // Of one that is there already this may be another try, which is to get the first one's answer.
    if (names.size() >= options_.limits.column_families &&
        std::find(names.begin(), names.end(), create->name) == names.end()) {
      done(InvalidArgumentError(
          "there are column_families = " + std::to_string(options_.limits.column_families) +
          " column families already, the limit; drop one first"));
      return;
    }
  }
  command.operation = std::move(operation);
  replica_->Propose(
      std::move(command), deadline,
      [this, done = std::move(done)](Result<kv::WriteResult> result) mutable {
        if (result.ok()) {
          done(kv::OperationResult(*std::move(result)));
        } else {
          done(WithHint(std::move(result).status()));
        }
      },
      context.allow_forwarding ? Elsewhere::kForward : Elsewhere::kRefuse, context.write_on);
}

Status RoutingManager::WithHint(Status status) const {
  if (status.code() != StatusCode::kNotLeader || !options_.endpoint_of) return status;
  const std::optional<NodeId> leader = replica_->status().leadership.leader;
  if (!leader) return status;
  return std::move(status).WithLeaderHint(options_.endpoint_of(*leader));
}

Status RoutingManager::CheckSequence(const RequestContext& context) const {
  if (context.sequence == 0) {
    return InvalidArgumentError("sequences of a session begin at 1, this one is 0");
  }
  if (context.first_outstanding > context.sequence) {
    return InvalidArgumentError("first_outstanding " + std::to_string(context.first_outstanding) +
                                " is above the sequence " + std::to_string(context.sequence));
  }
  if (context.sequence - context.first_outstanding >= options_.limits.session_window) {
    return InvalidArgumentError(
        "sequence " + std::to_string(context.sequence) + " is more than session_window = " +
        std::to_string(options_.limits.session_window) + " ahead of first_outstanding " +
        std::to_string(context.first_outstanding) + "; wait for earlier answers");
  }
  return Status::Ok();
}

// ---- Reads

void RoutingManager::ExecuteRead(const RequestContext& context, MonotonicTime deadline,
                                 kv::KvOperation operation, OperationCallback done) {
  ReadLevel level =
      context.read_level == ReadLevel::kDefault ? options_.default_read_level : context.read_level;
  if (Planted(PlantedBug::kReadWithoutBarrier)) level = ReadLevel::kLocal;
  // What a client asks a version for is to compare it with others, which other nodes may have
  // handed out. So it is behind a barrier, unless the request itself says `local`.
  if (AsksForVersion(operation) && context.read_level == ReadLevel::kDefault &&
      level == ReadLevel::kLocal) {
    level = ReadLevel::kReadIndex;
  }
  // A snapshot version that is not reached here may have been handed out by another node. After a
  // barrier this node has reached every version there was; if not this one, then it is wrong.
  if (level == ReadLevel::kLocal && ReadVersionOf(operation) > executor_->applied_version()) {
    level = ReadLevel::kReadIndex;
  }
  Version needed = context.min_version;
  if (Planted(PlantedBug::kIgnoreMinVersion)) needed = Version();
  PendingRead read{deadline, std::move(operation), context.read_on, std::move(done)};
  if (level == ReadLevel::kLocal) {
    if (Status fresh = CheckStaleness(); !fresh.ok() && !Planted(PlantedBug::kStaleLocalRead)) {
      read.done(std::move(fresh));
      return;
    }
    if (executor_->applied_version() >= needed) {
      Serve(std::move(read));
    } else {
      AwaitVersion(needed, std::move(read));
    }
    return;
  }
  // kLeader and kReadIndex are the same promise and the same barrier, put to the leader. They
  // differ in who may serve: a client that follows the leader itself is told where it is; for all
  // others this node asks the leader for the barrier and serves what that allows.
  if (level == ReadLevel::kLeader && !context.allow_forwarding) {
    const consensus::Leadership leadership = replica_->status().leadership;
    if (leadership.leader && leadership.role != consensus::Role::kLeader) {
      read.done(WithHint(NotLeaderError("node " + ToString(*leadership.leader) +
                                        " leads, not this one; read there")));
      return;
    }
  }
  replica_->Barrier(deadline, [this, needed, read = std::move(read)](Status status) mutable {
    if (status.ok()) {
      AwaitVersion(needed, std::move(read));
    } else {
      read.done(std::move(status));
    }
  });
}

Status RoutingManager::CheckStaleness() const {
  if (options_.allow_stale_reads) return Status::Ok();
  const Duration staleness = replica_->Staleness();
  if (staleness <= options_.max_staleness) return Status::Ok();
  return StaleError(
      "this node's data may be older than max_staleness_ms = " +
      std::to_string(
          std::chrono::duration_cast<std::chrono::milliseconds>(options_.max_staleness).count()) +
      "; read at another node, or at level leader or read_index");
}

void RoutingManager::AwaitVersion(Version version, PendingRead read) {
  const MonotonicTime deadline = read.deadline;
  replica_->WaitForVersion(
      version, deadline, [this, version, read = std::move(read)](Status status) mutable {
        if (status.ok()) {
          ServeAfterWait(std::move(read));
        } else if (status.code() == StatusCode::kTimeout) {
          read.done(StaleError("this node has not reached min_version " + ToString(version) +
                               " before the deadline, it is at " +
                               ToString(executor_->applied_version()) + "; try another node"));
        } else {
          read.done(std::move(status));
        }
      });
}

void RoutingManager::ServeAfterWait(PendingRead read) {
  if (read.read_on == nullptr) {
    Serve(std::move(read));
    return;
  }
  SerialExecutor* const read_on = read.read_on;
  read_on->Post([this, read = std::move(read)]() mutable { Serve(std::move(read)); });
}

// ---- The bound on concurrent reads

bool RoutingManager::TryEnter() {
  std::uint32_t running = reads_running_.load();
  while (running < options_.max_read_concurrency) {
    if (reads_running_.compare_exchange_weak(running, running + 1)) return true;
  }
  return false;
}

void RoutingManager::Answer(PendingRead& read) {
  Result<kv::OperationResult> result =
      clock_->Now() < read.deadline
          ? executor_->Read(read.operation, options_.limits, read.deadline, *clock_)
          : TimeoutError("the deadline passed before this node could serve the read");
  if (options_.max_read_concurrency != 0) reads_running_.fetch_sub(1);
  read.done(std::move(result));
}

void RoutingManager::Serve(PendingRead read) {
  if (options_.max_read_concurrency == 0) {
    Answer(read);
    return;
  }
  if (TryEnter()) {
    Answer(read);
  } else {
    MutexLock lock(&queue_mutex_);
    queue_.push_back(std::move(read));
    reads_queued_.fetch_add(1);
  }
  ServeQueued();
}

void RoutingManager::ServeQueued() {
  // Whoever queues a read looks for a free place afterwards, whoever frees a place looks for a
  // queued read afterwards; both are sequentially consistent, so one of them sees the other.
  while (reads_queued_.load() > 0 && TryEnter()) {
    std::optional<PendingRead> read;
    {
      MutexLock lock(&queue_mutex_);
      if (!queue_.empty()) {
        read = std::move(queue_.front());
        queue_.pop_front();
        reads_queued_.fetch_sub(1);
      }
    }
    if (read) {
      Answer(*read);
    } else {
      reads_running_.fetch_sub(1);
    }
  }
}

// ---- Waiting callers

namespace {

// A thread that waits for its answer and runs, meanwhile, what is to be run on it.
class WaitingCaller final : public SerialExecutor {
 public:
  // The caller may be gone as soon as the lock is free: both signal under it.
  void Post(Task task) override {
    MutexLock lock(&mutex_);
    CAIRN_CHECK(!task_);
    task_ = std::move(task);
    changed_.Signal();
  }
  void PostAt(MonotonicTime, Task) override { CAIRN_CHECK(false, "a caller runs no timers"); }
  void Give(Result<kv::OperationResult> result) {
    MutexLock lock(&mutex_);
    result_ = std::move(result);
    changed_.Signal();
  }

  Result<kv::OperationResult> Wait() {
    while (true) {
      Task task;
      {
        MutexLock lock(&mutex_);
        while (!result_ && !task_) changed_.Wait(&mutex_);
        // The task first: others may depend on it.
        if (!task_) return *std::move(result_);
        task = std::exchange(task_, nullptr);
      }
      std::move(task)();
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  Task task_ ABSL_GUARDED_BY(mutex_);  // one at most: an operation waits for one thing at a time
  std::optional<Result<kv::OperationResult>> result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

Result<kv::OperationResult> ExecuteAndWait(RoutingManager* routing, const RequestContext& context,
                                           kv::KvOperation operation) {
  WaitingCaller caller;
  RequestContext mine = context;
  mine.read_on = &caller;
  mine.write_on = &caller;
  routing->Execute(mine, std::move(operation), [&caller](Result<kv::OperationResult> result) {
    caller.Give(std::move(result));
  });
  return caller.Wait();
}

}  // namespace cairn::replication
