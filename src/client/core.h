// The middle of a client: runs requests against the nodes it knows, again where that is safe, under
// sessions, within a deadline. The public classes are thin covers of it.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_CORE_H_
#define CAIRN_SRC_CLIENT_CORE_H_

#include <absl/container/flat_hash_set.h>
#include <absl/functional/any_invocable.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cairn/client.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/client/channel.h"
#include "src/client/node_set.h"
#include "src/client/request.h"
#include "src/client/scheduler.h"
#include "src/client/sessions.h"

namespace cairn::client {

class Cancellation;
class Operation;

struct CoreOptions {
  ClientOptions client;
  NodeSetOptions nodes;
  // Writes are sent to the leader (nodes answer kNotLeader), not forwarded by whoever gets them.
  bool follow_leader = false;
  // Of the waits between tries.
  std::uint64_t seed = 1;
  // Called by Close when nothing of the core runs any more: ends the scheduler.
  std::function<void()> stop;
};

// How one request is to be run.
struct RunOptions {
  ReadLevel read_level = ReadLevel::kDefault;
  Version min_version;
  MonotonicTime deadline = MonotonicTime::Max();
  // What cancels it, besides its own way; may be null.
  std::shared_ptr<Cancellation> cancellation;
};

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  using Done = absl::AnyInvocable<void(Result<Answer>)>;

  static std::shared_ptr<ClientCore> Create(CoreOptions options,
                                            const std::vector<std::string>& endpoints,
                                            ChannelFactory factory,
                                            std::shared_ptr<Scheduler> scheduler);
  ~ClientCore();

  // Runs a request and waits for its answer, doing the work of it on this thread where that is
  // possible.
  Result<Answer> Execute(Request request, const RunOptions& options);
  // The same in the background. `done` runs once, on any thread, maybe inside the call. What comes
  // back cancels the request.
  std::function<void()> ExecuteAsync(Request request, const RunOptions& options, Done done);

  // `timeout` from now; the client's own if that is 0.
  [[nodiscard]] MonotonicTime DeadlineIn(std::chrono::milliseconds timeout) const;
  // The wait before another try, after `tries` of them (at least 1); `most` bounds it, besides the
  // policy.
  Duration Backoff(std::uint32_t tries, Duration most = Duration::max());

  // The level that a read asks for: leader, of a client whose strategy that is, unless it says
  // more.
  [[nodiscard]] ReadLevel LevelOf(ReadLevel asked) const;
  // Waits on this thread. False, at once, if `when` is not before `deadline` or the client is
  // closed; or once `cancellation`, which may be null, is cancelled.
  bool SleepUntil(MonotonicTime when, MonotonicTime deadline, Cancellation* cancellation);

  // Asks every node who leads, one after the other, until one knows. Its endpoint.
  Result<std::string> DiscoverLeader();

  void Close();

  [[nodiscard]] const ClientOptions& options() const { return options_.client; }
  [[nodiscard]] bool follow_leader() const { return options_.follow_leader; }
  [[nodiscard]] NodeSet& nodes() { return nodes_; }
  [[nodiscard]] Scheduler& scheduler() { return *scheduler_; }
  [[nodiscard]] Sessions& sessions() { return sessions_; }
  [[nodiscard]] Version last_version() const {
    return Version(last_version_.load(std::memory_order_acquire));
  }
  [[nodiscard]] bool closed() const { return closed_.load(std::memory_order_acquire); }
  // The client has seen a commit of this version.
  void Saw(Version version);

 private:
  friend class Operation;
  ClientCore(CoreOptions options, const std::vector<std::string>& endpoints, ChannelFactory factory,
             std::shared_ptr<Scheduler> scheduler);

  // An operation waits for a timer or a lease, and so must be told of Close. False: closed already.
  bool Park(const std::shared_ptr<Operation>& operation);
  void Unpark(const std::shared_ptr<Operation>& operation);
  void OpenSession(MonotonicTime until, Sessions::Opened opened);
  void CloseSession(SessionId session);
  void CloseSessionsAndWait();

  const CoreOptions options_;
  const std::shared_ptr<Scheduler> scheduler_;
  NodeSet nodes_;
  Sessions sessions_;
  std::atomic<std::uint64_t> last_version_{0};
  std::atomic<bool> closing_{false};
  std::atomic<bool> closed_{false};
  Mutex mutex_;
  SeededRandom random_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::shared_ptr<Operation>> parked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_CORE_H_
