// A client's way to one server of the pool: keeps a connection up, checks by a hello that both
// sides route alike, and makes the connection anew when it breaks.
//
// While there is no connection, calls wait for one, for up to `patience` and their deadline, and
// then fail with kUnavailable: the server was never asked. Calls in flight when a connection breaks
// fail at once and are not sent again: a write may have been applied. At most kMaxInFlight calls
// are in flight; more wait their turn, in order, so that no client overruns its server (rule 7 of
// transport.h).
//
//   kConnecting --hello--> kUp --break--> kDown --backoff--> kConnecting
//
// Thread safety: all of it. `done` of a call runs on the transport's progress thread, on the
// executor's, or inside Start (then only with an error). No lock is held meanwhile.
#ifndef CAIRN_SRC_DRAM_POOL_SERVER_LINK_H_
#define CAIRN_SRC_DRAM_POOL_SERVER_LINK_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/dram/pool/request_server.h"
#include "src/dram/transport.h"

namespace cairn::dram {

inline constexpr std::size_t kMaxInFlight = kMaxUnansweredRequests / 4;

class ServerLink : public std::enable_shared_from_this<ServerLink> {
 public:
  struct Options {
    std::string address;
    Endpoint endpoint;
    TableInfo table;
    Duration patience = std::chrono::seconds(2);
    // How long a server may take to answer the hello.
    Duration hello_limit = std::chrono::seconds(5);
  };
  // Names one call for Cancel.
  class Ticket;

  // `transport` and `clock` outlive Shutdown, `executor` the link.
  ServerLink(Transport* transport, SerialExecutor* executor, const Clock* clock, Options options);
  ~ServerLink();

  // Begins to connect. Once.
  void Open();
  // Ends all calls with kUnavailable and waits for callbacks that run. Calls started later fail.
  // Not from a callback.
  void Shutdown();

  std::shared_ptr<Ticket> Start(Call call);
  // The call ends with kCancelled, unless it has ended.
  void Cancel(const std::shared_ptr<Ticket>& ticket);

  [[nodiscard]] PeerStatus status() const;
  [[nodiscard]] const std::string& address() const { return options_.address; }

 private:
  enum class State : std::uint8_t { kDown, kConnecting, kUp, kClosed };
  using Waiting = std::list<std::shared_ptr<Ticket>>;

  void Connect();
  void OnHello(std::uint64_t epoch, Result<Answer> answer);
  Status CheckHello(const Result<Answer>& answer) const;
  void OnClosed(std::uint64_t epoch, const Status& why);
  void Submit(const std::shared_ptr<Ticket>& ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Submits what waits, as far as there is room.
  void SubmitWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A call of that connection has ended.
  void OnEnded(std::uint64_t epoch);
  void ArmGiveUp(MonotonicTime when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnGiveUp();
  [[nodiscard]] Status NotConnected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Fail(Waiting* waiting, const Status& why);

  Transport* const transport_;
  SerialExecutor* const executor_;
  const Clock* const clock_;
  const Options options_;

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kDown;
  // Counts connections: callbacks of an earlier one are told by it.
  std::uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  // Destroyed without the lock, on the executor or in Shutdown, never in a callback of its own.
  std::unique_ptr<Connection> connection_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // For a connection, or for their turn on it.
  Waiting waiting_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime armed_ ABSL_GUARDED_BY(mutex_) = MonotonicTime::Max();
  Duration backoff_ ABSL_GUARDED_BY(mutex_);
  Status last_error_ ABSL_GUARDED_BY(mutex_);
  // The server's answer was a no that only a change of configuration can turn: calls fail with
  // last_error_ instead of waiting.
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  // The connection on which it said so.
  std::uint64_t refused_epoch_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_SERVER_LINK_H_
