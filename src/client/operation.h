// One request on its way through a client: its tries, its lease, its end.
//
//   Begin -> [lease] -> Try -> channel -> OnOutcome -> Finish
//                        ^                   |
//                        +---- wait <--------+
//
// A write is sent again only if it was certainly not applied, or under its lease. An operation that
// was ever sent without a known outcome (maybe_applied_) never gets a new lease: the old number is
// what keeps it from being applied twice.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_OPERATION_H_
#define CAIRN_SRC_CLIENT_OPERATION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/client/core.h"

namespace cairn::client {

class Operation : public std::enable_shared_from_this<Operation> {
 public:
  // `done` is empty for an operation that is waited for.
  Operation(std::shared_ptr<ClientCore> core, Request request, const RunOptions& options,
            bool driven, ClientCore::Done done);

  void Begin();
  // For driven operations: works and waits until the end.
  Result<Answer> Wait();
  void Cancel();

 private:
  void Try();
  void AwaitLease();
  void OnOutcome(std::uint32_t attempt, NodeSet::Index node, MonotonicTime sent,
                 NodeChannel::Outcome outcome);
  // What to do about a failed try.
  void OnFailure(NodeSet::Index node, Status status, bool answered);
  void OnSessionExpired(Status status);
  // Tries again at `when`; ends with `why` if that is too late.
  void TryAt(MonotonicTime when, Status why);
  void OnLease(Result<Lease> lease);
  void Finish(Result<Answer> result);
  // What an operation lets go when it has ended; the result, if it has a `done`.
  struct Loose {
    std::optional<Lease> lease;
    TimerId timer = 0;
    std::shared_ptr<Call> call;
    ClientCore::Done done;
    std::optional<Result<Answer>> result;
  };
  // The two halves of Finish: with the lock, of an operation that has not ended, and without it.
  Loose End(Result<Answer> result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release(Loose loose) ABSL_LOCKS_EXCLUDED(mutex_);
  // Adds to the status what this operation knows: how often it was tried, and whether it may have
  // been applied.
  void FinishFailed(Status status);

  [[nodiscard]] CallContext Context(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] std::string Name() const;
  // False if the client is closed, which has then ended this operation.
  bool Park();
  void Unpark();
  // Whether the node that leads should get it.
  [[nodiscard]] bool ForLeader() const { return is_write_ || read_level_ == ReadLevel::kLeader; }

  const std::shared_ptr<ClientCore> core_;
  const Request request_;
  const RunOptions options_;
  const bool driven_;
  const bool is_write_;
  const bool wants_session_;
  const ReadLevel read_level_;
  const MonotonicTime started_;

  // Touched by whoever runs the state machine, one at a time; handed on through mutex_.
  std::uint32_t redirects_ = 0;        // NOT_LEADER answers in a row that named another node
  std::uint32_t lost_sessions_ = 0;    // SESSION_EXPIRED answers
  std::vector<NodeSet::Index> avoid_;  // nodes that failed this request

  Mutex mutex_;
  CondVar changed_;
  std::optional<Lease> lease_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t attempt_ ABSL_GUARDED_BY(mutex_) = 0;
  bool maybe_applied_ ABSL_GUARDED_BY(mutex_) = false;
  bool in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  NodeSet::Index in_flight_node_ ABSL_GUARDED_BY(mutex_) = 0;
  TimerId timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
  bool parked_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Result<Answer>> result_ ABSL_GUARDED_BY(mutex_);
  ClientCore::Done done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_OPERATION_H_
