// One thread for all the connections of a client: waits on sockets (epoll), runs timers and posted
// tasks.
//
// Thread safety: all methods from any thread, but as said. Handlers, timers and tasks run on the
// loop's thread.
#ifndef CAIRN_SRC_CLIENT_NET_IO_LOOP_H_
#define CAIRN_SRC_CLIENT_NET_IO_LOOP_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/client/scheduler.h"

namespace cairn::client {

// What a socket has to say.
class SocketHandler {
 public:
  virtual ~SocketHandler() = default;
  // `events` as of epoll.
  virtual void OnEvents(std::uint32_t events) = 0;
};

class IoLoop final : public Scheduler {
 public:
  IoLoop();
  ~IoLoop() override;

  [[nodiscard]] MonotonicTime Now() const override { return clock_.Now(); }
  // After Stop the task runs inside the call.
  void Post(Task task) override;
  // After Stop the timer never runs.
  TimerId AddTimer(MonotonicTime when, Task task) override;
  void CancelTimer(TimerId timer) override;

  // Watches a socket; the loop holds the handler until Remove. Change and Remove take effect at
  // once, but events already taken may still be delivered.
  void Add(int fd, std::uint32_t events, std::shared_ptr<SocketHandler> handler);
  void Change(int fd, std::uint32_t events);
  void Remove(int fd);

  // Runs what is posted, drops the timers, joins the thread. Idempotent. Called on the loop's own
  // thread it only asks for the end, and the destructor must run on another.
  void Stop();

 private:
  void Run();
  // Runs posted tasks and timers that are due; when the next timer is.
  MonotonicTime RunDue();
  void Wake();

  const SystemClock clock_;
  int epoll_ = -1;
  int wake_ = -1;
  Mutex mutex_;
  std::deque<Task> posted_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::int64_t, TimerId>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<TimerId, std::int64_t> timer_times_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<int, std::shared_ptr<SocketHandler>> handlers_ ABSL_GUARDED_BY(mutex_);
  TimerId next_timer_ ABSL_GUARDED_BY(mutex_) = 1;
  // When the loop wakes up by itself; an earlier timer must wake it.
  std::int64_t waking_at_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_NET_IO_LOOP_H_
