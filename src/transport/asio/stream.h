// Sockets, with or without TLS, behind an interface that needs no Asio header: the one loop thread
// of a transport, the streams that live on it, and how they come to be.
//
// Threads: everything here belongs to the loop's thread, but Loop::Post and Stream::TryWrite, which
// any thread may call.
// Callbacks run on the loop's thread, never inside the call that took them. They must hold what
// they use alive: a stream that is closed calls those that wait with an error.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_STREAM_H_
#define CAIRN_SRC_TRANSPORT_ASIO_STREAM_H_

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/base/executor.h"
#include "src/transport/asio/tls.h"

namespace cairn::transport {

// A thread that runs sockets and timers.
class Loop {
 public:
  // `name` (15 characters at most) is shown by debuggers.
  explicit Loop(std::string name);
  ~Loop();  // Stop()
  // Runs the task on the loop's thread. Any thread; dropped after Stop.
  void Post(Task task);
  // Runs the task after `delay`, unless the loop has stopped.
  void After(Duration delay, Task task);
  // Ends the thread; what is queued is dropped. Not from the loop's own thread. Idempotent.
  void Stop();

  class Impl;  // Asio's part
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  const std::unique_ptr<Impl> impl_;
};

// What TLS needs to know, read from files once.
class TlsContext {
 public:
  // CheckTls's errors.
  static Result<std::shared_ptr<TlsContext>> Load(const TlsFiles& files);
  virtual ~TlsContext() = default;
};

using IoCallback = absl::AnyInvocable<void(Status, std::size_t bytes)>;

// A connected socket. At most one read and one write wait at a time.
class Stream {
 public:
  virtual ~Stream() = default;
  // Reads at least one byte. kUnavailable at the end of the stream or on an error.
  virtual void Read(char* into, std::size_t size, IoCallback done) = 0;
  // Writes all of the buffers, which must stay until `done` runs.
  virtual void Write(const std::vector<std::string_view>& buffers, IoCallback done) = 0;
  // Writes what the system takes at once, without waiting; returns how many bytes those were, 0
  // too if the stream is closed, broken, or encrypted. Any thread, but only while no Write is under
  // way. An error shows in the next Read or Write.
  virtual std::size_t TryWrite(std::string_view header, std::string_view body) = 0;
  // Ends the connection at once. Idempotent.
  virtual void Close() = 0;
  // "127.0.0.1:40312": the other end.
  [[nodiscard]] virtual const std::string& remote() const = 0;
};

struct SocketOptions {
  // How long bytes that were sent may stay unacknowledged before the connection counts as broken
  // (TCP_USER_TIMEOUT): a path that was cut is given up and dialled anew, rather than left to
  // TCP's own growing pauses.
  Duration unacknowledged_timeout = std::chrono::seconds(5);
  // Until a connection stands, TLS included.
  Duration connect_timeout = std::chrono::seconds(2);
};

using StreamCallback = absl::AnyInvocable<void(Result<std::shared_ptr<Stream>>)>;

// Connects to `to`; with `tls`, encrypted. kUnavailable that says why not.
void Connect(Loop* loop, const Endpoint& to, const std::shared_ptr<TlsContext>& tls,
             const SocketOptions& options, StreamCallback done);

// A listening socket. Destroy it on the loop's thread, or once the loop has stopped.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  // Takes connections until Close. `accepted` gets each one when it stands (after TLS's handshake),
  // or the error of one that did not come to stand.
  virtual void Start(StreamCallback accepted) = 0;
  virtual void Close() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

// Binds and listens; port 0 takes a free one. kUnavailable or kInvalidArgument that names the
// address.
Result<std::unique_ptr<Acceptor>> Listen(Loop* loop, const std::string& address, std::uint16_t port,
                                         const std::shared_ptr<TlsContext>& tls,
                                         const SocketOptions& options);

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_STREAM_H_
