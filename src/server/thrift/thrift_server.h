// The Thrift server of a node: one port, a thread a connection.
//
// Why a loop of our own and not Thrift's TThreadedServer: that one has no cap (or, with one, stops
// accepting, so that new clients hang), gives every thread the default 8 MiB stack, and cannot wake
// idle connections one by one when it stops. A thread a connection is right here: a call may wait
// for the log, clients send one call at a time, and an idle connection costs a small stack and two
// small buffers: 20 KB of memory with glibc's allocator, 35 KB in a node. What answers hold while
// clients take them is bounded for all connections together (answer_bytes).
//
// Beyond max_connections a client is told so: its first call is answered with a
// TApplicationException that names the cap and the knob, and the connection is closed. At most
// `refusal_lane` connections are being told at a time; beyond that a connection is closed at once.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_THRIFT_THRIFT_SERVER_H_
#define CAIRN_SRC_SERVER_THRIFT_THRIFT_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"

namespace apache::thrift {
class TProcessor;
}

namespace cairn::server {

struct ThriftServerOptions {
  std::string bind_address = "127.0.0.1";  // see Listen in listener.h
  std::uint16_t port = 9090;               // 0: any free one
  std::uint32_t max_connections = 10'000;
  std::uint32_t refusal_lane = 64;
  // Of a connection's thread. Sanitizers need more, and get it.
  std::size_t stack_bytes = 256 << 10;
  // Limits::message_bytes.
  std::size_t message_bytes = 64 << 20;
  // A message must arrive, and an answer be taken, within this, and a second more for every 64 KiB.
  // Idle connections are kept for ever.
  Duration message_timeout = std::chrono::seconds(30);
  // Limits::answer_bytes: keys and values of answers that clients have not taken yet, twice for
  // framed ones. Beyond it calls fail with RESOURCE_EXHAUSTED, and a connection that has not taken
  // its answer within message_timeout is cut.
  std::size_t answer_bytes = 256 << 20;
  // How long a client beyond the cap may take to send its first call.
  Duration refusal_timeout = std::chrono::seconds(2);
};

// Counters since start, but for connections_open and answer_bytes.
struct ThriftServerFigures {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  // beyond a cap, of ours or of the system
  std::uint64_t protocol_errors = 0;
  std::uint64_t calls = 0;
  std::uint64_t answer_bytes = 0;  // held for clients, now
};

struct Listener;  // listener.h

class ThriftServer {
 public:
  // Listens, and serves calls with `processor` from then on. `clock` must be the machine's and must
  // outlive the server. kIoError if the address can't be listened on.
  static Result<std::unique_ptr<ThriftServer>> Start(
      const ThriftServerOptions& options, std::shared_ptr<apache::thrift::TProcessor> processor,
      const Clock* clock);
  // The same on sockets that listen already, for a caller that has to know the port before it can
  // make the processor; options.bind_address and options.port are not used.
  static Result<std::unique_ptr<ThriftServer>> Start(
      const ThriftServerOptions& options, Listener listener,
      std::shared_ptr<apache::thrift::TProcessor> processor, const Clock* clock);
  // Stop, for as long as it takes.
  ~ThriftServer();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] ThriftServerFigures figures() const;

  // Stops accepting, wakes idle connections, and lets running calls finish and answer for `grace`;
  // then cuts the connections that are left. True if every thread has ended. False: calls are still
  // running (they wait for the log, say). Make them end, by stopping what they wait for, and call
  // again or destroy the server.
  bool Stop(Duration grace);

 private:
  class Impl;
  explicit ThriftServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_THRIFT_SERVER_H_
