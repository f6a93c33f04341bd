#include "src/server/grpc/backend.h"

#include <chrono>

namespace cairn::server {

NodeCallRun::NodeCallRun(Backend* backend, NodeCall call)
    : backend_(backend), call_(call), begun_(backend->node().clock().Now()) {
  backend->CountCall();
}

void NodeCallRun::End(std::optional<StatusCode> outcome) const {
  NodeService& node = backend_->node();
  node.RecordCall(Wire::kGrpc, call_, outcome, node.clock().Now() - begun_);
}

Backend::Backend(const GrpcServerOptions& options, NodeService* node)
    : options_(options),
      node_(node),
      answers_(options.answer_bytes, "ask for less at once, or use KV.Scan") {
  for (std::uint32_t i = 0; i < options.workers; ++i) {
    workers_.push_back(
        std::make_unique<ThreadExecutor>("cairn-grpc-" + std::to_string(i), &node->clock()));
  }
}

Backend::~Backend() {
  {
    MutexLock lock(&mutex_);
    while (running_.load() != 0) idle_.Wait(&mutex_);
  }
  for (const auto& worker : workers_) worker->Stop();
}

SerialExecutor* Backend::Worker() {
  return workers_[next_worker_.fetch_add(1, std::memory_order_relaxed) % workers_.size()].get();
}

void Backend::Execute(replication::RequestContext context, kv::KvOperation operation,
                      replication::OperationCallback done, CountAs as) {
  running_.fetch_add(1);
  SerialExecutor* const worker = Worker();
  context.read_on = worker;
  const bool range = std::holds_alternative<kv::GetRange>(operation) ||
                     std::holds_alternative<kv::SnapshotGetRange>(operation);
  auto counted = [this, done = std::move(done)](Result<kv::OperationResult> result) mutable {
    done(std::move(result));
    Ended();
  };
  if (!range) {
    node_->ExecuteAsync(Wire::kGrpc, context, std::move(operation), std::move(counted), as);
    return;
  }
  worker->Post([this, as, context = std::move(context), operation = std::move(operation),
                counted = std::move(counted)]() mutable {
    node_->ExecuteAsync(Wire::kGrpc, context, std::move(operation), std::move(counted), as);
  });
}

void Backend::Ended() {
  // Under the lock only for the last one, so that whoever waits sees it and outlives the signal.
  std::int64_t running = running_.load();
  while (running > 1) {
    if (running_.compare_exchange_weak(running, running - 1)) return;
  }
  MutexLock lock(&mutex_);
  running_.fetch_sub(1);
  idle_.SignalAll();
}

bool Backend::BeginBackup() {
  int now = backups_.load();
  while (now < kMaxBackups) {
    if (backups_.compare_exchange_weak(now, now + 1)) return true;
  }
  return false;
}

bool Backend::AwaitIdle(Duration grace) {
  const auto until = std::chrono::steady_clock::now() + grace;
  MutexLock lock(&mutex_);
  while (running_.load() != 0) {
    if (!idle_.WaitUntil(&mutex_, until)) return running_.load() == 0;
  }
  return true;
}

Status Backend::Translate(Status status) const {
  if (status.code() != StatusCode::kNotLeader) return status;
  // The routing names where the leader serves Thrift.
  return std::move(status).WithLeaderHint(node_->LeaderGrpcEndpoint());
}

}  // namespace cairn::server
