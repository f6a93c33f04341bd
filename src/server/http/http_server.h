// The HTTP port's server: an event loop for the sockets, one thread for the pages that take a
// while, cpp-httplib for the protocol (http_exchange.h).
//
// Bounds. max_connections at a time: a further one takes the place of the one that has been idle
// the longest or, if none is idle, is told 503 and closed. The head of a request must arrive within
// request_timeout of its first byte (408) and within head_bytes (431); an answer must be taken
// within response_timeout and a second more for every response_bytes_per_second. So a client that
// sends or reads slowly holds a place and a buffer for a bounded time, and no thread. A connection
// holds one request and one answer; it serves max_requests. Pages queue up to max_waiting; more are
// told 503.
//
// `quick` pages are answered on the loop's thread and must not wait for anything, so that health is
// told although another page hangs.
//
// Thread safety: Start, Stop and the destructor belong to one thread; the other methods are for any
// thread. The handler runs on two threads.
#ifndef CAIRN_SRC_SERVER_HTTP_HTTP_SERVER_H_
#define CAIRN_SRC_SERVER_HTTP_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/server/http/http_types.h"

namespace cairn::server {

struct HttpServerOptions {
  std::string bind_address = "127.0.0.1";  // see Listen in listener.h
  std::uint16_t port = 8090;               // 0: any free one
  std::size_t max_connections = 64;
  std::size_t head_bytes = 8 << 10;
  std::size_t max_requests = 1000;  // of one connection
  std::size_t max_waiting = 16;
  std::vector<std::string> quick;  // paths
  Duration request_timeout = std::chrono::seconds(5);
  Duration response_timeout = std::chrono::seconds(10);
  std::size_t response_bytes_per_second = 64 << 10;
  // From the request's last byte to its answer; then 503.
  Duration page_timeout = std::chrono::seconds(30);
  // A connection without a request for so long is closed. Prometheus comes back within a minute.
  Duration idle_timeout = std::chrono::seconds(120);
};

// Counters since start, but for connections_open.
struct HttpServerFigures {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  // none was idle to make room
  std::uint64_t requests = 0;             // that were understood and taken
  std::uint64_t bad_requests = 0;         // malformed, too large, too slow, or too many at once
};

class HttpServer {
 public:
  // Listens, and serves from then on. `clock` must be the machine's and must outlive the server.
  // kIoError if the address can't be listened on.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   HttpHandler handler, const Clock* clock);
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] HttpServerFigures figures() const;

  // Closes everything and ends the threads, once a page that is being made is made. The handler
  // does not run afterwards. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_HTTP_SERVER_H_
