#include "src/server/thrift/thrift_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thrift/TProcessor.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/base/mutex.h"
#include "src/base/sanitizers.h"
#include "src/server/answers.h"
#include "src/server/listener.h"
#include "src/server/thrift/answer_scope.h"
#include "src/server/thrift/call_loop.h"
#include "src/server/thrift/caller.h"
#include "src/server/thrift/log_throttle.h"
#include "src/server/thrift/socket_stream.h"

namespace cairn::server {
namespace {

constexpr Duration kLogInterval = std::chrono::seconds(10);
// Connections taken in a row before ended threads are joined.
constexpr int kAcceptBatch = 64;
// The longest pause when the system has no room for another connection.
constexpr auto kExhaustedPause = std::chrono::milliseconds(100);

constexpr std::size_t kStackFactor = kSanitized ? 8 : 1;

void ConfigureConnection(int fd) {
  const auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // Idle connections are kept for ever, but not those whose other side is gone.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 300);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 30);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

OwnedFd OpenSpare() { return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

class ThriftServer::Impl {
 public:
  Impl(const ThriftServerOptions& options, std::shared_ptr<apache::thrift::TProcessor> processor,
       const Clock* clock, Listener listener)
      : options_(options),
        processor_(std::move(processor)),
        clock_(clock),
        listener_(std::move(listener)),
        port_(listener_.port),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        spare_(OpenSpare()),
        answers_(options.answer_bytes, "or ask for less at once") {}

  Status Begin() {
    if (!wake_.valid()) return IoError(std::string("eventfd: ") + std::strerror(errno));
    accept_thread_ = std::thread([this] { AcceptLoop(); });
    return Status::Ok();
  }
  bool Stop(Duration grace);
  void StopCompletely();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] ThriftServerFigures figures() const;

 private:
  struct Connection {
    Impl* server = nullptr;
    OwnedFd fd;
    pthread_t thread{};
    bool refused = false;  // in the lane of those that are told that there is no room
    std::list<Connection>::iterator self;
  };

  // Accept thread.
  void AcceptLoop();
  void AcceptFrom(int listening);
  // False: nothing more to accept for now.
  bool HandleAcceptError(int listening, int error);
  // Waits, shortly, for a connection to end.
  void PauseExhausted();
  void Take(OwnedFd fd);  // a connection that was accepted
  void Admit(OwnedFd fd);
  int StartThread(Connection* connection);
  void LogRefusal(const std::string& why);
  void Wake();

  // Connection threads.
  static void* ConnectionMain(void* argument);
  void Serve(const Connection& connection);
  void Retire(Connection* connection);

  // Joins threads that have ended.
  void Reap();
  void StopAccepting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stop_mutex_);
  void ShutDownAll(int how);
  [[nodiscard]] std::string CapText() const;

  const ThriftServerOptions options_;
  const std::shared_ptr<apache::thrift::TProcessor> processor_;
  const Clock* const clock_;
  Listener listener_;  // the accept thread's, then Stop's
  const std::uint16_t port_;
  OwnedFd wake_;   // an eventfd: threads have ended, or the server stops
  OwnedFd spare_;  // given up for a moment when descriptors run out; accept thread

  std::thread accept_thread_;
  std::atomic<bool> stopping_{false};

  mutable Mutex mutex_;
  CondVar ended_;
  std::list<Connection> live_ ABSL_GUARDED_BY(mutex_);
  std::list<Connection> finished_ ABSL_GUARDED_BY(mutex_);  // to be joined
  std::uint32_t open_ ABSL_GUARDED_BY(mutex_) = 0;          // of live_, not refused
  std::uint32_t in_lane_ ABSL_GUARDED_BY(mutex_) = 0;       // of live_, refused

  Mutex stop_mutex_;  // one Stop at a time; taken before mutex_

  CallLoopCounters counters_;
  AnswerTable answers_;
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  LogThrottle refusal_log_{kLogInterval};
  LogThrottle complaint_log_{kLogInterval};
};

// ---- Accepting

void ThriftServer::Impl::AcceptLoop() {
  pthread_setname_np(pthread_self(), "thrift-accept");
  std::vector<pollfd> waits;
  for (const OwnedFd& socket : listener_.sockets) waits.push_back({socket.get(), POLLIN, 0});
  waits.push_back({wake_.get(), POLLIN, 0});
  while (!stopping_.load(std::memory_order_acquire)) {
    if (poll(waits.data(), waits.size(), -1) < 0) {
      if (errno != EINTR) PauseExhausted();
      continue;
    }
    if (waits.back().revents != 0) {
      std::uint64_t count = 0;
      (void)!read(wake_.get(), &count, sizeof(count));
    }
    for (std::size_t i = 0; i + 1 < waits.size(); ++i) {
      if (waits[i].revents != 0) AcceptFrom(waits[i].fd);
    }
    Reap();
  }
}

void ThriftServer::Impl::AcceptFrom(int listening) {
  for (int i = 0; i < kAcceptBatch && !stopping_.load(std::memory_order_relaxed); ++i) {
    OwnedFd fd(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd.valid()) {
      Take(std::move(fd));
    } else if (!HandleAcceptError(listening, errno)) {
      return;
    }
  }
}

void ThriftServer::Impl::Take(OwnedFd fd) {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  ConfigureConnection(fd.get());
  Admit(std::move(fd));
}

bool ThriftServer::Impl::HandleAcceptError(int listening, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return false;
  const bool exhausted = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  if (!exhausted) return true;  // This one connection failed before it was taken.
  LogRefusal(std::string("no room for another connection: ") + std::strerror(error) +
             "; raise the limit of open files (ulimit -n)");
  if (error == EMFILE && spare_.valid()) {
    // The spare descriptor lets us take the connection and close it, so that its client knows,
    // instead of leaving it to wait in the backlog.
    spare_.Close();
    OwnedFd taken(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    spare_ = OpenSpare();
    if (taken.valid() && spare_.valid()) {
      // There is room again. accept4 says EMFILE before it looks whether anybody waits, so this
      // one may have come after descriptors did.
      Take(std::move(taken));
      return true;
    }
    const bool turned_away = taken.valid();
    if (turned_away) refused_.fetch_add(1, std::memory_order_relaxed);
    taken.Close();
    if (!spare_.valid()) spare_ = OpenSpare();
    return turned_away;  // Nobody waited, else: poll says when somebody does.
  }
  if (!spare_.valid()) spare_ = OpenSpare();
  PauseExhausted();
  return false;
}

void ThriftServer::Impl::PauseExhausted() {
  // A connection that ends gives a descriptor back; others may come free elsewhere in the process.
  const auto deadline = std::chrono::steady_clock::now() + kExhaustedPause;
  MutexLock lock(&mutex_);
  if (finished_.empty()) ended_.WaitUntil(&mutex_, deadline);
}

void ThriftServer::Impl::Admit(OwnedFd fd) {
  Connection* connection = nullptr;
  {
    MutexLock lock(&mutex_);
    const bool refused = open_ >= options_.max_connections;
    if (!refused || in_lane_ < options_.refusal_lane) {
      connection = &live_.emplace_back();
      connection->self = std::prev(live_.end());
      connection->server = this;
      connection->fd = std::move(fd);
      connection->refused = refused;
      ++(refused ? in_lane_ : open_);
    }
  }
  if (connection == nullptr || connection->refused) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    LogRefusal(CapText());
  }
  if (connection == nullptr) return;
  const int error = StartThread(connection);
  if (error == 0) return;
  refused_.fetch_add(connection->refused ? 0 : 1, std::memory_order_relaxed);
  LogRefusal(std::string("no thread for another connection: ") + std::strerror(error));
  MutexLock lock(&mutex_);
  --(connection->refused ? in_lane_ : open_);
  live_.erase(connection->self);
}

int ThriftServer::Impl::StartThread(Connection* connection) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes,
                            std::max<std::size_t>(options_.stack_bytes * kStackFactor, 64 << 10));
  const int error =
      pthread_create(&connection->thread, &attributes, &Impl::ConnectionMain, connection);
  pthread_attr_destroy(&attributes);
  return error;
}

