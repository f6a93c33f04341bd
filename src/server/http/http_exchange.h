// One request's head to one answer's bytes, by cpp-httplib: the only file that includes it. Sockets
// are http_server.h's (docs/adr/0018-http-port.md says why).
//
// What the library is spared, because it would take the process down or make it work for strangers:
//   * `Range`: it matches the value with a regular expression that needs more than 4 MiB of stack
//     for 8 KiB of header, and answers each of a thousand ranges. RFC 9110 lets a server ignore it.
//   * brotli: its slowest level. gzip stays.
//   * bodies, `Expect`: a request that has one, or a method other than GET and HEAD, is answered
//     from its head alone, and the connection is closed.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_HTTP_EXCHANGE_H_
#define CAIRN_SRC_SERVER_HTTP_HTTP_EXCHANGE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "src/server/http/http_types.h"

namespace cairn::server {

// The length of the first request's head in `bytes`, its empty line included, as the library will
// see it; 0 if it has not arrived whole.
std::size_t HttpHeadLength(std::string_view bytes);

// "GET /metrics?x HTTP/1.1" of a head: "/metrics". Empty if there is none. For choosing a thread
// before the request is parsed.
std::string_view HttpTarget(std::string_view head);

// A short answer that closes the connection, for requests that don't reach a page.
std::string ClosingAnswer(int status, std::string_view reason);

struct HttpAnswer {
  std::string bytes;
  bool close = false;  // after them
  bool bad = false;    // the request was malformed
};

class HttpExchange {
 public:
  // `keep_alive_s` and `max_requests` are what clients are told of a connection.
  HttpExchange(HttpHandler handler, int keep_alive_s, std::size_t max_requests);
  ~HttpExchange();

  // `head`: HttpHeadLength bytes of a connection. Never throws; a page that does gives a 500.
  // `last`: the connection is to be closed after it whatever the client says.
  [[nodiscard]] HttpAnswer Answer(std::string_view head, bool last) const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_HTTP_EXCHANGE_H_
