// The transport contract of the memory plane: requests and answers between processes, each of a
// short header and a payload of up to 4 GiB that is not copied where the transport can help it.
//
//   server: Listen(address, handler) -> handler->OnRequest(request) -> Receive, Reply
//   client: Connect(address) -> Start(call) -> allocate(header, size), done(answer)
//
// What headers and payloads mean is above this contract (src/dram/messages.h). Whether a payload
// goes along with its header (eager) or is fetched when the other side has a place for it
// (rendezvous) is the transport's choice; users can't tell.
//
// Rules for every implementation, which src/dram/testing/transport_conformance.h checks:
//
//   1. Start, Cancel, Close, Connect and Reply never block, may be called from any thread and from
//      callbacks, and run no callback of the user inside the call.
//   2. All callbacks run on the transport's progress thread (or on a thread inside Poll or the
//   helper),
//      one at a time for a connection. They must not block. A transport holds no lock of its own
//      across a callback.
//   3. Every Call's `done` runs exactly once: with the answer; kTimeout at its deadline or soon
//      after; kCancelled after Cancel; kUnavailable when the connection breaks or is closed, at
//      once for all calls in flight. A status says maybe_applied() if any part of the request may
//      have been sent.
//   4. A payload's pin is dropped as soon as the transport needs the bytes no more. That may be
//      after `done` when a call ends early, but not long after: a transport that can't take a
//      payload back from the network within kReleaseGrace of the end of its call breaks the
//      connection. The same holds for a place that `allocate` or Receive gave: its pin is dropped
//      only when nothing can write there any more.
//   5. Requests of one connection reach the handler in the order of their Start calls. Answers come
//      in any order.
//   6. A connection that breaks stays broken; its `on_closed` runs once, after every `done`. Making
//      a new one is up to the user.
//   7. What the network sends is hostile until proven otherwise: lengths are checked before use,
//   and
//      a frame that breaks the format (docs/formats/dram_wire.md) breaks its connection, with a log
//      line, and no other. A listener whose peer has more than kMaxUnansweredRequests requests
//      unanswered breaks that connection.
//   8. After the destructor of a Listener, Connection or Transport returns, none of its callbacks
//      runs any more. Destructors may block for callbacks that run; they must not be called from
//      one of their own callbacks.
#ifndef CAIRN_SRC_DRAM_TRANSPORT_H_
#define CAIRN_SRC_DRAM_TRANSPORT_H_

#include <absl/functional/any_invocable.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cairn/future.h"
#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"

