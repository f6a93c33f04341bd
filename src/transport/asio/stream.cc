#include "src/transport/asio/stream.h"

#include <fmt/core.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/connect.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/ssl.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <thread>
#include <type_traits>
#include <utility>

#include "src/base/mutex.h"

namespace cairn::transport {

using asio::ip::tcp;
using TlsSocket = asio::ssl::stream<tcp::socket>;

// ---- Loop

class Loop::Impl {
 public:
  explicit Impl(std::string name)
      : work_(asio::make_work_guard(context_)), thread_([this, name = std::move(name)] {
          pthread_setname_np(pthread_self(), name.c_str());
          context_.run();
        }) {}

  void Stop() {
    if (!thread_.joinable()) return;
    context_.stop();
    thread_.join();
  }

  asio::io_context& context() { return context_; }

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

Loop::Loop(std::string name) : impl_(std::make_unique<Impl>(std::move(name))) {}
Loop::~Loop() { Stop(); }

void Loop::Post(Task task) { asio::post(impl_->context(), std::move(task)); }

void Loop::After(Duration delay, Task task) {
  const auto timer = std::make_shared<asio::steady_timer>(impl_->context(), delay);
  timer->async_wait([timer, task = std::move(task)](const std::error_code& error) mutable {
    if (!error) task();
  });
}

void Loop::Stop() { impl_->Stop(); }

namespace {

Status Failed(const std::string& what, const std::error_code& error) {
  std::string words = error.message();
  if (error.category() == asio::error::get_ssl_category()) {
    const std::string meaning = ExplainTlsError(static_cast<unsigned long>(error.value()));
    if (!meaning.empty()) words = meaning + " (" + words + ")";
  }
  return UnavailableError(what + ": " + words);
}

std::string Name(const tcp::endpoint& endpoint) {
  return Endpoint{endpoint.address().to_string(), endpoint.port()}.ToString();
}

// Sets what every connection has. Errors are left alone: the connection works without.
void Tune(tcp::socket* socket, const SocketOptions& options) {
  std::error_code ignored;
  socket->set_option(tcp::no_delay(true), ignored);
  socket->set_option(asio::socket_base::keep_alive(true), ignored);
  const auto ms = static_cast<unsigned int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.unacknowledged_timeout)
          .count());
  const int idle_s = std::max(1, static_cast<int>(ms / 1000));
  const int probe_s = 1;
  const int fd = socket->native_handle();
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof(probe_s));
}

std::vector<asio::const_buffer> AsBuffers(const std::vector<std::string_view>& views) {
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(views.size());
  for (const std::string_view view : views) buffers.emplace_back(view.data(), view.size());
  return buffers;
}

// Both kinds of socket read and write alike. Socket: tcp::socket or TlsSocket.
template <class Socket>
class StreamOf final : public Stream {
 public:
  StreamOf(Socket socket, std::shared_ptr<TlsContext> tls, std::string remote)
      : tls_(std::move(tls)), socket_(std::move(socket)), remote_(std::move(remote)) {}

  void Read(char* into, std::size_t size, IoCallback done) override {
    socket_.async_read_some(
        asio::buffer(into, size),
        [done = std::move(done)](const std::error_code& error, std::size_t bytes) mutable {
          done(error ? Failed("reading", error) : Status::Ok(), bytes);
        });
  }
  void Write(const std::vector<std::string_view>& buffers, IoCallback done) override {
    asio::async_write(
        socket_, AsBuffers(buffers),
        [done = std::move(done)](const std::error_code& error, std::size_t bytes) mutable {
          done(error ? Failed("writing", error) : Status::Ok(), bytes);
        });
  }
  std::size_t TryWrite(std::string_view header, std::string_view body) override {
    if constexpr (std::is_same_v<Socket, tcp::socket>) {
      // The socket's own send, not Asio's: that one's objects belong to the loop's thread.
      const MutexLock lock(&close_mutex_);
      if (closed_) return 0;
      iovec parts[] = {{const_cast<char*>(header.data()), header.size()},
                       {const_cast<char*>(body.data()), body.size()}};
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = 2;
      const ssize_t sent =
          ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      return sent > 0 ? static_cast<std::size_t>(sent) : 0;
    } else {
      return 0;  // TLS's state belongs to the loop's thread.
    }
  }
  void Close() override {
    const MutexLock lock(&close_mutex_);
    closed_ = true;
    std::error_code ignored;
    // Cancels what waits. TLS's own farewell is left out: frames are whole or not there, so a
    // stream that is cut short can't be taken for a whole one.
    socket_.lowest_layer().close(ignored);
  }
  [[nodiscard]] const std::string& remote() const override { return remote_; }

