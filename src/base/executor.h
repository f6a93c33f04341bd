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
  // Runs the task inside the call if the executor has nothing to do, else as Post does; whoever
  // runs one inside a call may then run a few that others dispatched meanwhile. Saves a switch of
  // threads where one task hands over to another. Order and exclusion are those of Post: what was
  // posted before has run, and nothing else of this executor runs meanwhile. The caller must hold
  // no lock that such tasks may take, and must bear the time that they take.
  virtual void Dispatch(Task task) { Post(std::move(task)); }
  // Runs the task at `when` (of the clock that belongs to this executor) or soon after. A timer
  // can't be cancelled: let the task find out that it is no longer wanted.
  virtual void PostAt(MonotonicTime when, Task task) = 0;
};

// A SerialExecutor on a thread of its own, or, for Dispatch, on the caller's while that thread
// sleeps. The destructor runs Stop().
class ThreadExecutor final : public SerialExecutor {
 public:
  // `name` (15 characters at most) is shown by debuggers; `clock` must outlive the executor and
  // must be the machine's.
  ThreadExecutor(std::string name, const Clock* clock);
  ~ThreadExecutor() override;

  void Post(Task task) override;
  void Dispatch(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;

  // Runs what is queued, drops timers that are not due, joins the thread. Idempotent. Tasks posted
  // afterwards are dropped. Must not be called from a task of this executor.
  void Stop();

  // True on this executor's own thread.
  [[nodiscard]] bool OnThread() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  struct Ready {
    Task task;
    bool dispatched = false;  // may run on the thread of another call of Dispatch
  };

  void Run();
  // Returns with something in ready_, or false when it is time to end.
  bool Await() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True if the thread sleeps and would sleep through something: then the caller signals wake_.
  bool MustWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock* const clock_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Ready> ready_ ABSL_GUARDED_BY(mutex_);
  // Keyed by (due time, order of posting).
  std::map<std::pair<std::int64_t, std::uint64_t>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;  // asleep, and not on its way
  bool lent_ ABSL_GUARDED_BY(mutex_) = false;     // a caller of Dispatch runs its task
  // Until when the thread sleeps; Max(): until it is woken.
  std::int64_t sleeps_until_ ABSL_GUARDED_BY(mutex_) = INT64_MAX;
  std::thread thread_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_EXECUTOR_H_
