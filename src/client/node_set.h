// The nodes a client knows, which of them leads, how fast they answer, which are left alone; and
// the choice of the node for a call.
//
// Thread safety: all methods from any thread. Nodes are only ever added.
#ifndef CAIRN_SRC_CLIENT_NODE_SET_H_
#define CAIRN_SRC_CLIENT_NODE_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cairn/client.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/client/channel.h"
#include "src/client/circuit_breaker.h"

namespace cairn::client {

struct NodeSetOptions {
  ReadStrategy strategy = ReadStrategy::kLeaderOnly;
  std::size_t sticky_node = 0;
  // Nothing: no node is ever left alone.
  std::optional<CircuitBreakerOptions> breaker;
  // With kNearest: one read in so many goes to another node, to learn how fast it is by now.
  std::uint32_t explore_one_in = 32;
};

class NodeSet {
 public:
  // An index of a node.
  using Index = std::size_t;

  // `endpoints` are addresses as Address::ToString writes them, distinct, and at least one.
  NodeSet(const NodeSetOptions& options, const std::vector<std::string>& endpoints,
          ChannelFactory factory);

  // The node for a write: the leader if it is known, else one after the other. Nodes in `avoid` are
  // taken only if no other may be. Nothing if every breaker is open. The choice counts as a call of
  // the node's breaker: report its outcome.
  std::optional<Index> ChooseForWrite(MonotonicTime now, const std::vector<Index>& avoid);
  // The node for a read, by the strategy.
  std::optional<Index> ChooseForRead(MonotonicTime now, const std::vector<Index>& avoid);
  // When to choose again, after a choice that found nothing: soon after `now`, since a node that
  // must be asked is probed early.
  [[nodiscard]] MonotonicTime NextProbe(MonotonicTime now) const;

  // Outcomes of calls: an answer, whatever it says; none; no verdict. `latency` is zero for calls
  // that say nothing about how near the node is.
  void OnAnswer(Index node, Duration latency);
  void OnNoAnswer(Index node, MonotonicTime now);
  void OnCancelled(Index node);

  // `node` said that it does not lead, and names the leader if it knows it. True if the leader is
  // now believed to be another one than `node`.
  bool OnNotLeader(Index node, const std::string& hint);
  // `node` answered a write.
  void OnLeads(Index node);
  // Sets the leader to `endpoint`, which may be new; one that can't be read is ignored.
  void SetLeader(const std::string& endpoint);

  [[nodiscard]] std::shared_ptr<NodeChannel> channel(Index node) const;
  [[nodiscard]] std::string endpoint(Index node) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<EndpointState> States() const;
  [[nodiscard]] std::vector<std::shared_ptr<NodeChannel>> Channels() const;

 private:
  struct Node {
    std::string endpoint;
    std::shared_ptr<NodeChannel> channel;
    std::optional<CircuitBreaker> breaker;
    double latency_ns = 0;  // smoothed; 0: none yet
    std::uint64_t calls = 0;
    std::uint64_t failures = 0;
  };

  Index Add(const std::string& endpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nothing for an endpoint that can't be read, or one too many.
  std::optional<Index> FindOrAdd(const std::string& endpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool MayUse(Index node, MonotonicTime now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for a node without which nothing goes on.
  [[nodiscard]] bool MayUseUrgently(Index node, MonotonicTime now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first node from `preferred` on, going round, that may be used; one of `avoid` if no other;
  // if none may be used, one that an urgent call may probe.
  [[nodiscard]] std::optional<Index> FirstUsable(Index preferred, MonotonicTime now,
                                                 const std::vector<Index>& avoid) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] Index Nearest(MonotonicTime now, const std::vector<Index>& avoid)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Index> Taken(std::optional<Index> node, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const NodeSetOptions options_;
  const ChannelFactory factory_;
  mutable Mutex mutex_;
  std::vector<Node> nodes_ ABSL_GUARDED_BY(mutex_);
  std::optional<Index> leader_ ABSL_GUARDED_BY(mutex_);
  Index next_write_ ABSL_GUARDED_BY(mutex_) = 0;
  Index next_read_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t reads_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_NODE_SET_H_