  Socket& socket() { return socket_; }

 private:
  const std::shared_ptr<TlsContext> tls_;  // socket_ refers to it
  Socket socket_;
  Mutex close_mutex_;  // the descriptor stays what it is while TryWrite uses it
  bool closed_ ABSL_GUARDED_BY(close_mutex_) = false;
  const std::string remote_;
};

class TlsContextImpl final : public TlsContext {
 public:
  explicit TlsContextImpl(std::vector<std::string> peer_names) : names(std::move(peer_names)) {}

  asio::ssl::context context{asio::ssl::context::tls};
  const std::vector<std::string> names;
};

TlsContextImpl& ImplOf(const std::shared_ptr<TlsContext>& tls) {
  return static_cast<TlsContextImpl&>(*tls);
}

// Calls `done` once: with the stream when it stands, or with kUnavailable after `timeout`.
class Establishing : public std::enable_shared_from_this<Establishing> {
 public:
  Establishing(asio::io_context* context, std::string what, StreamCallback done)
      : timer_(*context), what_(std::move(what)), done_(std::move(done)) {}

  // `close` ends the attempt.
  void Arm(Duration timeout, Task close) {
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this(),
                       close = std::move(close)](const std::error_code& error) mutable {
      if (error || self->done_ == nullptr) return;
      close();
      self->Finish(TimeoutOf(self->what_));
    });
  }
  void Finish(Result<std::shared_ptr<Stream>> result) {
    if (done_ == nullptr) return;
    timer_.cancel();
    std::exchange(done_, nullptr)(std::move(result));
  }
  void Fail(const std::error_code& error) { Finish(Failed(what_, error)); }

 private:
  static Status TimeoutOf(const std::string& what) {
    return UnavailableError(what + ": it took too long");
  }

  asio::steady_timer timer_;
  const std::string what_;
  StreamCallback done_;
};

// Makes a stream of a connected socket: at once, or after TLS's handshake.
void Secure(tcp::socket socket, const std::shared_ptr<TlsContext>& tls, bool server,
            const std::shared_ptr<Establishing>& attempt, Duration timeout) {
  std::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) {
    attempt->Fail(error);
    return;
  }
  if (tls == nullptr) {
    attempt->Finish(std::shared_ptr<Stream>(
        std::make_shared<StreamOf<tcp::socket>>(std::move(socket), nullptr, Name(peer))));
    return;
  }
  const auto stream = std::make_shared<StreamOf<TlsSocket>>(
      TlsSocket(std::move(socket), ImplOf(tls).context), tls, Name(peer));
  const auto refused = std::make_shared<std::string>();
  stream->socket().set_verify_callback(
      [refused, context = tls.get()](bool acceptable, asio::ssl::verify_context& examined) {
        return MayBePeer(acceptable, examined.native_handle(),
                         static_cast<TlsContextImpl*>(context)->names, refused.get());
      });
  attempt->Arm(timeout, [stream] { stream->Close(); });
  stream->socket().async_handshake(
      server ? asio::ssl::stream_base::server : asio::ssl::stream_base::client,
      [stream, attempt, refused,
       what = "TLS with " + peer.address().to_string()](const std::error_code& failed) {
        if (!failed) {
          attempt->Finish(std::shared_ptr<Stream>(stream));
          return;
        }
        stream->Close();
        attempt->Finish(refused->empty() ? Failed(what, failed)
                                         : UnavailableError(what + ": " + *refused));
      });
}

}  // namespace

// ---- TLS

Result<std::shared_ptr<TlsContext>> TlsContext::Load(const TlsFiles& files) {
  auto tls = std::make_shared<TlsContextImpl>(files.names);
  CAIRN_RETURN_IF_ERROR(PrepareTlsContext(files, tls->context.native_handle()));
  return std::shared_ptr<TlsContext>(std::move(tls));
}

// ---- Connecting

namespace {

// Tries the endpoints in turn: a name may stand for several.
void ConnectSocket(asio::io_context* context, const std::vector<tcp::endpoint>& to,
                   const std::shared_ptr<TlsContext>& tls, const SocketOptions& options,
                   const std::shared_ptr<Establishing>& attempt) {
  const auto socket = std::make_shared<tcp::socket>(*context);
  attempt->Arm(options.connect_timeout, [socket] {
    std::error_code ignored;
    socket->close(ignored);
  });
  asio::async_connect(
      *socket, to,
      [socket, tls, options, attempt](const std::error_code& error, const tcp::endpoint&) {
        if (error) {
          attempt->Fail(error);
          return;
        }
        Tune(socket.get(), options);
        Secure(std::move(*socket), tls, /*server=*/false, attempt, options.connect_timeout);
      });
}

}  // namespace

