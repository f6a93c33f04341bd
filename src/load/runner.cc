#include "src/load/runner.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "src/base/mutex.h"
#include "src/load/keys.h"
#include "src/load/recorder.h"

namespace cairn::bench {
namespace {

constexpr std::chrono::milliseconds kShortestSlot{100};
constexpr std::size_t kMostSlots = 200;

std::chrono::steady_clock::time_point Until(MonotonicTime time) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(time.ns));
}

Window WindowOf(const LoopOptions& options, MonotonicTime now) {
  Window window;
  window.begin = now + options.warmup;
  window.end =
      options.measured.count() == 0 ? MonotonicTime::Max() : window.begin + options.measured;
  if (options.measured.count() > 0) {
    window.slot = std::max<std::chrono::nanoseconds>(kShortestSlot, options.measured / kMostSlots);
    window.slots = static_cast<std::size_t>(options.measured / window.slot);
  }
  return window;
}

// One lane: whoever drives it owns it, until the operation that it began ends, maybe on another
// thread.
struct Lane {
  enum class Phase : std::uint8_t { kStarting, kUnderWay, kEnded };

  std::size_t number = 0;
  Operation operation;
  Sample sample;
  std::atomic<Phase> phase{Phase::kStarting};
};

// Thread safety: Run on one thread; operations end on any.
class Loop {
 public:
  Loop(Target* target, Source* source, const LoopOptions& options)
      : target_(*target), source_(*source), options_(options) {
    for (std::size_t i = 0; i < options.lanes; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
      lanes_.back()->number = i;
    }
  }

  LoopReport Run() {
    window_ = WindowOf(options_, clock_.Now());
    recorder_.Begin(window_);
    if (options_.rate > 0) {
      RunOpen();
    } else {
      for (const auto& lane : lanes_) Drive(lane.get());
    }
    {
      MutexLock lock(&mutex_);
      while (idle_.size() < lanes_.size()) changed_.Wait(&mutex_);
    }
    return recorder_.Report(options_.rate == 0);
  }

 private:
  // Closed loop: takes and begins operations until one does not end at once.
  void Drive(Lane* lane) {
    while (true) {
      const MonotonicTime now = clock_.Now();
      if (now >= window_.end || !source_.Next(lane->number, &lane->operation)) return Retire(lane);
      if (!Begin(lane, now, now)) return;
    }
  }

  // True if the operation has ended already; else the lane is no longer the caller's.
  bool Begin(Lane* lane, MonotonicTime due, MonotonicTime now) {
    lane->operation.lane = lane->number;
    lane->sample = {lane->operation.kind, due, now, {}};
    lane->phase.store(Lane::Phase::kStarting);
    target_.Start(lane->operation, [this, lane](const Outcome& outcome) {
      lane->sample.ended = clock_.Now();
      recorder_.Record(lane->number, lane->sample, outcome);
      source_.Ended(lane->operation, outcome);
      if (lane->phase.exchange(Lane::Phase::kEnded) == Lane::Phase::kUnderWay) Continue(lane);
    });
    return lane->phase.exchange(Lane::Phase::kUnderWay) == Lane::Phase::kEnded;
  }

  void Continue(Lane* lane) {
    if (options_.rate > 0) {
      Retire(lane);
    } else {
      Drive(lane);
    }
  }

  void Retire(Lane* lane) {
    MutexLock lock(&mutex_);
    idle_.push_back(lane);
    changed_.SignalAll();  // under the lock: the waiter may destroy this when it is free
  }

  // Open loop: begins operations when they are due, as long as a lane is idle.
  void RunOpen() {
    for (const auto& lane : lanes_) Retire(lane.get());
    SeededRandom random(options_.seed);
    MonotonicTime due = window_.begin + -options_.warmup;
    while (due < window_.end) {
      Lane* lane = IdleLane(due);
      const MonotonicTime now = clock_.Now();
      if (!source_.Next(lane->number, &lane->operation)) return Retire(lane);
      if (Begin(lane, due, now)) Retire(lane);
      const double gap = options_.poisson ? -std::log(1 - UnitInterval(&random)) : 1;
      due = due + std::chrono::nanoseconds(std::llround(gap / options_.rate * 1e9));
    }
  }

  // Waits until `due`, and until a lane is idle.
  Lane* IdleLane(MonotonicTime due) {
    MutexLock lock(&mutex_);
    while (clock_.Now() < due) changed_.WaitUntil(&mutex_, Until(due));
    while (idle_.empty()) changed_.Wait(&mutex_);
    Lane* lane = idle_.back();
    idle_.pop_back();
    return lane;
  }

  Target& target_;
  Source& source_;
  const LoopOptions options_;
  const SystemClock clock_;
  Window window_;  // constant while anything runs
  Recorder recorder_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<Lane*> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

LoopReport RunLoop(Target* target, Source* source, const LoopOptions& options) {
  return Loop(target, source, options).Run();
}

}  // namespace cairn::bench
