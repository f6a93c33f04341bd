// A value that comes later: what every asynchronous call of Cairn's clients gives.
//
//   client->GetAsync("key").OnReady([](cairn::Result<cairn::GetResult> answer) { ... });
//
//   cairn::Future<cairn::GetResult> a = client->GetAsync("a");
//   cairn::Future<cairn::GetResult> b = client->GetAsync("b");  // both are on their way
//   cairn::Result<cairn::GetResult> first = a.Get();            // waits
//
// A Future has one result and one taker: either Get or OnReady, once. Dropping a Future without
// taking its result neither cancels nor waits: the operation runs on by itself.
//
// This header uses the standard library alone and compiles as C++17.
//
// Thread safety: one Future object belongs to one thread at a time; Future and Promise may be on
// different threads. A Promise may be fulfilled from any thread; the first result wins.
#ifndef CAIRN_FUTURE_H_
#define CAIRN_FUTURE_H_

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "cairn/status.h"

namespace cairn {

namespace internal {

// What a thread that waits for a result can do to bring it about, instead of sleeping until another
// thread has done it. Not for use by applications.
class FutureHelper {
 public:
  virtual ~FutureHelper() = default;
  // Returns when `done` says true, or when this thread can be of no (more) help.
  virtual void Help(const std::function<bool()>& done) = 0;
  // What somebody waits for inside Help has come from elsewhere: have it look.
  virtual void Nudge() = 0;
  // Somebody waits for the result, and not inside Help.
  virtual void Expect() = 0;
};

// What a Future and its Promise share. Not for use by applications.
template <typename T>
struct FutureState {
  using Callback = std::function<void(Result<T>)>;

  // Stores the result and hands it to the taker, if there is one. False if there was one before.
  bool Fulfil(Result<T> value) {
    Callback taker;
    std::function<void()> no_longer_needed;  // destroyed without the lock
    std::shared_ptr<FutureHelper> nudged;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (fulfilled) return false;
      fulfilled = true;
      no_longer_needed.swap(cancel);
      if (callback) {
        taker = std::move(callback);
      } else {
        result.emplace(std::move(value));
        changed.notify_all();
        if (helped) nudged = helper;
      }
    }
    if (nudged) nudged->Nudge();
    if (taker) taker(std::move(value));  // NOLINT(bugprone-use-after-move): moved only without one
    return true;
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool fulfilled = false;
  std::optional<Result<T>> result;
  Callback callback;
  std::function<void()> cancel;
  std::shared_ptr<FutureHelper> helper;
  bool helped = false;  // a thread in Get makes use of the helper
};

}  // namespace internal

// The taker's end. Movable; a moved-from or default-made Future is not valid() and must not be
// used.
template <typename T>
class [[nodiscard]] Future {
 public:
  // Not valid until something is moved into it.
  Future() = default;

  // True if this Future still has a result to give.
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

  // True once Get would not wait.
  [[nodiscard]] bool ready() const {
    const std::lock_guard<std::mutex> lock(Need().mutex);
    return state_->fulfilled;
  }

  // Waits for the result, for up to `limit`. True if it is there.
  [[nodiscard]] bool WaitFor(std::chrono::nanoseconds limit) const {
    std::unique_lock<std::mutex> lock(Need().mutex);
    if (!state_->fulfilled && state_->helper != nullptr) {
      const std::shared_ptr<internal::FutureHelper> helper = state_->helper;
      lock.unlock();
      helper->Expect();
      lock.lock();
    }
    return state_->changed.wait_for(lock, limit, [this] { return state_->fulfilled; });
  }

