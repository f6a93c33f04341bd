#include "src/dram/ucx/engine.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <future>

#include "src/base/check.h"

namespace cairn::dram::ucx {
namespace {

// A busy engine looks at the descriptors (doors, not data) this often.
constexpr std::chrono::microseconds kFdInterval{500};
// How long after a caller's turn the thread leaves the driving to callers, and how long it dozes.
constexpr std::chrono::milliseconds kStandBack{2};
constexpr int kStandBackMs = 1;

thread_local const Engine* current_engine = nullptr;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(std::shared_ptr<Context> context, bool busy_poll) {
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<Worker> worker, Worker::Create(std::move(context)));
  return std::unique_ptr<Engine>(new Engine(std::move(worker), busy_poll));
}

Engine::Engine(std::unique_ptr<Worker> worker, bool busy_poll)
    : worker_(std::move(worker)),
      busy_poll_(busy_poll),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CAIRN_CHECK(epoll_fd_ >= 0 && wake_fd_ >= 0, "no descriptors left for a progress engine");
  for (const int fd : {worker_->event_fd(), wake_fd_}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    CAIRN_CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
  }
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
  ::close(epoll_fd_);
  ::close(wake_fd_);
}

void Engine::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
    has_posted_.store(true);
  }
  if (sleeping_.exchange(false)) {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof(one));
  }
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
  driven_.store(false, std::memory_order_release);
}

bool Engine::Poll() {
  if (!busy_poll_ || OnEngine()) return false;
  last_poll_ns_.store(clock_.Now().ns, std::memory_order_relaxed);
  if (!TryDrive()) return false;
  const bool worked = Turn();
  StopDriving();
  return worked;
}

void Engine::Loop() {
  pthread_setname_np(pthread_self(), "dram-ucx");
  while (!stopping_.load(std::memory_order_relaxed) || has_posted_.load()) {
    if (busy_poll_ && clock_.Now().ns - last_poll_ns_.load(std::memory_order_relaxed) <
                          std::chrono::nanoseconds(kStandBack).count()) {
      StandBack();
      continue;
    }
    if (!TryDrive()) continue;
    if (!Turn() && !busy_poll_) Sleep();
    StopDriving();
  }
}

// Callers drive: what they would notice late (a task of nobody who waits) is seen after a doze.
void Engine::StandBack() {
  pollfd wake{wake_fd_, POLLIN, 0};
  (void)::poll(&wake, 1, kStandBackMs);
  if (!TryDrive()) return;
  (void)Turn();
  StopDriving();
}

bool Engine::Turn() {
  bool worked = RunTasks();
  if (ucp_worker_progress(worker_->get()) != 0) worked = true;
  if (RunTasks()) worked = true;
  if (RunTimers()) worked = true;
  if (const MonotonicTime now = clock_.Now(); now >= next_fd_check_) {
    next_fd_check_ = now + kFdInterval;
    if (CheckFds(0)) worked = true;
  }
  return worked;
}

bool Engine::RunTasks() {
  if (!has_posted_.load(std::memory_order_acquire)) return false;
  {
    MutexLock lock(&mutex_);
    running_.swap(posted_);
    has_posted_.store(false);
  }
  for (Task& task : running_) task();
  running_.clear();
  return true;
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
void Engine::Sleep() {
  sleeping_.store(true);
  if (!has_posted_.load() && !stopping_.load() && worker_->Arm()) {
    (void)CheckFds(SleepMs());
  }
  sleeping_.store(false);
}

int Engine::SleepMs() const {
  if (timers_.empty()) return -1;
  const std::int64_t ns = (timers_.begin()->first.first - clock_.Now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(ns / 1'000'000 + 1, 0, 60'000));
}

bool Engine::CheckFds(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int n = ::epoll_wait(epoll_fd_, events.data(), events.size(), timeout_ms);
  bool worked = false;
  for (int i = 0; i < n; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == worker_->event_fd()) continue;
    if (fd == wake_fd_) {
      std::uint64_t count = 0;
      (void)!::read(wake_fd_, &count, sizeof(count));
      continue;
    }
    const auto it = fds_.find(fd);
    if (it == fds_.end()) continue;
    const std::shared_ptr<FdHandler> handler = it->second;
    (*handler)(events[static_cast<std::size_t>(i)].events);
    worked = true;
  }
  return worked;
}

Engine::TimerId Engine::RunAt(MonotonicTime when, Task task) {
  const TimerId id{when, ++next_timer_};
  timers_.emplace(id, std::move(task));
  return id;
}

void Engine::AddFd(int fd, std::uint32_t events, FdHandler handler) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  CAIRN_CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
  fds_[fd] = std::make_shared<FdHandler>(std::move(handler));
}

void Engine::ModifyFd(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  CAIRN_CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Engine::RemoveFd(int fd) {
  if (fds_.erase(fd) != 0) (void)::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace cairn::dram::ucx
