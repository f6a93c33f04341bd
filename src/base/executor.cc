#include "src/base/executor.h"

#include <pthread.h>

#include <utility>

namespace cairn {
namespace {

// How many tasks of others a caller of Dispatch runs behind its own rather than wake the thread:
// those of the threads that found the executor lent, of which there are a few.
constexpr int kMostForOthers = 4;

}  // namespace

ThreadExecutor::ThreadExecutor(std::string name, const Clock* clock) : clock_(clock) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ThreadExecutor::~ThreadExecutor() { Stop(); }

void ThreadExecutor::Post(Task task) {
  bool wake = false;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    ready_.push_back({std::move(task)});
    wake = MustWake();
  }
  // Without the lock, which the thread takes first.
  if (wake) wake_.Signal();
}

void ThreadExecutor::Dispatch(Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    if (!waiting_ || lent_ || !ready_.empty()) {
      ready_.push_back({std::move(task), true});
      if (MustWake()) wake_.Signal();
      return;
    }
    lent_ = true;
  }
  for (int others = kMostForOthers;; --others) {
    // As on the thread: what a step throws, such as bad_alloc half-way, must not reach a caller who
    // takes it for his own and goes on.
    [&]() noexcept { std::move(task)(); }();
    task = nullptr;  // What it holds ends before the next task begins, as on the thread.
    MutexLock lock(&mutex_);
    if (others == 0 || ready_.empty() || !ready_.front().dispatched) {
      lent_ = false;
      // With the lock: once it is free the thread may end, and the executor with it.
      if (MustWake()) wake_.Signal();
      return;
    }
    task = std::move(ready_.front().task);
    ready_.pop_front();
  }
}

void ThreadExecutor::PostAt(MonotonicTime when, Task task) {
  bool wake = false;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    timers_.emplace(std::pair(when.ns, next_timer_++), std::move(task));
    wake = MustWake();
  }
  if (wake) wake_.Signal();
}

void ThreadExecutor::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    timers_.clear();
    if (MustWake()) wake_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

bool ThreadExecutor::MustWake() {
  if (!waiting_ || lent_) return false;  // It looks by itself, or whoever it is lent to does.
  const bool due = !timers_.empty() && timers_.begin()->first.first < sleeps_until_;
  if (!due && !stopping_ && ready_.empty()) return false;
  waiting_ = false;  // It is on its way: once is enough.
  return true;
}

bool ThreadExecutor::Await() {
  while (true) {
    if (!lent_) {
      const std::int64_t now = timers_.empty() ? 0 : clock_->Now().ns;
      while (!timers_.empty() && timers_.begin()->first.first <= now) {
        ready_.push_back({std::move(timers_.begin()->second)});
        timers_.erase(timers_.begin());
      }
      if (!ready_.empty()) return true;
      if (stopping_) return false;
    }
    waiting_ = true;
    if (lent_ || timers_.empty()) {
      sleeps_until_ = INT64_MAX;
      wake_.Wait(&mutex_);
    } else {
      sleeps_until_ = timers_.begin()->first.first;
      // std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++, as is SystemClock.
      wake_.WaitUntil(&mutex_, std::chrono::steady_clock::time_point(Duration(sleeps_until_)));
    }
    waiting_ = false;
  }
}

void ThreadExecutor::Run() {
  std::deque<Ready> batch;
  while (true) {
    {
      MutexLock lock(&mutex_);
      if (!Await()) return;
      batch.swap(ready_);
    }
    for (Ready& ready : batch) std::move(ready.task)();
    batch.clear();
  }
}

}  // namespace cairn
