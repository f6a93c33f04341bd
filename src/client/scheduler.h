// Where a client's delayed work runs: retries after a wait, deadlines, callbacks.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_SCHEDULER_H_
#define CAIRN_SRC_CLIENT_SCHEDULER_H_

#include <cstdint>

#include "src/base/clock.h"
#include "src/base/executor.h"

namespace cairn::client {

// Names a timer; 0 names none.
using TimerId = std::uint64_t;

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  [[nodiscard]] virtual MonotonicTime Now() const = 0;
  // Runs the task soon, never inside the call.
  virtual void Post(Task task) = 0;
  // Runs the task at `when` or soon after.
  virtual TimerId AddTimer(MonotonicTime when, Task task) = 0;
  // The task will not run any more, unless it is running or has run.
  virtual void CancelTimer(TimerId timer) = 0;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_SCHEDULER_H_
