#include "src/client/grpc_wire/running_calls.h"

#include <grpcpp/client_context.h>

namespace cairn::client {

bool RunningCalls::Add(const std::shared_ptr<grpc::ClientContext>& call) {
  MutexLock lock(&mutex_);
  if (closed_) return false;
  calls_.insert(call);
  return true;
}

void RunningCalls::Remove(const std::shared_ptr<grpc::ClientContext>& call) {
  MutexLock lock(&mutex_);
  calls_.erase(call);
  if (closed_) changed_.SignalAll();
}

void RunningCalls::Close() {
  absl::flat_hash_set<std::shared_ptr<grpc::ClientContext>> running;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    running = calls_;
  }
  for (const auto& call : running) call->TryCancel();
  running.clear();
  MutexLock lock(&mutex_);
  while (!calls_.empty()) changed_.Wait(&mutex_);
}

}  // namespace cairn::client
