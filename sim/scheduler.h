// Virtual time: one queue of tasks, run in the order of their times on one thread; the clocks and
// executors of simulated machines on top of it. The same seed gives the same run on every machine.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_SCHEDULER_H_
#define CAIRN_SIM_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"

namespace cairn::sim {

class Scheduler {
 public:
  explicit Scheduler(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] MonotonicTime now() const { return now_; }
  // Chance in delays, disks and networks. What is planned ahead (faults, what clients do) has
  // streams of its own, so that it stays the same when parts of a plan are left out.
  Random& random() { return random_; }
  // Uniform between the two.
  Duration Between(Duration least, Duration most) {
    return least + Duration(static_cast<std::int64_t>(
                       random_.Below(static_cast<std::uint64_t>((most - least).count()) + 1)));
  }

  // Runs `task` at `when` (now, if that is past). Tasks of the same time run in the order in which
  // they were added.
  void At(MonotonicTime when, Task task);
  void After(Duration delay, Task task) { At(now_ + delay, std::move(task)); }
  // Runs tasks until none is left that is due by `end`, then sets the time to `end`. `after_each`,
  // if there is one, is called after each task.
  void RunUntil(MonotonicTime end, const std::function<void()>& after_each = nullptr);
  // Runs the next task. False if there is none.
  bool RunOne();

  [[nodiscard]] std::uint64_t tasks_run() const { return tasks_run_; }

 private:
  // A heap of small entries over a slab of tasks: tasks themselves are not moved about.
  struct Due {
    std::int64_t at;
    std::uint64_t order;
    std::uint32_t task;
  };
  struct Later {
    bool operator()(const Due& a, const Due& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };

  SeededRandom random_;
  MonotonicTime now_{0};
  std::uint64_t next_ = 0;
  std::uint64_t tasks_run_ = 0;
  std::vector<Due> heap_;
  std::vector<Task> tasks_;
  std::vector<std::uint32_t> free_;
};

// The clocks of one simulated machine. The monotonic one starts anywhere and runs fast or slow; the
// wall clock can be stepped.
class SimClock final : public Clock {
 public:
  // It gains `drift_ppm` microseconds a second.
  SimClock(const Scheduler* scheduler, std::int64_t start_ns, std::int64_t drift_ppm)
      : scheduler_(scheduler), start_ns_(start_ns), drift_ppm_(drift_ppm) {}

  [[nodiscard]] MonotonicTime Now() const override {
    const std::int64_t ns = scheduler_->now().ns;
    return {start_ns_ + ns + static_cast<std::int64_t>(__int128{ns} * drift_ppm_ / 1'000'000)};
  }
  [[nodiscard]] WallTime Wall() const override {
    return {kStartUs + scheduler_->now().ns / 1000 + offset_us_};
  }
  // When in virtual time this clock will show `local` (not before).
  [[nodiscard]] MonotonicTime WhenItShows(MonotonicTime local) const;
  void StepWall(Duration by) {
    offset_us_ += std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  }

 private:
  static constexpr std::int64_t kStartUs = 1'700'000'000'000'000;
  const Scheduler* const scheduler_;
  const std::int64_t start_ns_;
  const std::int64_t drift_ppm_;
  std::int64_t offset_us_ = 0;
};

// How long a task of a simulated thread takes until the next one starts.
struct Pace {
  Duration least = std::chrono::microseconds(1);
  Duration most = std::chrono::microseconds(20);
  // One task in `slow_one_in` takes up to `slow_most`; 0: none.
  std::uint64_t slow_one_in = 0;
  Duration slow_most{0};
};

// All threads of one process: they can be stopped together (SIGSTOP) and end together.
class SimProcess {
 public:
  SimProcess(Scheduler* scheduler, const SimClock* clock) : scheduler_(scheduler), clock_(clock) {}

  // Stops every thread before its next task, or lets them go on.
  void Pause();
  void Resume();
  // Nothing of the process runs from here on; what is queued is dropped.
  void Kill();
  [[nodiscard]] bool paused() const { return paused_; }

 private:
  friend class SimExecutor;
  struct Thread;

  Scheduler* const scheduler_;
  const SimClock* const clock_;
  std::vector<std::shared_ptr<Thread>> threads_;
  bool paused_ = false;
};

// A SerialExecutor in virtual time: a thread of a process. Must not outlive the process.
class SimExecutor final : public SerialExecutor {
 public:
  SimExecutor(SimProcess* process, const Pace& pace);
  ~SimExecutor() override = default;

  void Post(Task task) override;
  // Half of the time inside the call, if the thread has nothing to do.
  void Dispatch(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;
  // From the next task on.
  void SetPace(const Pace& pace);
  // `slow` runs whenever a task is to wait longer than `bound` for its thread to get to it.
  void WatchSteps(Duration bound, std::function<void()> slow);

 private:
  static void Schedule(const std::shared_ptr<SimProcess::Thread>& thread);
  static void Run(const std::shared_ptr<SimProcess::Thread>& of, Task task);  // `of` stays
  friend class SimProcess;

  const SimClock* const clock_;
  const std::shared_ptr<SimProcess::Thread> thread_;  // shared with the scheduler's tasks
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SCHEDULER_H_
