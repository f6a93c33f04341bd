// The progress engine of one UCX worker: whoever drives it runs posted tasks, UCX's progress,
// timers and ready descriptors, in turns. It has a thread of its own for that, which sleeps on the
// worker's event descriptor when there is nothing to do. With busy polling it spins instead.
//
// A caller that waits for an answer may drive the engine itself, which saves two hops between
// threads for each answer: Help, and Poll with busy polling. The thread then stands back:
//
//   drives --no call in flight, and a caller has waited lately--> stands back
//   stands back --no caller drives any more, or one that leaves has work left over--> drives
//
// Several callers that wait at once leave the driving to the thread, as does an engine that serves
// (Serve): its requests come whether anybody waits or not.
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
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/dram/ucx/ucx.h"
#include "src/dram/ucx/yield_gate.h"

namespace cairn::dram::ucx {

// Something besides UCX that brings work and has no descriptor to wait for while it is awake.
class Poller {
 public:
  virtual ~Poller() = default;
  // Does what there is to do; how much that was. Cheap if there is nothing.
  virtual unsigned Poll() = 0;
  // How many peers Poll looks after. With 0 it finds nothing for as long as nobody is added.
  [[nodiscard]] virtual std::size_t Count() const = 0;
  // True: from now on a descriptor shows when there is something to do. False: there is already.
  virtual bool FallAsleep() = 0;
};

// Sockets that bring work. While nobody looks at them, their descriptors are waited for.
class SocketPoller {
 public:
  virtual ~SocketPoller() = default;
  // Takes in what is there; how much that was. A system call for each socket.
  virtual unsigned Look() = 0;
  // Sends what was put off while a batch ran, see Engine::InBatch.
  virtual void Flush() = 0;
  // How many peers there are.
  [[nodiscard]] virtual std::size_t Count() const = 0;
  // Part of something large has come, and the rest of it is on its way.
  [[nodiscard]] virtual bool InTransfer() const = 0;
  // Look finds all that there is to do, with few system calls.
  [[nodiscard]] virtual bool LooksCheaply() const = 0;
};

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
  // Runs the task at once, on this thread, if nobody drives and nothing was posted before. False if
  // it was not run. The task must not call anybody's callbacks. (any thread)
  bool RunInline(absl::AnyInvocable<void()> task);
  // Drives until `done` says true, unless somebody else does already; sleeps meanwhile as the
  // thread would. Returns early if others wait too. (any thread)
  void Help(const std::function<bool()>& done);
  // Has a caller inside Help look at its `done`. (any thread)
  void Nudge();
  // Somebody waits outside of Help for what a call brings: the thread looks out for it, if nobody
  // drives. (any thread)
  void Expect();
  // Operations that UCX has begun and not ended. While there are any, its progress is called until
  // nothing happens before anybody sleeps. (on the engine)
  void CountUcx(int change) {
    ucx_operations_ += change;
    armed_ = false;
  }
  // The same for a while: endpoints come or go. (on the engine)
  void Unsettle();
  // Endpoints that are there: without any, nobody looks out for UCX. (on the engine)
  void CountEndpoints(int change) { endpoints_ += change; }
  // On the engine, or before anybody else knows it; for the rest of its life.
  void SetPoller(Poller* poller) { poller_ = poller; }
  void SetSockets(SocketPoller* sockets) { sockets_ = sockets; }
  // Ready descriptors or tasks are being gone through, and SocketPoller::Flush follows: what is
  // sent now may wait for what the next of them sends. (on the engine)
  [[nodiscard]] bool InBatch() const { return in_batch_; }
  // Drops a pin, which may run code of its owner's: at once, or at the next turn if this is inside
  // RunInline, whose caller may hold a lock. (on the engine)
  void Drop(std::shared_ptr<const void> pin) {
    if (in_inline_) dropped_.push_back(std::move(pin));
  }
  // From now on the thread always drives: what comes in can't wait for a caller.
  void Serve() { serves_.store(true); }
  // Calls have begun or ended: the thread does not stand back while there are any.
  void CountCalls(std::int64_t change) { calls_.fetch_add(change); }
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
  // descriptor stays the caller's. kUnavailable if the kernel watches no more descriptors
  // (fs.epoll.max_user_watches), or not such a one.
  Status AddFd(int fd, std::uint32_t events, FdHandler handler);
  // Waits for other events from now on. kUnavailable if the kernel refuses.
  Status ModifyFd(int fd, std::uint32_t events);
  // Stops looking for a while, then looks for `events` again, unless the descriptor was removed.
  void PauseFd(int fd, std::uint32_t events, Duration pause);
  void RemoveFd(int fd);

