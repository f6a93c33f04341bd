#include "src/client/net/io_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "src/base/check.h"

namespace cairn::client {

IoLoop::IoLoop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CAIRN_CHECK(epoll_ >= 0 && wake_ >= 0, std::strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_;
  CAIRN_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0, std::strerror(errno));
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "cairn-client");
}

IoLoop::~IoLoop() {
  Stop();
  if (thread_.joinable()) thread_.join();
  close(wake_);
  close(epoll_);
}

void IoLoop::Wake() {
  const std::uint64_t one = 1;
  // A full counter wakes as well.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void IoLoop::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      posted_.push_back(std::move(task));
      if (posted_.size() == 1 && waking_at_ != 0) Wake();
      return;
    }
  }
  task();
}

TimerId IoLoop::AddTimer(MonotonicTime when, Task task) {
  MutexLock lock(&mutex_);
  const TimerId id = next_timer_++;
  timers_.emplace(std::make_pair(when.ns, id), std::move(task));
  timer_times_.emplace(id, when.ns);
  if (when.ns < waking_at_) Wake();
  return id;
}

void IoLoop::CancelTimer(TimerId timer) {
  Task task;  // destroyed without the lock
  MutexLock lock(&mutex_);
  const auto it = timer_times_.find(timer);
  if (it == timer_times_.end()) return;
  auto node = timers_.extract({it->second, timer});
  timer_times_.erase(it);
  if (node) task = std::move(node.mapped());
}

void IoLoop::Add(int fd, std::uint32_t events, std::shared_ptr<SocketHandler> handler) {
  {
    MutexLock lock(&mutex_);
    handlers_[fd] = std::move(handler);
  }
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  CAIRN_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, std::strerror(errno));
}

void IoLoop::Change(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  CAIRN_CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0, std::strerror(errno));
}

void IoLoop::Remove(int fd) {
  epoll_event event{};
  (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &event);
  std::shared_ptr<SocketHandler> handler;  // destroyed without the lock
  MutexLock lock(&mutex_);
  const auto it = handlers_.find(fd);
  if (it == handlers_.end()) return;
  handler = std::move(it->second);
  handlers_.erase(it);
}

MonotonicTime IoLoop::RunDue() {
  for (;;) {
    std::deque<Task> tasks;
    MonotonicTime next = MonotonicTime::Max();
    {
      MutexLock lock(&mutex_);
      waking_at_ = 0;
      tasks.swap(posted_);
      const std::int64_t now = clock_.Now().ns;
      while (!timers_.empty() && timers_.begin()->first.first <= now) {
        tasks.push_back(std::move(timers_.begin()->second));
        timer_times_.erase(timers_.begin()->first.second);
        timers_.erase(timers_.begin());
      }
      if (tasks.empty()) {
        if (stopping_) {
          stopped_ = true;
          return {0};
        }
        if (!timers_.empty()) next = {timers_.begin()->first.first};
        waking_at_ = next.ns;
        return next;
      }
    }
    for (Task& task : tasks) task();
  }
}

void IoLoop::Run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    const MonotonicTime next = RunDue();
    if (next.ns == 0) return;
    int wait_ms = -1;
    if (next != MonotonicTime::Max()) {
      const std::int64_t ns = std::max<std::int64_t>(next.ns - clock_.Now().ns, 0);
      wait_ms = static_cast<int>(std::min<std::int64_t>((ns + 999'999) / 1'000'000, INT_MAX));
    }
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == wake_) {
        std::uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t got = read(wake_, &ignored, sizeof(ignored));
        continue;
      }
      std::shared_ptr<SocketHandler> handler;
      {
        MutexLock lock(&mutex_);
        const auto it = handlers_.find(event.data.fd);
        if (it != handlers_.end()) handler = it->second;
      }
      if (handler) handler->OnEvents(event.events);
    }
  }
}

void IoLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    Wake();
  }
  if (thread_.get_id() == std::this_thread::get_id()) return;
  if (thread_.joinable()) thread_.join();
  std::map<std::pair<std::int64_t, TimerId>, Task> timers;  // destroyed without the lock
  MutexLock lock(&mutex_);
  timers.swap(timers_);
  timer_times_.clear();
}

}  // namespace cairn::client
