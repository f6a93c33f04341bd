// What is cancelled together: the operations of one transaction, or what scans wait for.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_CANCELLATION_H_
#define CAIRN_SRC_CLIENT_CANCELLATION_H_

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cairn/future.h"
#include "src/base/mutex.h"
#include "src/client/operation.h"

namespace cairn::client {

class Cancellation {
 public:
  // Remembers an operation while it lives. False: all are cancelled already, this one too.
  [[nodiscard]] bool Add(const std::shared_ptr<Operation>& operation) {
    MutexLock lock(&mutex_);
    if (cancelled()) return false;
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
    absl::flat_hash_map<std::uint64_t, std::function<void()>> hooks;
    {
      MutexLock lock(&mutex_);
      cancelled_.store(true, std::memory_order_release);
      operations.swap(operations_);
      hooks.swap(hooks_);
    }
    for (const std::weak_ptr<Operation>& known : operations) {
      if (const std::shared_ptr<Operation> live = known.lock()) live->Cancel();
    }
    for (const auto& [id, hook] : hooks) hook();
  }
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // Something else that is cancelled along, while this object lives, and maybe a moment longer:
  // `cancel` must be safe to run at any time. It runs at once if all are cancelled already. Without
  // a Cancellation it never does.
  class Hook {
   public:
    Hook(Cancellation* all, std::function<void()> cancel) : all_(all) {
      if (all_ == nullptr) return;
      {
        MutexLock lock(&all_->mutex_);
        if (!all_->cancelled()) {
          id_ = ++all_->last_hook_;
          all_->hooks_.emplace(id_, std::move(cancel));
          return;
        }
      }
      cancel();
    }
    ~Hook() {
      if (id_ == 0) return;
      MutexLock lock(&all_->mutex_);
      all_->hooks_.erase(id_);
    }
    Hook(const Hook&) = delete;
    Hook& operator=(const Hook&) = delete;

   private:
    Cancellation* const all_;
    std::uint64_t id_ = 0;  // 0: not attached
  };

 private:
  static constexpr std::size_t kFew = 16;

  std::atomic<bool> cancelled_{false};  // written under the lock
  Mutex mutex_;
  std::uint64_t last_hook_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::uint64_t, std::function<void()>> hooks_ ABSL_GUARDED_BY(mutex_);
  std::size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = kFew;
  std::vector<std::weak_ptr<Operation>> operations_ ABSL_GUARDED_BY(mutex_);
};

// Cancels what is done in parts, one after the other, by one Future::Cancel: first a read version,
// say, then page after page.
//
//   steps = StepCanceller::For(promise);
//   ... if (!steps->Begin()) return promise's Fulfil(kCancelled); steps->Run(ExecuteAsync(...));
class StepCanceller {
 public:
  // Made the promise's canceller, from now on.
  template <typename T>
  static std::shared_ptr<StepCanceller> For(const Promise<T>& promise) {
    auto steps = std::make_shared<StepCanceller>();
    promise.SetCancel([steps, promise] {
      if (!steps->Cancel()) promise.Fulfil(CancelledError("cancelled"));
    });
    return steps;
  }
  // Before each part that runs as an operation. False: cancelled, it must not be begun.
  [[nodiscard]] bool Begin() {
    MutexLock lock(&mutex_);
    if (!cancelled_) begun_ = true;
    return !cancelled_;
  }
  // What cancels the part that was begun last.
  void Run(std::function<void()> cancel) {
    {
      MutexLock lock(&mutex_);
      if (!cancelled_) {
        cancel_.swap(cancel);
        return;
      }
    }
    cancel();
  }

 private:
  // False if nothing was begun, and so nobody else will end the whole.
  bool Cancel() {
    std::function<void()> cancel;
    bool begun = false;
    {
      MutexLock lock(&mutex_);
      cancelled_ = true;
      begun = begun_;
      cancel.swap(cancel_);
    }
    if (cancel) cancel();
    return begun;
  }

  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> cancel_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_CANCELLATION_H_
