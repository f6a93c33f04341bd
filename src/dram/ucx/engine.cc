#include "src/dram/ucx/engine.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <string>
#include <utility>

#include "src/base/check.h"

namespace cairn::dram::ucx {
namespace {

// A busy engine looks at the descriptors (doors, not data) this often.
constexpr std::chrono::microseconds kFdInterval{500};
// How long after a caller's turn the thread leaves the driving to callers; with busy polling, they
// never stay away for long.
constexpr std::chrono::milliseconds kStandBack{20};
constexpr std::chrono::milliseconds kStandBackPolling{2};
// How long it dozes meanwhile: longer and longer while callers drive.
constexpr int kMinDozeMs = 1;
constexpr int kMaxDozeMs = 8;
// How long the thread drives after callers got into each other's way.
constexpr std::chrono::milliseconds kCrowded{10};
// How long after an endpoint came or went UCX may have something to do that no descriptor shows.
constexpr std::chrono::milliseconds kSettleTime{100};
// With busy polling, turns for each look at UCX while nothing of it is under way.
constexpr unsigned kSkippedTurns = 4;
// How long the driver looks out for the peers' next words before it sleeps, and while a large
// payload is on its way. A look at UCX or a socket is a system call, one at shared memory is not.
constexpr std::chrono::microseconds kLinger{20};
constexpr std::chrono::microseconds kLingerInTransfer{100};
constexpr unsigned kLooksEach = 16;
// A yield that takes so long has let somebody else run: there are more threads than processors.
constexpr std::chrono::microseconds kOthersRan{4};
constexpr unsigned kMaxTurnsOfOthers = 32;
// At most so many calls pass after an attempt in vain, as a power of two.
constexpr unsigned kMaxVain = 5;

thread_local const Engine* current_engine = nullptr;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void Ring(int event_fd) {
  const std::uint64_t one = 1;
  (void)!::write(event_fd, &one, sizeof(one));
}

void Silence(int event_fd) {
  std::uint64_t count = 0;
  (void)!::read(event_fd, &count, sizeof(count));
}

// What the kernel said to epoll_ctl.
Status Refused(int error) {
  const std::string hint = error == ENOSPC ? " (raise the sysctl fs.epoll.max_user_watches)" : "";
  return UnavailableError("a descriptor can't be waited for: " + std::string(std::strerror(error)) +
                          hint);
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(std::shared_ptr<Context> context, bool busy_poll) {
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<Worker> worker, Worker::Create(std::move(context)));
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int thread_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<std::uint64_t>(wake_fd);
  if (wake_fd < 0 || thread_fd < 0 ||
      ::epoll_ctl(worker->epoll_fd(), EPOLL_CTL_ADD, wake_fd, &event) != 0) {
    const Status status = UnavailableError(std::string("no descriptors for a progress engine: ") +
                                           std::strerror(errno));
    for (const int fd : {wake_fd, thread_fd}) {
      if (fd >= 0) ::close(fd);
    }
    return status;
  }
  return std::unique_ptr<Engine>(new Engine(std::move(worker), busy_poll, wake_fd, thread_fd));
}

Engine::Engine(std::unique_ptr<Worker> worker, bool busy_poll, int wake_fd, int thread_fd)
    : worker_(std::move(worker)),
      busy_poll_(busy_poll),
      epoll_fd_(worker_->epoll_fd()),
      wake_fd_(wake_fd),
      thread_fd_(thread_fd) {
  // The process's signals are not for this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Engine::~Engine() {
  CAIRN_CHECK(!OnEngine(), "a transport was destroyed by one of its own callbacks");
  stopping_.store(true);
  Post([] {});
  thread_.join();
  ::close(wake_fd_);
  ::close(thread_fd_);
}

void Engine::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
    has_posted_.store(true);
  }
  if (sleeping_.exchange(false)) {
    Ring(wake_fd_);
  } else if (!driven_.load()) {
    WakeThread();
  }
}

void Engine::WakeThread() {
  if (standing_back_.exchange(false)) Ring(thread_fd_);
}

void Engine::RunAndWait(Task task) {
  if (OnEngine()) {
    task();
    return;
  }
  std::promise<void> done;
  std::future<void> future = done.get_future();
  Post([&task, &done] {
    task();
    done.set_value();
  });
  future.wait();
}