namespace cairn::dram {

// A header is at most this long, so that it fits into one active message; what may be longer goes
// into the payload.
inline constexpr std::size_t kMaxHeaderBytes = 6144;
inline constexpr std::uint64_t kMaxPayloadBytes = kMaxValueBytes;
inline constexpr std::size_t kMaxUnansweredRequests = 16384;
inline constexpr std::chrono::milliseconds kReleaseGrace{200};

// Memory to write a payload into. The pin keeps it valid.
struct MutableBuffer {
  char* data = nullptr;
  std::size_t size = 0;
  std::shared_ptr<void> pin;
};

struct Answer {
  std::string header;
  Buffer payload;
};

// One request of a client.
struct Call {
  // At most kMaxHeaderBytes.
  std::string header;
  // Unchanged until its pin is dropped (rule 4). A Buffer without a pin is the user's risk: the
  // bytes must stay valid as long as a pin would have been held, so use one that tells.
  Buffer payload;
  MonotonicTime deadline = MonotonicTime::Max();
  // Gives a place of `payload_size` bytes for the answer's payload, which is not empty. Null, or an
  // error: the transport takes memory of its own for null, and for an error ends the call with it.
  absl::AnyInvocable<Result<MutableBuffer>(std::string_view header, std::uint64_t payload_size)>
      allocate;
  // Must be set.
  absl::AnyInvocable<void(Result<Answer>)> done;
};

// Names a call of one connection; never reused there. 0 is none.
using CallId = std::uint64_t;
// Names a connection within a listener; never reused there.
using ConnectionId = std::uint64_t;

// A client's connection to one address. Thread safe. It may still be in the making: calls started
// meanwhile wait for it.
class Connection {
 public:
  virtual ~Connection() = default;
  // `call.header` and the payload must keep the bounds above; else done gets kInvalidArgument.
  virtual CallId Start(Call call) = 0;
  // The call ends with kCancelled, unless it has ended. An unknown id is fine.
  virtual void Cancel(CallId id) = 0;
  // Breaks the connection: calls in flight end with `reason`, then on_closed(reason) runs.
  virtual void Close(Status reason) = 0;
};

// A request as the server sees it. Owned by the handler. If it is destroyed without a Reply, the
// client gets kUnavailable. It must not outlive its Listener.
class IncomingRequest {
 public:
  virtual ~IncomingRequest() = default;
  [[nodiscard]] virtual ConnectionId connection() const = 0;
  // It came out of memory that the client's process shares with this one.
  [[nodiscard]] virtual bool over_shared_memory() const { return false; }
  // Valid while this object lives.
  [[nodiscard]] virtual std::string_view header() const = 0;
  [[nodiscard]] virtual std::uint64_t payload_size() const = 0;
  // Moves the payload into `into`, of exactly payload_size() bytes, then runs `received` on the
  // progress thread, perhaps inside this call. On an error (the peer is gone) the bytes are
  // undefined. Called at most once, on the progress thread, and not for an empty payload. The
  // object may be destroyed before `received` runs, which then still runs.
  virtual void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) = 0;
  // Sends the answer; a payload that was not received is dropped. At most once, from any thread;
  // then destroy this object. If the peer is gone, nothing happens but that the pin is dropped.
  virtual void Reply(std::string header, Buffer payload) = 0;
};

// What a server does with requests. Called on the progress thread.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void OnRequest(std::unique_ptr<IncomingRequest> request) = 0;
  // The peer of a connection that had requests is gone. No request of it comes afterwards.
  virtual void OnDisconnect(ConnectionId connection) = 0;
};

// Takes connections at an address. Destroying it breaks them.
class Listener {
 public:
  virtual ~Listener() = default;
  // As asked for, with the real port if that was 0.
  [[nodiscard]] virtual Endpoint address() const = 0;
  // Connections that are open now.
  [[nodiscard]] virtual std::size_t connections() const = 0;
};

// Thread safe. Outlives its listeners and connections.
class Transport {
 public:
  virtual ~Transport() = default;
  // "loopback", "TCP": what carries frames between hosts, for messages.
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Makes [base, base + size) known to the network hardware, so that payloads in it need no copy
  // and no registration of their own. It stays so until the result is destroyed, which must happen
  // before the memory goes. Not needed for correctness.
  virtual Result<std::shared_ptr<void>> RegisterMemory(void* base, std::size_t size) = 0;
  // `address.port` 0 takes a free one. `handler` outlives the listener. kIoError or
  // kInvalidArgument, with the address, if it can't listen there.
  virtual Result<std::unique_ptr<Listener>> Listen(const Endpoint& address,
                                                   RequestHandler* handler) = 0;
  // Begins a connection. A failure to make one shows as a break: on_closed(kUnavailable).
  // `on_closed` may be null.
  virtual std::unique_ptr<Connection> Connect(const Endpoint& address,
                                              absl::AnyInvocable<void(Status)> on_closed) = 0;
  // Makes progress on the calling thread, if the transport allows that (busy polling). True if
  // anything happened.
  virtual bool Poll() { return false; }
  // Lets a thread that waits for an answer make progress itself, which saves the way over the
  // progress thread. May outlive the transport, and is of no use then. Null: there is none.
  [[nodiscard]] virtual std::shared_ptr<internal::FutureHelper> helper() { return nullptr; }
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_TRANSPORT_H_
