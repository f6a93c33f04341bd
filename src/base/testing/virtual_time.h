// Virtual time for unit tests: executors whose tasks run on the test's own thread, in the order of
// their times, and a clock that shows that time. Whatever takes seconds in a node takes none here,
// and the same test does the same steps every time.
//
// Thread safety: none; a test is one thread.
#ifndef CAIRN_SRC_BASE_TESTING_VIRTUAL_TIME_H_
#define CAIRN_SRC_BASE_TESTING_VIRTUAL_TIME_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "src/base/clock.h"
#include "src/base/executor.h"

namespace cairn {

class VirtualTime final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return now_; }
  [[nodiscard]] WallTime Wall() const override { return {kStartUs + now_.ns / 1000}; }

  // Runs what is due within `duration` and leaves the time there.
  void RunFor(Duration duration) {
    const MonotonicTime end = now_ + duration;
    while (!tasks_.empty() && tasks_.begin()->first.first <= end.ns) RunNext();
    now_ = end;
  }
  // Runs until `done`, for `limit` at most. False if it did not come to that.
  bool RunUntil(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60)) {
    const MonotonicTime end = now_ + limit;
    while (!done()) {
      if (tasks_.empty() || tasks_.begin()->first.first > end.ns) return false;
      RunNext();
    }
    return true;
  }
  void At(MonotonicTime when, Task task) {
    tasks_.emplace(std::pair(std::max(when, now_).ns, next_++), std::move(task));
  }

 private:
  static constexpr std::int64_t kStartUs = 1'700'000'000'000'000;

  void RunNext() {
    now_ = {tasks_.begin()->first.first};
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    std::move(task)();
  }

  MonotonicTime now_{1'000'000'000};
  std::uint64_t next_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, Task> tasks_;
};

// A thread of virtual time. Each task takes `pace`. Destroying it drops what is queued, as the end
// of a process does.
class VirtualExecutor final : public SerialExecutor {
 public:
  explicit VirtualExecutor(VirtualTime* time, Duration pace = std::chrono::microseconds(10))
      : time_(time), pace_(pace), alive_(std::make_shared<bool>(true)) {}
  ~VirtualExecutor() override { *alive_ = false; }

  void Post(Task task) override { PostAt(time_->Now(), std::move(task)); }
  void PostAt(MonotonicTime when, Task task) override {
    // One task at a time: each starts when the one before it has ended. Timers keep their times.
    MonotonicTime start = when;
    if (when <= time_->Now()) start = free_at_ = std::max(free_at_, time_->Now()) + pace_;
    time_->At(start, [alive = alive_, task = std::move(task)]() mutable {
      if (*alive) std::move(task)();
    });
  }

 private:
  VirtualTime* const time_;
  const Duration pace_;
  MonotonicTime free_at_;
  const std::shared_ptr<bool> alive_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_VIRTUAL_TIME_H_
