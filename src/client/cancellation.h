// Operations that are cancelled together: those of one transaction.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_CANCELLATION_H_
#define CAIRN_SRC_CLIENT_CANCELLATION_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "src/base/mutex.h"
#include "src/client/operation.h"

namespace cairn::client {

class Cancellation {
 public:
  // Remembers an operation while it lives. False: all are cancelled already, this one too.
  [[nodiscard]] bool Add(const std::shared_ptr<Operation>& operation) {
    MutexLock lock(&mutex_);
    if (cancelled_) return false;
    if (operations_.size() >= sweep_at_) {
      operations_.erase(std::remove_if(operations_.begin(), operations_.end(),
                                       [](const auto& known) { return known.expired(); }),
                        operations_.end());
      sweep_at_ = std::max(kFew, 2 * operations_.size());
    }
    operations_.push_back(operation);
    return true;
  }
  // Ends all that were added, and all that will be, with kCancelled.
  void Cancel() {
    std::vector<std::weak_ptr<Operation>> operations;
    {
      MutexLock lock(&mutex_);
      cancelled_ = true;
      operations.swap(operations_);
    }
    for (const std::weak_ptr<Operation>& known : operations) {
      if (const std::shared_ptr<Operation> live = known.lock()) live->Cancel();
    }
  }

 private:
  static constexpr std::size_t kFew = 16;

  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = kFew;
  std::vector<std::weak_ptr<Operation>> operations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_CANCELLATION_H_
