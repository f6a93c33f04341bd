#include "bench/dram/redis_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "bench/dram/socket.h"

namespace cairn::bench {
namespace {

Status Errno(const std::string& what) { return UnavailableError(what + ": " + strerror(errno)); }

}  // namespace

struct RedisLoop::Link {
  explicit Link(int socket) : fd(socket) {}
  ~Link() { ::close(fd); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const int fd;
  // Of the loop's thread.
  std::string input;
  std::string sending;  // that the socket has not taken yet
  bool watched_for_room = false;
  // Guarded by the loop's mutex.
  std::string output;
  std::deque<Done> waiting;  // for replies, in order
  bool dirty = false;
  Status broken;
};

Result<std::unique_ptr<RedisLoop>> RedisLoop::Create() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return Errno("epoll_create1");
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  if (wake < 0 || ::epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) != 0) {
    const Status status = Errno("eventfd");
    if (wake >= 0) ::close(wake);
    ::close(epoll);
    return status;
  }
  return std::unique_ptr<RedisLoop>(new RedisLoop(epoll, wake));
}

RedisLoop::RedisLoop(int epoll, int wake)
    : epoll_(epoll), wake_(wake), thread_([this] { Run(); }) {}

RedisLoop::~RedisLoop() {
  stopping_.store(true);
  Wake();
  thread_.join();
  ::close(wake_);
  ::close(epoll_);
}

Result<RedisLoop::Link*> RedisLoop::Connect(const SocketPeer& peer) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, ConnectTo(peer));
  auto link = std::make_unique<Link>(fd);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = link.get();
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return Errno("epoll_ctl");
  }
  MutexLock lock(&mutex_);
  links_.push_back(std::move(link));
  return links_.back().get();
}

void RedisLoop::Send(Link* link, std::initializer_list<std::string_view> command, Done done) {
  const Status broken = Queue(link, command, &done);
  if (!broken.ok()) done(broken);
}

Status RedisLoop::Queue(Link* link, std::initializer_list<std::string_view> command, Done* done) {
  bool wake = false;
  {
    MutexLock lock(&mutex_);
    if (!link->broken.ok()) return link->broken;
    AppendCommand(command, &link->output);
    link->waiting.push_back(std::move(*done));
    // The loop's thread sends what its callbacks leave here when it has served all of them.
    wake = dirty_.empty() && std::this_thread::get_id() != thread_.get_id();
    if (!std::exchange(link->dirty, true)) dirty_.push_back(link);
  }
  if (wake) Wake();
  return Status::Ok();
}

void RedisLoop::Wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof(one));
}

void RedisLoop::Run() {
  std::array<epoll_event, 128> events{};
  while (!stopping_.load()) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const link = static_cast<Link*>(events[i].data.ptr);
      if (link != nullptr) {
        OnEvent(link, (events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0);
      } else {
        std::uint64_t wakes = 0;
        (void)!::read(wake_, &wakes, sizeof(wakes));
      }
    }
    Flush();
  }
}

void RedisLoop::OnEvent(Link* link, bool readable) {
  if (readable) {
    const ssize_t n = ::recv(link->fd, buffer_.data(), buffer_.size(), 0);
    const bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
    const Status failed = n < 0 && !later ? Errno("receive") : Status();
    if (n > 0) link->input.append(buffer_.data(), static_cast<std::size_t>(n));
    if (!failed.ok()) return Break(link, failed);
    if (n == 0) return Break(link, UnavailableError("the server hung up"));
    const Status status = Replies(link);
    if (!status.ok()) return Break(link, status);
  }
  if (!link->sending.empty()) FlushOne(link);
}

Status RedisLoop::Replies(Link* link) {
  std::size_t begin = 0;
  while (begin < link->input.size()) {
    RespReply reply;
    CAIRN_ASSIGN_OR_RETURN(const std::size_t size,
                           ReadReply(std::string_view(link->input).substr(begin), &reply));
    if (size == 0) break;
    begin += size;
    Done done;
    {
      MutexLock lock(&mutex_);
      if (link->waiting.empty()) return CorruptionError("redis answered what nobody asked");
      done = std::move(link->waiting.front());
      link->waiting.pop_front();
    }
    done(reply);
  }
  link->input.erase(0, begin);
  return Status::Ok();
}

void RedisLoop::Flush() {
  std::vector<Link*> dirty;
  {
    MutexLock lock(&mutex_);
    dirty.swap(dirty_);
    for (Link* link : dirty) {
      link->dirty = false;
      link->sending += std::exchange(link->output, {});
    }
  }
  for (Link* link : dirty) FlushOne(link);
}

void RedisLoop::FlushOne(Link* link) {
  while (!link->sending.empty()) {
    const ssize_t n = ::send(link->fd, link->sending.data(), link->sending.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return Break(link, Errno("send"));
    if (n < 0) break;
    link->sending.erase(0, static_cast<std::size_t>(n));
  }
  Watch(link, !link->sending.empty());
}

void RedisLoop::Watch(Link* link, bool writable) {
  if (std::exchange(link->watched_for_room, writable) == writable) return;
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0U);
  event.data.ptr = link;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, link->fd, &event) != 0) Break(link, Errno("epoll_ctl"));
}

void RedisLoop::Break(Link* link, const Status& status) {
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, link->fd, nullptr);
  link->sending.clear();
  std::deque<Done> waiting;
  {
    MutexLock lock(&mutex_);
    link->broken = status;
    link->output.clear();
    waiting.swap(link->waiting);
  }
  for (const Done& done : waiting) done(status);
}

}  // namespace cairn::bench