std::string ThriftServer::Impl::CapText() const {
  return "this node serves at most " + std::to_string(options_.max_connections) +
         " Thrift connections at a time; close some, or raise [server] max_connections";
}

void ThriftServer::Impl::LogRefusal(const std::string& why) {
  if (const auto unlogged = refusal_log_.Admit(clock_->Now())) {
    CAIRN_LOG(kWarn, "thrift: connection refused: {} ({} more refusals not logged)", why,
              *unlogged);
  }
}

void ThriftServer::Impl::Wake() {
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

// ---- A connection

void* ThriftServer::Impl::ConnectionMain(void* argument) {
  auto* connection = static_cast<Connection*>(argument);
  pthread_setname_np(pthread_self(), "thrift-call");
  Impl* server = connection->server;
  server->Serve(*connection);
  server->Retire(connection);
  return nullptr;
}

void ThriftServer::Impl::Serve(const Connection& connection) {
  SocketLimits socket_limits;
  socket_limits.message = options_.message_timeout;
  if (connection.refused) {
    socket_limits.idle = socket_limits.message = options_.refusal_timeout;
  }
  MessageLimits message_limits;
  message_limits.message_bytes = options_.message_bytes;
  SocketStream stream(connection.fd.get(), socket_limits, clock_);
  CallerScope caller(PeerName(connection.fd.get()));
  AnswerScope answer(&answers_, connection.fd.get(), options_.message_timeout, clock_);
  CallLoop loop(&stream, message_limits, &stopping_, &counters_);
  const CallLoopEnd end = connection.refused ? loop.Refuse(CapText()) : loop.Run(processor_);
  if (!loop.complaint().empty()) {
    if (const auto unlogged = complaint_log_.Admit(clock_->Now())) {
      CAIRN_LOG(kWarn, "thrift: connection from {} closed: {} ({} more not logged)",
                CurrentCaller(), loop.complaint(), *unlogged);
    }
  }
  if (end == CallLoopEnd::kRefused) stream.Linger();
}

void ThriftServer::Impl::Retire(Connection* connection) {
  {
    MutexLock lock(&mutex_);
    // Closed under the lock: ShutDownAll must not meet a descriptor that is someone else's by now.
    connection->fd.Close();
    --(connection->refused ? in_lane_ : open_);
    finished_.splice(finished_.end(), live_, connection->self);
    ended_.SignalAll();
  }
  // The server is still there: whoever destroys it joins this thread first.
  Wake();
}

void ThriftServer::Impl::Reap() {
  std::list<Connection> finished;
  {
    MutexLock lock(&mutex_);
    finished.swap(finished_);
  }
  for (Connection& connection : finished) pthread_join(connection.thread, nullptr);
}

// ---- Stopping

void ThriftServer::Impl::StopAccepting() {
  stopping_.store(true, std::memory_order_release);
  Wake();
  if (accept_thread_.joinable()) accept_thread_.join();
  listener_.sockets.clear();
}

void ThriftServer::Impl::ShutDownAll(int how) {
  MutexLock lock(&mutex_);
  for (const Connection& connection : live_) shutdown(connection.fd.get(), how);
}

bool ThriftServer::Impl::Stop(Duration grace) {
  // Connections that are cut end as soon as their threads are scheduled.
  constexpr auto kCutGrace = std::chrono::milliseconds(500);
  const auto deadline = std::chrono::steady_clock::now() + grace;
  MutexLock stop_lock(&stop_mutex_);
  StopAccepting();
  ShutDownAll(SHUT_RD);
  bool all_ended = false;
  {
    MutexLock lock(&mutex_);
    while (!live_.empty() && ended_.WaitUntil(&mutex_, deadline)) {
    }
    all_ended = live_.empty();
  }
  if (!all_ended) {
    ShutDownAll(SHUT_RDWR);
    MutexLock lock(&mutex_);
    const auto cut_deadline = std::chrono::steady_clock::now() + kCutGrace;
    while (!live_.empty() && ended_.WaitUntil(&mutex_, cut_deadline)) {
    }
    all_ended = live_.empty();
  }
  Reap();
  return all_ended;
}

void ThriftServer::Impl::StopCompletely() {
  if (Stop(Duration::zero())) return;
  {
    MutexLock lock(&mutex_);
    while (!live_.empty()) ended_.Wait(&mutex_);
  }
  Reap();
}

ThriftServerFigures ThriftServer::Impl::figures() const {
  ThriftServerFigures figures;
  {
    MutexLock lock(&mutex_);
    figures.connections_open = open_;
  }
  figures.connections_accepted = accepted_.load(std::memory_order_relaxed);
  figures.connections_refused = refused_.load(std::memory_order_relaxed);
  figures.protocol_errors = counters_.protocol_errors.load(std::memory_order_relaxed);
  figures.calls = counters_.calls.load(std::memory_order_relaxed);
  figures.answer_bytes = answers_.bytes();
  return figures;
}

// ---- ThriftServer

Result<std::unique_ptr<ThriftServer>> ThriftServer::Start(
    const ThriftServerOptions& options, std::shared_ptr<apache::thrift::TProcessor> processor,
    const Clock* clock) {
  CAIRN_ASSIGN_OR_RETURN(Listener listener, Listen(options.bind_address, options.port));
  return Start(options, std::move(listener), std::move(processor), clock);
}

Result<std::unique_ptr<ThriftServer>> ThriftServer::Start(
    const ThriftServerOptions& options, Listener listener,
    std::shared_ptr<apache::thrift::TProcessor> processor, const Clock* clock) {
  CAIRN_CHECK(processor != nullptr && clock != nullptr);
  auto impl = std::make_unique<Impl>(options, std::move(processor), clock, std::move(listener));
  CAIRN_RETURN_IF_ERROR(impl->Begin());
  CAIRN_LOG(kInfo, "thrift: listening on {} port {}", options.bind_address, impl->port());
  return std::unique_ptr<ThriftServer>(new ThriftServer(std::move(impl)));
}

ThriftServer::ThriftServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ThriftServer::~ThriftServer() { impl_->StopCompletely(); }
std::uint16_t ThriftServer::port() const { return impl_->port(); }
ThriftServerFigures ThriftServer::figures() const { return impl_->figures(); }
bool ThriftServer::Stop(Duration grace) { return impl_->Stop(grace); }

}  // namespace cairn::server
