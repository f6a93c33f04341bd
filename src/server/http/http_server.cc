#include "src/server/http/http_server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <list>
#include <thread>
#include <utility>

#include "src/base/executor.h"
#include "src/base/log.h"
#include "src/base/mutex.h"
#include "src/server/http/http_connection.h"
#include "src/server/http/http_exchange.h"
#include "src/server/listener.h"

namespace cairn::server {
namespace {

// After the process ran out of descriptors, before the next try.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

int PollTimeoutMs(Duration left) {
  if (left <= Duration::zero()) return 0;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::min<std::int64_t>(ms, std::numeric_limits<int>::max()));
}

int WholeSeconds(Duration d) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, HttpHandler handler, Listener listener, OwnedFd wake,
       const Clock* clock)
      : options_(options),
        exchange_(std::move(handler), WholeSeconds(options.idle_timeout), options.max_requests),
        port_(listener.port),
        wake_(std::move(wake)),
        clock_(clock),
        listener_(std::move(listener)),
        pages_("cairn-http-page", clock),
        thread_([this] { Run(); }) {}
  ~Impl() { Stop(); }

  void Stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    Wake();
    thread_.join();
    pages_.Stop();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  [[nodiscard]] HttpServerFigures figures() const {
    HttpServerFigures figures;
    figures.connections_open = open_.load(std::memory_order_relaxed);
    figures.connections_accepted = accepted_.load(std::memory_order_relaxed);
    figures.connections_refused = refused_.load(std::memory_order_relaxed);
    figures.requests = requests_.load(std::memory_order_relaxed);
    figures.bad_requests = bad_requests_.load(std::memory_order_relaxed);
    return figures;
  }

 private:
  using Connections = std::list<HttpConnection>;

  void Wake() {
    const std::uint64_t one = 1;
    // An eventfd takes this many times more than it will ever get.
    (void)!write(wake_.get(), &one, sizeof(one));
  }

  void Run() {
    pthread_setname_np(pthread_self(), "cairn-http");
    while (WaitAndServe()) {
    }
    connections_.clear();
    listener_.sockets.clear();
    open_.store(0, std::memory_order_relaxed);
  }

  // One turn of the loop; false if the server is to stop.
  bool WaitAndServe() {
    MonotonicTime next = MonotonicTime::Max();
    const bool accepting = clock_->Now() >= accept_after_;
    if (!accepting) next = accept_after_;
    polled_.clear();
    polled_.push_back({wake_.get(), POLLIN, 0});
    for (const HttpConnection& connection : connections_) {
      polled_.push_back({connection.fd(), connection.events(), 0});
      next = std::min(next, connection.deadline());
    }
    const std::size_t first_listener = polled_.size();
    if (accepting) {
      for (const OwnedFd& socket : listener_.sockets) polled_.push_back({socket.get(), POLLIN, 0});
    }
    const int timeout = next == MonotonicTime::Max() ? -1 : PollTimeoutMs(next - clock_->Now());
    if (poll(polled_.data(), polled_.size(), timeout) < 0) {
      if (errno == EINTR) return !stopping_.load();
      CAIRN_LOG(kError, "http: poll failed with error {}; the port is closed", errno);
      return false;
    }
    if (stopping_.load()) return false;
    if (polled_[0].revents != 0) {
      std::uint64_t count = 0;
      (void)!read(wake_.get(), &count, sizeof(count));
    }
    ServeConnections();
    for (std::size_t i = first_listener; i < polled_.size(); ++i) {
      if (polled_[i].revents != 0) Accept(polled_[i].fd);
    }
    open_.store(connections_.size(), std::memory_order_relaxed);
    return true;
  }

  void ServeConnections() {
    const MonotonicTime now = clock_->Now();
    std::size_t place = 1;  // in polled_; connections stand there in the order of the list
    for (auto it = connections_.begin(); it != connections_.end(); ++place) {
      if (polled_[place].revents != 0) it->OnReady(now);
      if (it->state() != HttpConnection::State::kClosed && it->deadline() <= now) {
        it->OnDeadline(now);
      }
      Serve(&*it, now);
      it = it->state() == HttpConnection::State::kClosed ? Forget(it) : std::next(it);
    }
    TakePages(now);
  }

  // Answers what the connection asks for, or has it answered.
  void Serve(HttpConnection* connection, MonotonicTime now) {
    std::string head = connection->TakeHead();
    while (!head.empty()) {
      if (!IsQuick(HttpTarget(head))) return MakePage(connection, std::move(head), now);
      requests_.fetch_add(1, std::memory_order_relaxed);
      connection->Answer(Counted(exchange_.Answer(head, connection->last())), now);
      head = connection->TakeHead();  // Requests may come in a row.
    }
  }

  [[nodiscard]] bool IsQuick(std::string_view target) const {
    return std::find(options_.quick.begin(), options_.quick.end(), target) != options_.quick.end();
  }

  HttpAnswer Counted(HttpAnswer answer) {
    if (answer.bad) bad_requests_.fetch_add(1, std::memory_order_relaxed);
    return answer;
  }

  void MakePage(HttpConnection* connection, std::string head, MonotonicTime now) {
    if (waiting_.load() >= options_.max_waiting) {
      bad_requests_.fetch_add(1, std::memory_order_relaxed);
      connection->Answer({ClosingAnswer(503, "too many pages are asked for at once"), true, true},
                         now);
      return;
    }
    requests_.fetch_add(1, std::memory_order_relaxed);
    waiting_.fetch_add(1);
    pages_.Post([this, id = connection->id(), head = std::move(head), last = connection->last()] {
      HttpAnswer answer = stopping_.load() ? HttpAnswer{} : exchange_.Answer(head, last);
      {
        MutexLock lock(&made_mutex_);
        made_.emplace_back(id, Counted(std::move(answer)));
      }
      waiting_.fetch_sub(1);
      Wake();
    });
  }

  // Pages that were made go to their connections.
  void TakePages(MonotonicTime now) {
    std::vector<std::pair<std::uint64_t, HttpAnswer>> made;
    {
      MutexLock lock(&made_mutex_);
      made.swap(made_);
    }
    for (auto& [id, answer] : made) {
      const auto it = std::find_if(connections_.begin(), connections_.end(),
                                   [id = id](const auto& each) { return each.id() == id; });
      if (it == connections_.end()) continue;
      it->Answer(std::move(answer), now);
      Serve(&*it, now);
      if (it->state() == HttpConnection::State::kClosed) Forget(it);
    }
  }

  Connections::iterator Forget(Connections::iterator it) {
    if (it->refused()) bad_requests_.fetch_add(1, std::memory_order_relaxed);
    return connections_.erase(it);
  }

  void Accept(int listener) {
    while (true) {
      OwnedFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) accept_after_ = clock_->Now() + kAcceptPause;
        return;
      }
      accepted_.fetch_add(1, std::memory_order_relaxed);
      if (connections_.size() >= options_.max_connections && !DropIdle()) {
        TurnAway(fd.get());
        continue;
      }
      connections_.emplace_back(next_id_++, std::move(fd), clock_->Now(), &options_);
    }
  }

  // Closes the connection that has been idle the longest; false if none is.
  bool DropIdle() {
    auto oldest = connections_.end();
    for (auto it = connections_.begin(); it != connections_.end(); ++it) {
      if (!it->idle()) continue;
      if (oldest == connections_.end() || it->deadline() < oldest->deadline()) oldest = it;
    }
    if (oldest == connections_.end()) return false;
    connections_.erase(oldest);
    return true;
  }

  // A new socket's buffer takes the few bytes.
  void TurnAway(int fd) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    // What the client sent already: unread, it would make of the close a reset that takes the
    // answer with it.
    char sent[4096];
    (void)!recv(fd, sent, sizeof(sent), 0);
    const std::string answer =
        ClosingAnswer(503, "all " + std::to_string(options_.max_connections) +
                               " connections of this port are in use; raise [http] "
                               "max_connections, or try again later");
    send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
  }

  const HttpServerOptions options_;
  const HttpExchange exchange_;
  const std::uint16_t port_;
  const OwnedFd wake_;
  const Clock* const clock_;

  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> waiting_{0};  // pages that are asked for and not made
  std::atomic<std::uint64_t> open_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> bad_requests_{0};

  Mutex made_mutex_;
  std::vector<std::pair<std::uint64_t, HttpAnswer>> made_ ABSL_GUARDED_BY(made_mutex_);

  // Owned by the loop's thread.
  Listener listener_;
  Connections connections_;
  std::uint64_t next_id_ = 1;
  std::vector<pollfd> polled_;
  MonotonicTime accept_after_;

  // Last: they use all the others.
  ThreadExecutor pages_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      HttpHandler handler, const Clock* clock) {
  CAIRN_ASSIGN_OR_RETURN(Listener listener, Listen(options.bind_address, options.port));
  OwnedFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return IoError("no file descriptor is left for the HTTP port");
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Impl>(
      options, std::move(handler), std::move(listener), std::move(wake), clock)));
}

std::uint16_t HttpServer::port() const { return impl_->port(); }
HttpServerFigures HttpServer::figures() const { return impl_->figures(); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace cairn::server