  // Waits for the result, for as long as it takes (the operation's own deadline bounds it), and
  // gives it away; the Future is not valid afterwards. Must not be called from a callback: the
  // thread that it would wait for may be the one it runs on. While it waits, callbacks of other
  // Futures of the same client may run on this thread.
  Result<T> Get() {
    const std::shared_ptr<internal::FutureState<T>> state = Take();
    std::unique_lock<std::mutex> lock(state->mutex);
    if (!state->fulfilled && state->helper != nullptr) {
      const std::shared_ptr<internal::FutureHelper> helper = state->helper;
      state->helped = true;
      lock.unlock();
      helper->Help([raw = state.get()] {
        const std::lock_guard<std::mutex> check(raw->mutex);
        return raw->fulfilled;
      });
      lock.lock();
    }
    state->changed.wait(lock, [&] { return state->fulfilled; });
    return std::move(*state->result);
  }

  // Runs `callback` with the result once it is there: inside this call if it is there already, else
  // on the thread that brings it, which is one of the client's: it must not block. The Future is
  // not valid afterwards. The callback must not throw.
  void OnReady(std::function<void(Result<T>)> callback) {
    const std::shared_ptr<internal::FutureState<T>> state = Take();
    std::unique_lock<std::mutex> lock(state->mutex);
    if (state->fulfilled) {
      lock.unlock();  // nobody writes to a fulfilled state again
      callback(std::move(*state->result));
      return;
    }
    state->callback = std::move(callback);
    const std::shared_ptr<internal::FutureHelper> helper = state->helper;
    lock.unlock();
    if (helper != nullptr) helper->Expect();
  }

  // Asks the operation to end. If it has not ended yet, the result is kCancelled, soon; a write may
  // have been applied all the same, which Status::maybe_applied() tells. Safe at any time.
  void Cancel() const {
    std::function<void()> cancel;
    {
      const std::lock_guard<std::mutex> lock(Need().mutex);
      cancel = state_->cancel;
    }
    if (cancel) cancel();
  }

  // What cancels the operation, for a caller that gives the Future itself away (with OnReady). It
  // does nothing once there is a result.
  [[nodiscard]] std::function<void()> Canceller() const {
    std::weak_ptr<internal::FutureState<T>> weak = (Need(), state_);
    return [weak] {
      const std::shared_ptr<internal::FutureState<T>> state = weak.lock();
      if (!state) return;
      std::function<void()> cancel;
      {
        const std::lock_guard<std::mutex> lock(state->mutex);
        cancel = state->cancel;
      }
      if (cancel) cancel();
    };
  }

 private:
  template <typename>
  friend class Promise;
  explicit Future(std::shared_ptr<internal::FutureState<T>> state) : state_(std::move(state)) {}

  internal::FutureState<T>& Need() const {
    if (!state_) std::abort();  // A bug in the caller: this Future is not valid.
    return *state_;
  }
  std::shared_ptr<internal::FutureState<T>> Take() {
    Need();
    return std::move(state_);
  }

  std::shared_ptr<internal::FutureState<T>> state_;
};

// The giver's end. Copies share one Future. A Promise that goes away unfulfilled leaves its Future
// waiting for ever: whoever makes one must fulfil it.
template <typename T>
class Promise {
 public:
  Promise() : state_(std::make_shared<internal::FutureState<T>>()) {}

  // The one Future of this promise; call it once.
  Future<T> GetFuture() { return Future<T>(state_); }

  // Gives the result. False if there is one already, which then stays. Runs the taker's callback.
  bool Fulfil(Result<T> result) const { return state_->Fulfil(std::move(result)); }

  // What a thread that waits in Future::Get does meanwhile. Before the Future is given away.
  void SetHelper(std::shared_ptr<internal::FutureHelper> helper) const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->helper = std::move(helper);
  }

  // What Future::Cancel runs, until there is a result. It may be called from any thread.
  void SetCancel(std::function<void()> cancel) const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    if (!state_->fulfilled) state_->cancel = std::move(cancel);
  }

 private:
  std::shared_ptr<internal::FutureState<T>> state_;
};

}  // namespace cairn

#endif  // CAIRN_FUTURE_H_
