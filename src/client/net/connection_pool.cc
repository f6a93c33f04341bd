#include "src/client/net/connection_pool.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cairn::client {
namespace {

std::chrono::steady_clock::time_point ToSteady(MonotonicTime time) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(time.ns));
}

}  // namespace

Result<std::vector<SocketAddress>> ResolveHost(const Endpoint& endpoint, bool numeric_only) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) {
    return UnavailableError("the host of " + endpoint.ToString() +
                            " can't be looked up: " + gai_strerror(error));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
    addresses.push_back(
        {std::string(reinterpret_cast<const char*>(it->ai_addr), it->ai_addrlen), it->ai_family});
  }
  freeaddrinfo(found);
  return addresses;
}

// A call on its way to a connection and then on it.
class ConnectionPool::PoolCall final : public Call {
 public:
  PoolCall(std::string frame, MonotonicTime deadline, bool driven, FramedConnection::Done done)
      : frame_(std::move(frame)), deadline_(deadline), driven_(driven), done_(std::move(done)) {}

  // Puts the call on a connection. False if that did not take it.
  bool PlaceOn(const std::shared_ptr<FramedConnection>& connection, IoLoop* loop) {
    MutexLock lock(&mutex_);
    if (ended_ || pending_) return true;
    std::shared_ptr<FramedConnection::Pending> pending =
        connection->Send(&frame_, deadline_, driven_, &done_);
    if (!pending) return false;
    pending_ = std::move(pending);
    connection_ = connection;
    frame_.clear();
    if (timer_ != 0) loop->CancelTimer(timer_);
    changed_.SignalAll();
    return true;
  }

  // Ends a call that is on no connection.
  void Fail(const Status& status, IoLoop* loop) {
    FramedConnection::Done done;
    {
      MutexLock lock(&mutex_);
      if (ended_ || pending_) return;
      ended_ = true;
      if (timer_ != 0) loop->CancelTimer(timer_);
      if (driven_) {
        failure_ = status;
        changed_.SignalAll();
        return;
      }
      done = std::move(done_);
    }
    loop->Post([done = std::move(done), status]() mutable { done(status); });
  }

  void SetTimer(TimerId timer) {
    MutexLock lock(&mutex_);
    timer_ = timer;
  }
  [[nodiscard]] MonotonicTime deadline() const { return deadline_; }
  [[nodiscard]] bool driven() const { return driven_; }

  void Abandon() override {
    std::shared_ptr<FramedConnection> connection;
    FramedConnection::Done unwanted;
    {
      MutexLock lock(&mutex_);
      if (!pending_) {
        ended_ = true;
        unwanted = std::move(done_);
        changed_.SignalAll();
        return;
      }
      connection = connection_;
    }
    connection->Abandon(pending_);
  }

  bool Drive() override {
    FramedConnection::Done done;
    Status failure;
    {
      MutexLock lock(&mutex_);
      while (!pending_ && !ended_) {
        if (changed_.WaitUntil(&mutex_, ToSteady(deadline_)) || pending_ || ended_) continue;
        ended_ = true;
        failure_ = TimeoutError("no connection could be made in time");
      }
      if (!pending_) {
        done = std::move(done_);
        failure = failure_;
      }
    }
    if (pending_) {
      connection_->Drive(pending_);
    } else if (done) {
      done(std::move(failure));
    }
    return true;
  }

 private:
  std::string frame_;
  const MonotonicTime deadline_;
  const bool driven_;
  Mutex mutex_;
  CondVar changed_;
  FramedConnection::Done done_;
  bool ended_ = false;
  TimerId timer_ = 0;
  Status failure_;
  // Set once.
  std::shared_ptr<FramedConnection> connection_;
  std::shared_ptr<FramedConnection::Pending> pending_;
};

