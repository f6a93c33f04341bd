// The progress engine of one UCX worker: whoever drives it runs posted tasks, UCX's progress,
// timers and ready descriptors, in turns. It has a thread of its own for that, which sleeps on the
// worker's event descriptor when there is nothing to do. With busy polling it spins instead, and a
// caller that waits for something may drive the engine itself (Poll); the thread then stands back.
//
// One thread at a time drives; that is the only exclusion there is, no lock is held meanwhile, and
// whatever the engine runs may post more. "On the engine" means: inside something that it runs.
//
// Thread safety: functions marked (any thread) may be called from anywhere, the rest on the engine.
#ifndef CAIRN_SRC_DRAM_UCX_ENGINE_H_
#define CAIRN_SRC_DRAM_UCX_ENGINE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/dram/ucx/ucx.h"

namespace cairn::dram::ucx {

class Engine {
 public:
  // Named by when it is due and a number that is never reused.
  using TimerId = std::pair<MonotonicTime, std::uint64_t>;
  using FdHandler = absl::AnyInvocable<void(std::uint32_t events)>;

  static Result<std::unique_ptr<Engine>> Create(std::shared_ptr<Context> context, bool busy_poll);
  // Runs what is posted, then ends the thread. Timers are dropped. Not on the engine.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs the task soon, after those that were posted before; never inside the call. (any thread)
  void Post(Task task);
  // Runs the task and returns when it is done; at once when called on the engine. (any thread)
  void RunAndWait(Task task);
  // Drives the engine for one turn, if busy polling is on and nobody else drives. True if anything
  // happened. (any thread)
  bool Poll();
  // (any thread)
  [[nodiscard]] bool OnEngine() const;
  [[nodiscard]] MonotonicTime Now() const { return clock_.Now(); }
  [[nodiscard]] Worker& worker() { return *worker_; }

  TimerId RunAt(MonotonicTime when, Task task);
  void Cancel(const TimerId& timer) { timers_.erase(timer); }

  // Calls `handler` with epoll's events while `fd` has any of `events`, until RemoveFd. The
  // descriptor stays the caller's.
  void AddFd(int fd, std::uint32_t events, FdHandler handler);
  void ModifyFd(int fd, std::uint32_t events);
  void RemoveFd(int fd);

 private:
  Engine(std::unique_ptr<Worker> worker, bool busy_poll);
  void Loop();
  bool Turn();
  bool RunTasks();
  bool RunTimers();
  bool CheckFds(int timeout_ms);
  void Sleep();
  void StandBack();
  [[nodiscard]] int SleepMs() const;
  bool TryDrive();
  void StopDriving();

  const SystemClock clock_;
  const std::unique_ptr<Worker> worker_;
  const bool busy_poll_;
  const int epoll_fd_;
  const int wake_fd_;

  std::atomic<bool> driven_{false};
  // When a caller last drove, in nanoseconds.
  std::atomic<std::int64_t> last_poll_ns_{INT64_MIN / 2};
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};

  Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> has_posted_{false};

  // On the engine only.
  std::vector<Task> running_;
  std::map<TimerId, Task> timers_;
  std::uint64_t next_timer_ = 0;
  MonotonicTime next_fd_check_;
  // Shared, so that a handler may remove itself.
  absl::flat_hash_map<int, std::shared_ptr<FdHandler>> fds_;

  std::thread thread_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_ENGINE_H_