bool Engine::OnEngine() const { return current_engine == this; }

bool Engine::TryDrive() {
  if (driven_.exchange(true, std::memory_order_acquire)) return false;
  current_engine = this;
  return true;
}

void Engine::StopDriving() {
  current_engine = nullptr;
  // In one order with has_posted_: see Post and LeaveTheRest.
  driven_.store(false);
}

bool Engine::Poll() {
  if (!busy_poll_ || current_engine != nullptr) return false;
  last_poll_ns_.store(clock_.Now().ns, std::memory_order_relaxed);
  if (!TryDrive()) return false;
  const bool worked = Turn() != 0;
  StopDriving();
  return worked;
}

bool Engine::RunInline(absl::AnyInvocable<void()> task) {
  if (current_engine != nullptr || has_posted_.load() || !TryDrive()) return false;
  const bool first = !has_posted_.load();
  in_inline_ = true;
  if (first) task();
  in_inline_ = false;
  StopDriving();
  // What was posted meanwhile found somebody who drives, and so may the thread have done.
  if (parked_.exchange(false) || has_posted_.load()) WakeThread();
  return first;
}

void Engine::Help(const std::function<bool()>& done) {
  if (current_engine != nullptr || (serves_.load() && !busy_poll_)) return;
  const bool alone = helpers_.fetch_add(1) == 0;
  const MonotonicTime now = clock_.Now();
  if (!alone) crowded_until_ns_.store((now + kCrowded).ns);
  if (busy_poll_) {
    while (!done() && !stopping_.load()) (void)Poll();
  } else if (now.ns < crowded_until_ns_.load() || !TryDrive()) {
    caller_waited_.store(true);
  } else {
    drives_.fetch_add(1);
    // What the caller has just sent needs no turn before the wait for its answer.
    for (unsigned did = 1; !done() && !stopping_.load(); did = Turn()) {
      if (MaySleep(did) && !Linger()) Sleep(&done);
    }
    last_poll_ns_.store(clock_.Now().ns, std::memory_order_relaxed);
    StopDriving();
    LeaveTheRest();
  }
  helpers_.fetch_sub(1);
}

// A sleep and a wake-up take longer than a peer that is awake takes to answer. It may need this
// processor for that: while it yields, this thread takes no time from anybody, and many who wait
// for each other take turns without a wake-up. Attempts that are in vain become rare.
bool Engine::Linger() {
  const bool shm = poller_ != nullptr && poller_->Count() > 0;
  const std::size_t sockets = sockets_ == nullptr ? 0 : sockets_->Count();
  if (!shm && sockets == 0 && endpoints_ == 0) return false;
  if (pause_ > 0) {
    --pause_;
    return false;
  }
  const bool in_transfer = ucx_operations_ > 0 || (sockets > 0 && sockets_->InTransfer());
  // Of this thread's own time.
  Duration left = in_transfer ? Duration(kLingerInTransfer) : Duration(kLinger);
  MonotonicTime looks_since = clock_.Now();
  if (!yield_gate_.Open(looks_since)) return false;
  for (unsigned turns_of_others = 0; turns_of_others <= kMaxTurnsOfOthers;) {
    if (LookOnce()) {
      vain_ = 0;
      return true;
    }
    const MonotonicTime yields = clock_.Now();
    left -= yields - looks_since;
    if (left <= Duration(0)) break;
    ::sched_yield();
    looks_since = clock_.Now();
    const Duration away = looks_since - yields;
    if (away <= kOthersRan) {
      left -= away;
      continue;
    }
    ++turns_of_others;
    if (away > YieldGate::kLong) {
      yield_gate_.Lost(away, looks_since);
      break;
    }
  }
  vain_ = std::min(vain_ + 1, kMaxVain);
  pause_ = 1U << vain_;
  return false;
}

