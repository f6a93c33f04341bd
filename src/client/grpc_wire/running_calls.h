// The calls of a channel that run, so that closing it can cancel them and wait for their end.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_RUNNING_CALLS_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_RUNNING_CALLS_H_

#include <absl/container/flat_hash_set.h>

#include <memory>

#include "src/base/mutex.h"

namespace grpc {
class ClientContext;
}

namespace cairn::client {

class RunningCalls {
 public:
  // False: the channel is closed.
  bool Add(const std::shared_ptr<grpc::ClientContext>& call);
  // The call is over; nothing of it runs any more.
  void Remove(const std::shared_ptr<grpc::ClientContext>& call);
  [[nodiscard]] bool closed() const {
    MutexLock lock(&mutex_);
    return closed_;
  }
  // Cancels all calls, and waits until they are removed. Not from the callback of one.
  void Close();

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<std::shared_ptr<grpc::ClientContext>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_RUNNING_CALLS_H_