void Connect(Loop* loop, const Endpoint& to, const std::shared_ptr<TlsContext>& tls,
             const SocketOptions& options, StreamCallback done) {
  asio::io_context* const context = &loop->impl().context();
  const auto attempt =
      std::make_shared<Establishing>(context, "connecting to " + to.ToString(), std::move(done));
  std::error_code not_numeric;
  const asio::ip::address address = asio::ip::make_address(to.host, not_numeric);
  if (!not_numeric) {
    ConnectSocket(context, {tcp::endpoint(address, to.port)}, tls, options, attempt);
    return;
  }
  const auto resolver = std::make_shared<tcp::resolver>(*context);
  attempt->Arm(options.connect_timeout, [resolver] { resolver->cancel(); });
  resolver->async_resolve(
      to.host, std::to_string(to.port),
      [resolver, context, tls, options, attempt](const std::error_code& error,
                                                 const tcp::resolver::results_type& results) {
        if (error || results.empty()) {
          attempt->Fail(error ? error : asio::error::make_error_code(asio::error::host_not_found));
          return;
        }
        ConnectSocket(context, {results.begin(), results.end()}, tls, options, attempt);
      });
}

// ---- Listening

namespace {

class AcceptorImpl final : public Acceptor {
 public:
  AcceptorImpl(asio::io_context* context, tcp::acceptor acceptor, std::shared_ptr<TlsContext> tls,
               const SocketOptions& options)
      : state_(std::make_shared<State>(State{context, std::move(acceptor), std::move(tls), options,
                                             nullptr, asio::steady_timer(*context)})) {
    port_ = state_->acceptor.local_endpoint().port();
  }
  ~AcceptorImpl() override { Close(); }

  void Start(StreamCallback accepted) override {
    state_->accepted = std::make_shared<StreamCallback>(std::move(accepted));
    Accept(state_);
  }
  void Close() override {
    std::error_code ignored;
    state_->acceptor.close(ignored);
    state_->retry.cancel();
  }
  [[nodiscard]] std::uint16_t port() const override { return port_; }

 private:
  struct State {
    asio::io_context* context;
    tcp::acceptor acceptor;
    std::shared_ptr<TlsContext> tls;
    SocketOptions options;
    std::shared_ptr<StreamCallback> accepted;
    asio::steady_timer retry;
  };

  static void Accept(const std::shared_ptr<State>& state) {
    state->acceptor.async_accept([state](const std::error_code& error, tcp::socket socket) {
      if (!state->acceptor.is_open()) return;
      if (error) {
        // Out of descriptors, most likely: say so and give others time to end.
        (*state->accepted)(Failed("accepting a connection", error));
        state->retry.expires_after(std::chrono::milliseconds(100));
        state->retry.async_wait([state](const std::error_code& cancelled) {
          if (!cancelled && state->acceptor.is_open()) Accept(state);
        });
        return;
      }
      Tune(&socket, state->options);
      const auto attempt = std::make_shared<Establishing>(
          state->context, "a connection that came in",
          [accepted = state->accepted](Result<std::shared_ptr<Stream>> stream) {
            (*accepted)(std::move(stream));
          });
      Secure(std::move(socket), state->tls, /*server=*/true, attempt,
             state->options.connect_timeout);
      Accept(state);
    });
  }

  const std::shared_ptr<State> state_;
  std::uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Acceptor>> Listen(Loop* loop, const std::string& address, std::uint16_t port,
                                         const std::shared_ptr<TlsContext>& tls,
                                         const SocketOptions& options) {
  const std::string name = Endpoint{address, port}.ToString();
  std::error_code error;
  const asio::ip::address ip = asio::ip::make_address(address, error);
  if (error) {
    return InvalidArgumentError("cannot listen for peers on '" + name +
                                "': the address must be an IP address of this machine");
  }
  asio::io_context* const context = &loop->impl().context();
  tcp::acceptor acceptor(*context);
  const tcp::endpoint endpoint(ip, port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return UnavailableError("cannot listen for peers on '" + name + "': " + error.message());
  }
  return std::unique_ptr<Acceptor>(
      std::make_unique<AcceptorImpl>(context, std::move(acceptor), tls, options));
}

}  // namespace cairn::transport