bool Engine::LookOnce() {
  const bool shm = poller_ != nullptr && poller_->Count() > 0;
  for (unsigned i = 0; shm && i < kLooksEach; ++i) {
    if (has_posted_.load(std::memory_order_relaxed) || poller_->Poll() != 0) return true;
    Relax();
  }
  if (has_posted_.load(std::memory_order_relaxed)) return true;
  if (sockets_ != nullptr && sockets_->Count() > 0 &&
      (sockets_->LooksCheaply() ? sockets_->Look() != 0 : CheckFds(0))) {
    return true;
  }
  if (endpoints_ == 0) return false;
  armed_ = false;
  return ucp_worker_progress(worker_->get()) != 0;
}

void Engine::LeaveTheRest() {
  const bool parked = parked_.exchange(false);
  if (parked || calls_.load() > 0 || has_posted_.load()) WakeThread();
}

void Engine::Nudge() {
  if (!OnEngine() && sleeping_.exchange(false)) Ring(wake_fd_);
}

void Engine::Expect() {
  if (!driven_.load()) WakeThread();
}

void Engine::Loop() {
  pthread_setname_np(pthread_self(), "dram-ucx");
  while (!stopping_.load(std::memory_order_relaxed) || has_posted_.load()) {
    if (MayStandBack() || !TryDrive()) {
      StandBack();
      continue;
    }
    if (MaySleep(Turn()) && !busy_poll_) {
      // A caller that waits, and whose call is over, drives the next one itself.
      const bool answered = calls_.load() == 0;
      const bool make_way = answered && caller_waited_.load();
      const bool expects = serves_.load() || !answered;
      if (!make_way && !(expects && Linger())) Sleep(nullptr);
    }
    StopDriving();
  }
}

// On the thread, which does not drive.
bool Engine::MayStandBack() {
  if (has_posted_.load()) return false;
  const std::int64_t now = clock_.Now().ns;
  const std::int64_t last = last_poll_ns_.load(std::memory_order_relaxed);
  const Duration limit = busy_poll_ ? kStandBackPolling : kStandBack;
  const bool lately = now - last < limit.count();
  if (busy_poll_) return lately;
  if (calls_.load() != 0) return false;
  const bool waited = caller_waited_.exchange(false);
  return (lately || waited) && now >= crowded_until_ns_.load();
}

// Callers drive. A doze at a time, so that what nobody waits for is not noticed too late (Expect
// ends one); without an end while one and the same caller drives on. A thread that is woken for
// every call would take the drive from the next caller.
void Engine::StandBack() {
  standing_back_.store(true);
  const std::uint64_t drives = drives_.load();
  const bool others_drove = std::exchange(seen_drives_, drives) != drives;
  doze_ms_ = others_drove && !busy_poll_ ? std::min(2 * doze_ms_, kMaxDozeMs) : kMinDozeMs;
  int timeout_ms = doze_ms_;
  if (!busy_poll_ && !others_drove) {
    parked_.store(true);
    if (driven_.load()) {
      timeout_ms = -1;
    } else {
      parked_.store(false);
    }
  }
  pollfd wake{thread_fd_, POLLIN, 0};
  // In one order with Post, which looks whether anybody drives after it has posted.
  if (driven_.load() || !has_posted_.load()) (void)::poll(&wake, 1, timeout_ms);
  parked_.store(false);
  standing_back_.store(false);
  Silence(thread_fd_);
}

unsigned Engine::Turn() {
  if (!dropped_.empty()) std::exchange(dropped_, {}).clear();
  unsigned done = RunTasks() ? 1 : 0;
  if (poller_ != nullptr) done += poller_->Poll();
  if (busy_poll_ && sockets_ != nullptr && sockets_->Count() > 0) {
    done += sockets_->LooksCheaply() ? sockets_->Look() : static_cast<unsigned>(CheckFds(0));
  }
  done += Progress();
  if (RunTasks()) ++done;
  if (RunTimers()) ++done;
  if (const MonotonicTime now = clock_.Now(); now >= next_fd_check_) {
    next_fd_check_ = now + kFdInterval;
    if (!checked_fds_ && CheckFds(0)) ++done;
    checked_fds_ = false;
  }
  return done;
}

// A system call, if there is a TCP endpoint or listener, so not asked for without a reason.
unsigned Engine::Progress() {
  if (armed_) return 0;
  const bool calm = ucx_operations_ == 0 && clock_.Now() >= unsettled_until_;
  if (busy_poll_ && calm && ++skipped_ % kSkippedTurns != 0) return 0;
  return ucp_worker_progress(worker_->get());
}

