#include "sim/scheduler.h"

#include <algorithm>

namespace cairn::sim {

void Scheduler::At(MonotonicTime when, Task task) {
  tasks_.emplace(std::pair(std::max(when, now_).ns, next_++), std::move(task));
}

bool Scheduler::RunOne() {
  if (tasks_.empty()) return false;
  auto first = tasks_.extract(tasks_.begin());
  now_ = {first.key().first};
  ++tasks_run_;
  std::move(first.mapped())();
  return true;
}

void Scheduler::RunUntil(MonotonicTime end) {
  while (!tasks_.empty() && tasks_.begin()->first.first <= end.ns) RunOne();
  now_ = std::max(now_, end);
}

void SimExecutor::Post(Task task) {
  if (state_->dead) return;
  state_->queue.push_back(std::move(task));
  if (!state_->scheduled) Schedule(state_);
}

void SimExecutor::PostAt(MonotonicTime when, Task task) {
  if (state_->dead) return;
  state_->scheduler->At(when, [state = state_, task = std::move(task)]() mutable {
    if (state->dead) return;
    state->queue.push_back(std::move(task));
    if (!state->scheduled) Schedule(state);
  });
}

void SimExecutor::Schedule(const std::shared_ptr<State>& state) {
  state->scheduled = true;
  const Pace& pace = state->pace;
  Duration delay = state->scheduler->Between(pace.least, pace.most);
  if (pace.slow_one_in != 0 && state->scheduler->random().OneIn(1, pace.slow_one_in)) {
    delay = state->scheduler->Between(delay, pace.slow_most);
  }
  state->scheduler->After(delay, [state] {
    state->scheduled = false;
    if (state->dead || state->queue.empty()) return;
    Task task = std::move(state->queue.front());
    state->queue.pop_front();
    std::move(task)();
    if (!state->dead && !state->scheduled && !state->queue.empty()) Schedule(state);
  });
}

void SimExecutor::Kill() {
  state_->dead = true;
  state_->queue.clear();
}

}  // namespace cairn::sim
