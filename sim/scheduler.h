// Virtual time: one queue of tasks, run in the order of their times on one thread. The same seed
// gives the same run on every machine.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_SCHEDULER_H_
#define CAIRN_SIM_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "src/base/clock.h"
#include "src/base/executor.h"

namespace cairn::sim {

class Scheduler {
 public:
  explicit Scheduler(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] MonotonicTime now() const { return now_; }
  // The one source of chance of the whole simulation.
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
  // Runs tasks until none is left that is due by `end`, then sets the time to `end`.
  void RunUntil(MonotonicTime end);
  // Runs the next task. False if there is none.
  bool RunOne();

  [[nodiscard]] std::uint64_t tasks_run() const { return tasks_run_; }

 private:
  SeededRandom random_;
  MonotonicTime now_{0};
  std::uint64_t next_ = 0;
  std::uint64_t tasks_run_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, Task> tasks_;
};

// The clock of one simulated machine. Its wall clock can be stepped.
class SimClock final : public Clock {
 public:
  explicit SimClock(const Scheduler* scheduler) : scheduler_(scheduler) {}
  [[nodiscard]] MonotonicTime Now() const override { return scheduler_->now(); }
  [[nodiscard]] WallTime Wall() const override {
    return {kStartUs + scheduler_->now().ns / 1000 + offset_us_};
  }
  void StepWall(Duration by) {
    offset_us_ += std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  }

 private:
  static constexpr std::int64_t kStartUs = 1'700'000'000'000'000;
  const Scheduler* const scheduler_;
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

// A SerialExecutor in virtual time. Kill() drops everything that is queued, as the end of a process
// does; the executor must then not be used again.
class SimExecutor final : public SerialExecutor {
 public:
  SimExecutor(Scheduler* scheduler, const Pace& pace)
      : state_(std::make_shared<State>(State{scheduler, pace, {}, false, false})) {}
  ~SimExecutor() override { Kill(); }

  void Post(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;
  void Kill();

 private:
  struct State {
    Scheduler* scheduler;
    Pace pace;
    std::deque<Task> queue;
    bool scheduled;
    bool dead;
  };
  static void Schedule(const std::shared_ptr<State>& state);

  // Shared with the scheduler's tasks, which may outlive the executor.
  const std::shared_ptr<State> state_;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SCHEDULER_H_