void Engine::Unsettle() {
  unsettled_until_ = clock_.Now() + kSettleTime;
  armed_ = false;
}

// UCX wants its progress called until nothing happens. When all that it does is to take in and send
// off small messages at once, a single one can't leave anything behind, and the call that finds
// nothing is a system call less: what comes in meanwhile keeps the descriptor readable.
bool Engine::MaySleep(unsigned done) const {
  return done == 0 || (done == 1 && ucx_operations_ == 0 && clock_.Now() >= unsettled_until_);
}

bool Engine::RunTasks() {
  if (!has_posted_.load(std::memory_order_acquire)) return false;
  {
    MutexLock lock(&mutex_);
    running_.swap(posted_);
    has_posted_.store(false);
  }
  in_batch_ = running_.size() > 1;
  for (Task& task : running_) task();
  running_.clear();
  EndBatch();
  return true;
}

void Engine::EndBatch() {
  if (!std::exchange(in_batch_, false)) return;
  if (sockets_ != nullptr) sockets_->Flush();
}

bool Engine::RunTimers() {
  if (timers_.empty()) return false;
  const MonotonicTime now = clock_.Now();
  bool worked = false;
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
    worked = true;
  }
  return worked;
}

// UCX's protocol: progress until nothing happens, arm, and wait only if arming found nothing new.
void Engine::Sleep(const std::function<bool()>* done) {
  sleeping_.store(true);
  if (!has_posted_.load() && !stopping_.load() && (done == nullptr || !(*done)()) &&
      (poller_ == nullptr || poller_->FallAsleep())) {
    armed_ = armed_ || worker_->Arm();
    if (armed_) (void)CheckFds(SleepMs());
  }
  sleeping_.store(false);
}

int Engine::SleepMs() const {
  if (timers_.empty()) return -1;
  const std::int64_t ns = (timers_.begin()->first.first - clock_.Now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(ns / 1'000'000 + 1, 0, 60'000));
}

bool Engine::CheckFds(int timeout_ms) {
  checked_fds_ = true;
  std::array<epoll_event, 64> events;
  const int n = ::epoll_wait(epoll_fd_, events.data(), events.size(), timeout_ms);
  bool worked = false;
  in_batch_ = n > 1;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == Worker::kUcxEvent) {
      armed_ = false;
      continue;
    }
    const auto fd = static_cast<int>(event.data.u64);
    if (fd == wake_fd_) {
      Silence(wake_fd_);
      continue;
    }
    const auto it = fds_.find(fd);
    if (it == fds_.end()) continue;
    const std::shared_ptr<FdHandler> handler = it->second;
    (*handler)(event.events);
    worked = true;
  }
  EndBatch();
  return worked;
}

Engine::TimerId Engine::RunAt(MonotonicTime when, Task task) {
  const TimerId id{when, ++next_timer_};
  timers_.emplace(id, std::move(task));
  return id;
}

bool Engine::Control(int operation, int fd, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(fd);
  return ::epoll_ctl(epoll_fd_, operation, fd, &event) == 0;
}

Status Engine::AddFd(int fd, std::uint32_t events, FdHandler handler) {
  if (!Control(EPOLL_CTL_ADD, fd, events)) return Refused(errno);
  fds_[fd] = std::make_shared<FdHandler>(std::move(handler));
  return {};
}

Status Engine::ModifyFd(int fd, std::uint32_t events) {
  return Control(EPOLL_CTL_MOD, fd, events) ? Status() : Refused(errno);
}

void Engine::PauseFd(int fd, std::uint32_t events, Duration pause) {
  // If that is refused, its handler runs again and finds the same.
  if (ModifyFd(fd, 0).ok()) ResumeFd(fd, events, pause);
}

void Engine::ResumeFd(int fd, std::uint32_t events, Duration pause) {
  RunAt(Now() + pause, [this, fd, events, pause, same = std::weak_ptr<FdHandler>(fds_.at(fd))] {
    if (!same.expired() && !ModifyFd(fd, events).ok()) ResumeFd(fd, events, pause);
  });
}

void Engine::RemoveFd(int fd) {
  if (fds_.erase(fd) != 0) (void)::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace cairn::dram::ucx
