#include "sim/scheduler.h"

#include <algorithm>

namespace cairn::sim {

void Scheduler::At(MonotonicTime when, Task task) {
  std::uint32_t place = 0;
  if (free_.empty()) {
    place = static_cast<std::uint32_t>(tasks_.size());
    tasks_.push_back(std::move(task));
  } else {
    place = free_.back();
    free_.pop_back();
    tasks_[place] = std::move(task);
  }
  heap_.push_back({std::max(when, now_).ns, next_++, place});
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

bool Scheduler::RunOne() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), Later());
  const Due due = heap_.back();
  heap_.pop_back();
  now_ = {due.at};
  ++tasks_run_;
  Task task = std::move(tasks_[due.task]);
  tasks_[due.task] = nullptr;
  free_.push_back(due.task);
  std::move(task)();
  return true;
}

void Scheduler::RunUntil(MonotonicTime end, const std::function<void()>& after_each) {
  while (!heap_.empty() && heap_.front().at <= end.ns) {
    RunOne();
    if (after_each) after_each();
  }
  now_ = std::max(now_, end);
}

MonotonicTime SimClock::WhenItShows(MonotonicTime local) const {
  if (local == MonotonicTime::Max()) return local;
  const std::int64_t passed = local.ns - start_ns_;
  return {static_cast<std::int64_t>(__int128{passed} * 1'000'000 / (1'000'000 + drift_ppm_)) + 2};
}

// ---- Processes

struct SimProcess::Thread {
  SimProcess* process;  // null once it is dead
  Scheduler* scheduler;
  Pace pace;
  Duration slow_bound = Duration::max();
  std::function<void()> slow;
  std::deque<Task> queue;
  bool scheduled = false;
  bool running = false;
};

void SimProcess::Pause() { paused_ = true; }

void SimProcess::Resume() {
  paused_ = false;
  for (const auto& thread : threads_) {
    if (!thread->scheduled && !thread->queue.empty()) SimExecutor::Schedule(thread);
  }
}

void SimProcess::Kill() {
  for (const auto& thread : threads_) {
    thread->process = nullptr;
    thread->queue.clear();
  }
}

SimExecutor::SimExecutor(SimProcess* process, const Pace& pace)
    : clock_(process->clock_), thread_(std::make_shared<SimProcess::Thread>()) {
  thread_->process = process;
  thread_->scheduler = process->scheduler_;
  thread_->pace = pace;
  process->threads_.push_back(thread_);
}

void SimExecutor::Post(Task task) {
  if (thread_->process == nullptr) return;
  thread_->queue.push_back(std::move(task));
  if (!thread_->scheduled) Schedule(thread_);
}

void SimExecutor::Dispatch(Task task) {
  const bool idle = thread_->process != nullptr && !thread_->process->paused_ &&
                    !thread_->scheduled && !thread_->running && thread_->queue.empty();
  if (idle && thread_->scheduler->random().OneIn(1, 2)) {
    const std::shared_ptr<SimProcess::Thread> keep = thread_;  // The task may end its process.
    Run(keep, std::move(task));
  } else {
    Post(std::move(task));
  }
}

void SimExecutor::PostAt(MonotonicTime when, Task task) {
  if (thread_->process == nullptr) return;
  thread_->scheduler->At(clock_->WhenItShows(when),
                         [thread = thread_, task = std::move(task)]() mutable {
                           if (thread->process == nullptr) return;
                           thread->queue.push_back(std::move(task));
                           if (!thread->scheduled) Schedule(thread);
                         });
}

void SimExecutor::SetPace(const Pace& pace) { thread_->pace = pace; }

void SimExecutor::WatchSteps(Duration bound, std::function<void()> slow) {
  thread_->slow_bound = bound;
  thread_->slow = std::move(slow);
}

void SimExecutor::Schedule(const std::shared_ptr<SimProcess::Thread>& thread) {
  if (thread->process->paused_) return;  // Resume comes back here.
  thread->scheduled = true;
  const Pace& pace = thread->pace;
  Duration delay = thread->scheduler->Between(pace.least, pace.most);
  if (pace.slow_one_in != 0 && thread->scheduler->random().OneIn(1, pace.slow_one_in)) {
    delay = thread->scheduler->Between(delay, pace.slow_most);
  }
  if (delay > thread->slow_bound) thread->slow();
  thread->scheduler->After(delay, [thread] {
    thread->scheduled = false;
    if (thread->process == nullptr || thread->queue.empty() || thread->process->paused_) return;
    Task task = std::move(thread->queue.front());
    thread->queue.pop_front();
    Run(thread, std::move(task));
  });
}

void SimExecutor::Run(const std::shared_ptr<SimProcess::Thread>& of, Task task) {
  SimProcess::Thread* const thread = of.get();
  thread->running = true;
  std::move(task)();
  thread->running = false;
  const bool alive = thread->process != nullptr;
  if (alive && !thread->scheduled && !thread->queue.empty()) Schedule(of);
}

}  // namespace cairn::sim