 private:
  // Takes over both descriptors.
  Engine(std::unique_ptr<Worker> worker, bool busy_poll, int wake_fd, int thread_fd);
  void Loop();
  // How much was done.
  unsigned Turn();
  unsigned Progress();
  // Sleeping is fine after a turn that has done so much.
  [[nodiscard]] bool MaySleep(unsigned done) const;
  bool RunTasks();
  bool RunTimers();
  bool CheckFds(int timeout_ms);
  void EndBatch();
  void ResumeFd(int fd, std::uint32_t events, Duration pause);
  // epoll_ctl. False: errno says why.
  [[nodiscard]] bool Control(int operation, int fd, std::uint32_t events) const;
  void Sleep(const std::function<bool()>* done);
  // Looks out for the peers' next words for a moment, if that has paid lately. True if something
  // came, so that a turn is due.
  bool Linger();
  // Looks for all that might have come; true if something did.
  bool LookOnce();
  // (the thread, which does not drive) Until there is a reason to drive.
  void StandBack();
  void WakeThread();
  [[nodiscard]] bool MayStandBack();
  [[nodiscard]] int SleepMs() const;
  bool TryDrive();
  void StopDriving();
  // After StopDriving by a caller: the thread is told if there is work left.
  void LeaveTheRest();

  const SystemClock clock_;
  const std::unique_ptr<Worker> worker_;
  const bool busy_poll_;
  const int epoll_fd_;
  const int wake_fd_;    // wakes who drives
  const int thread_fd_;  // wakes the thread while it stands back

  std::atomic<bool> driven_{false};
  // The thread stands back; whoever clears it writes to thread_fd_.
  std::atomic<bool> standing_back_{false};
  // It does so until a caller that drives has left.
  std::atomic<bool> parked_{false};
  // Counts the times that callers began to drive.
  std::atomic<std::uint64_t> drives_{0};
  std::atomic<bool> serves_{false};
  // A caller would have liked to drive, and found that it could not.
  std::atomic<bool> caller_waited_{false};
  // Until then the thread drives, because several callers waited at once; in nanoseconds.
  std::atomic<std::int64_t> crowded_until_ns_{INT64_MIN / 2};
  std::atomic<int> helpers_{0};
  std::atomic<std::int64_t> calls_{0};
  // When a caller last drove, in nanoseconds.
  std::atomic<std::int64_t> last_poll_ns_{INT64_MIN / 2};
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};

  Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> has_posted_{false};

  // On the thread only: drives_ when it last stood back, and for how long.
  std::uint64_t seen_drives_ = 0;
  int doze_ms_ = 1;

  // On the engine only.
  std::vector<Task> running_;
  std::map<TimerId, Task> timers_;
  std::uint64_t next_timer_ = 0;
  int ucx_operations_ = 0;
  int endpoints_ = 0;
  // UCX's descriptor will show if there is anything to do; nothing has touched UCX since.
  bool armed_ = false;
  unsigned skipped_ = 0;
  // Vain attempts of Linger in a row, and how many calls to let pass before the next one.
  unsigned vain_ = 0;
  unsigned pause_ = 0;
  YieldGate yield_gate_;
  Poller* poller_ = nullptr;
  SocketPoller* sockets_ = nullptr;
  bool in_batch_ = false;
  bool in_inline_ = false;
  std::vector<std::shared_ptr<const void>> dropped_;
  MonotonicTime unsettled_until_;
  MonotonicTime next_fd_check_;
  // Since it was set last.
  bool checked_fds_ = false;
  // Shared, so that a handler may remove itself.
  absl::flat_hash_map<int, std::shared_ptr<FdHandler>> fds_;

  std::thread thread_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_ENGINE_H_
