// Where work runs. Components post tasks instead of starting threads, so that the simulator can run
// the same components on one thread in virtual time.
#ifndef CAIRN_SRC_BASE_EXECUTOR_H_
#define CAIRN_SRC_BASE_EXECUTOR_H_

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "src/base/clock.h"
#include "src/base/mutex.h"

namespace cairn {

// A piece of work, run once. Move-only.
using Task = absl::AnyInvocable<void()>;

// Runs tasks one at a time, in the order they were posted. State that only tasks of one serial
// executor touch needs no lock. Thread safe.
class SerialExecutor {
 public:
  virtual ~SerialExecutor() = default;
  // Never blocks and never runs the task inside the call.
  virtual void Post(Task task) = 0;
  // Runs the task at `when` (of the clock that belongs to this executor) or soon after. A timer
  // can't be cancelled: let the task find out that it is no longer wanted.
  virtual void PostAt(MonotonicTime when, Task task) = 0;
};

// A SerialExecutor on a thread of its own. The destructor runs Stop().
class ThreadExecutor final : public SerialExecutor {
 public:
  // `name` (15 characters at most) is shown by debuggers; `clock` must outlive the executor and
  // must be the machine's.
  ThreadExecutor(std::string name, const Clock* clock);
  ~ThreadExecutor() override;

  void Post(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;

  // Runs what is queued, drops timers that are not due, joins the thread. Idempotent. Tasks posted
  // afterwards are dropped. Must not be called from a task of this executor.
  void Stop();

  // True on this executor's own thread.
  [[nodiscard]] bool OnThread() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  void Run();

  const Clock* const clock_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> ready_ ABSL_GUARDED_BY(mutex_);
  // Keyed by (due time, order of posting).
  std::map<std::pair<std::int64_t, std::uint64_t>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_EXECUTOR_H_
