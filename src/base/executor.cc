#include "src/base/executor.h"

#include <pthread.h>

#include <utility>

namespace cairn {

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
    ready_.push_back(std::move(task));
    wake = waiting_;
  }
  if (wake) wake_.Signal();
}

void ThreadExecutor::PostAt(MonotonicTime when, Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    timers_.emplace(std::pair(when.ns, next_timer_++), std::move(task));
  }
  wake_.Signal();
}

void ThreadExecutor::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    timers_.clear();
  }
  wake_.Signal();
  if (thread_.joinable()) thread_.join();
}

void ThreadExecutor::Run() {
  std::deque<Task> batch;
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (true) {
        const std::int64_t now = timers_.empty() ? 0 : clock_->Now().ns;
        while (!timers_.empty() && timers_.begin()->first.first <= now) {
          ready_.push_back(std::move(timers_.begin()->second));
          timers_.erase(timers_.begin());
        }
        if (!ready_.empty()) break;
        if (stopping_) return;
        waiting_ = true;
        if (timers_.empty()) {
          wake_.Wait(&mutex_);
        } else {
          // std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++, as is SystemClock.
          wake_.WaitUntil(&mutex_, std::chrono::steady_clock::time_point(
                                       Duration(timers_.begin()->first.first)));
        }
        waiting_ = false;
      }
      batch.swap(ready_);
    }
    for (Task& task : batch) std::move(task)();
    batch.clear();
  }
}

}  // namespace cairn