// One attempt to connect, address after address.
class ConnectionPool::Connector final : public SocketHandler,
                                        public std::enable_shared_from_this<Connector> {
 public:
  Connector(std::shared_ptr<ConnectionPool> pool, std::vector<SocketAddress> addresses)
      : pool_(std::move(pool)), addresses_(std::move(addresses)) {}

  void Start() {
    const TimerId timer =
        pool_->loop_->AddTimer(pool_->loop_->Now() + pool_->options_.connect_timeout,
                               [self = shared_from_this()] { self->OnTimeout(); });
    MutexLock lock(&mutex_);
    timer_ = timer;
    TryNext("no address");
  }

  void OnEvents(std::uint32_t) override {
    MutexLock lock(&mutex_);
    if (fd_ < 0) return;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    pool_->loop_->Remove(fd_);
    if (error == 0) return End(std::exchange(fd_, -1));
    close(std::exchange(fd_, -1));
    TryNext(std::strerror(error));
  }

 private:
  void OnTimeout() {
    MutexLock lock(&mutex_);
    if (fd_ < 0) return;
    pool_->loop_->Remove(fd_);
    close(std::exchange(fd_, -1));
    timer_ = 0;
    End(UnavailableError(pool_->name_ + ": no connection in time"));
  }

  void TryNext(const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::string reason = why;
    while (next_ < addresses_.size()) {
      const SocketAddress& address = addresses_[next_++];
      const int fd = socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fd < 0) {
        reason = std::strerror(errno);
        continue;
      }
      const int on = 1;
      (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      if (connect(fd, reinterpret_cast<const sockaddr*>(address.bytes.data()),
                  static_cast<socklen_t>(address.bytes.size())) == 0) {
        return End(fd);
      }
      if (errno == EINPROGRESS) {
        fd_ = fd;
        pool_->loop_->Add(fd, EPOLLOUT, shared_from_this());
        return;
      }
      reason = std::strerror(errno);
      close(fd);
    }
    End(UnavailableError(pool_->name_ + ": " + reason));
  }

  void End(Result<int> fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (timer_ != 0) pool_->loop_->CancelTimer(std::exchange(timer_, 0));
    pool_->loop_->Post([pool = pool_, fd = std::move(fd)] { pool->OnConnected(fd); });
  }

  const std::shared_ptr<ConnectionPool> pool_;
  const std::vector<SocketAddress> addresses_;
  Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  int fd_ ABSL_GUARDED_BY(mutex_) = -1;
  TimerId timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

ConnectionPool::ConnectionPool(Endpoint endpoint, const PoolOptions& options,
                               std::shared_ptr<IoLoop> loop,
                               std::shared_ptr<SerialExecutor> resolver)
    : endpoint_(std::move(endpoint)),
      name_(endpoint_.ToString()),
      options_(options),
      loop_(std::move(loop)),
      resolver_(std::move(resolver)) {}

std::shared_ptr<FramedConnection> ConnectionPool::Choose(bool* connect) {
  std::shared_ptr<FramedConnection> best;
  bool stale = false;
  for (const std::shared_ptr<FramedConnection>& connection : connections_) {
    if (!connection->usable()) {
      stale = true;
      continue;
    }
    if (!best || connection->load() < best->load()) best = connection;
    if (best->load() == 0) break;
  }
  if (stale) {
    connections_.erase(std::remove_if(connections_.begin(), connections_.end(),
                                      [](const auto& c) { return !c->usable(); }),
                       connections_.end());
  }
  const bool busy = !best || best->load() > 0;
  // One at a time is enough beside those that work.
  *connect =
      busy && connections_.size() + connecting_ < options_.max_connections && connecting_ == 0;
  if (*connect) ++connecting_;
  return best;
}

void ConnectionPool::Place(const std::shared_ptr<PoolCall>& call) {
  for (;;) {
    std::shared_ptr<FramedConnection> connection;
    bool connect = false;
    bool closed = false;
    {
      MutexLock lock(&mutex_);
      closed = closed_;
      if (!closed) connection = Choose(&connect);
      if (!closed && !connection) waiting_.push_back(call);
    }
    if (connect) Connect();
    if (closed) return call->Fail(CancelledError("the client is closed"), loop_.get());
    if (!connection || call->PlaceOn(connection, loop_.get())) return;
  }
}

std::shared_ptr<Call> ConnectionPool::Submit(std::string frame, MonotonicTime deadline, bool driven,
                                             FramedConnection::Done done) {
  auto call = std::make_shared<PoolCall>(std::move(frame), deadline, driven, std::move(done));
  {
    // The common way: an idle connection is there.
    std::shared_ptr<FramedConnection> connection;
    bool connect = false;
    {
      MutexLock lock(&mutex_);
      if (!closed_ && !connections_.empty()) connection = Choose(&connect);
    }
    if (connect) Connect();
    if (connection && call->PlaceOn(connection, loop_.get())) return call;
  }
  if (!driven) {
    call->SetTimer(loop_->AddTimer(deadline, [weak = std::weak_ptr<PoolCall>(call), loop = loop_] {
      if (const auto late = weak.lock()) {
        late->Fail(TimeoutError("no connection could be made in time"), loop.get());
      }
    }));
  }
  Place(call);
  return call;
}

void ConnectionPool::Connect() {
  Result<std::vector<SocketAddress>> numeric = ResolveHost(endpoint_, /*numeric_only=*/true);
  if (numeric.ok()) return ConnectTo(std::move(*numeric));
  resolver_->Post([self = shared_from_this()] {
    Result<std::vector<SocketAddress>> found = ResolveHost(self->endpoint_, false);
    if (found.ok()) {
      self->ConnectTo(std::move(*found));
    } else {
      self->OnConnected(found.status());
    }
  });
}

void ConnectionPool::ConnectTo(std::vector<SocketAddress> addresses) {
  std::make_shared<Connector>(shared_from_this(), std::move(addresses))->Start();
}

void ConnectionPool::OnConnected(Result<int> fd) {
  std::deque<std::shared_ptr<PoolCall>> waiting;
  bool closed = false;
  {
    MutexLock lock(&mutex_);
    --connecting_;
    closed = closed_;
    if (fd.ok() && !closed) {
      connections_.push_back(FramedConnection::Make(*fd, name_, options_.connection, loop_));
    }
    waiting.swap(waiting_);
  }
  if (fd.ok() && closed) close(*fd);
  const Status failure = fd.ok() ? CancelledError("the client is closed") : fd.status();
  for (const std::shared_ptr<PoolCall>& call : waiting) {
    if (fd.ok() && !closed) {
      Place(call);
    } else {
      call->Fail(failure, loop_.get());
    }
  }
}

void ConnectionPool::Close() {
  std::vector<std::shared_ptr<FramedConnection>> connections;
  std::deque<std::shared_ptr<PoolCall>> waiting;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    connections.swap(connections_);
    waiting.swap(waiting_);
  }
  const Status closed = CancelledError("the client is closed");
  for (const auto& connection : connections) connection->Close(closed);
  for (const auto& call : waiting) call->Fail(closed, loop_.get());
}

}  // namespace cairn::client
