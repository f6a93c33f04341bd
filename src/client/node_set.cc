#include "src/client/node_set.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/client/address.h"

namespace cairn::client {
namespace {

// Weight of the newest measurement in the smoothed latency.
constexpr double kNewest = 0.2;
// Nodes that a cluster's own words may add; far above any cluster, so that nobody can fill memory.
constexpr std::size_t kMostNodes = 256;

bool Contains(const std::vector<NodeSet::Index>& nodes, NodeSet::Index node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

NodeSet::NodeSet(const NodeSetOptions& options, const std::vector<std::string>& endpoints,
                 ChannelFactory factory)
    : options_(options), factory_(std::move(factory)) {
  CAIRN_CHECK(!endpoints.empty());
  MutexLock lock(&mutex_);
  for (const std::string& endpoint : endpoints) Add(endpoint);
}

NodeSet::Index NodeSet::Add(const std::string& endpoint) {
  Node node;
  node.endpoint = endpoint;
  node.channel = factory_(endpoint);
  if (options_.breaker) node.breaker.emplace(*options_.breaker);
  nodes_.push_back(std::move(node));
  return nodes_.size() - 1;
}

std::optional<NodeSet::Index> NodeSet::FindOrAdd(const std::string& endpoint) {
  const auto address = ParseAddress(endpoint);
  if (!address.ok()) return std::nullopt;
  const std::string name = address->ToString();
  for (Index i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].endpoint == name) return i;
  }
  if (nodes_.size() >= kMostNodes) return std::nullopt;
  return Add(name);
}

bool NodeSet::MayUse(Index node, MonotonicTime now) const {
  return !nodes_[node].breaker || nodes_[node].breaker->Allows(now);
}

bool NodeSet::MayUseUrgently(Index node, MonotonicTime now) const {
  return !nodes_[node].breaker || nodes_[node].breaker->AllowsUrgently(now);
}

std::optional<NodeSet::Index> NodeSet::FirstUsable(Index preferred, MonotonicTime now,
                                                   const std::vector<Index>& avoid) const {
  std::optional<Index> last_resort;
  for (Index i = 0; i < nodes_.size(); ++i) {
    const Index node = (preferred + i) % nodes_.size();
    if (!MayUse(node, now)) continue;
    if (!Contains(avoid, node)) return node;
    if (!last_resort) last_resort = node;
  }
  for (Index i = 0; i < nodes_.size() && !last_resort; ++i) {
    const Index node = (preferred + i) % nodes_.size();
    if (MayUseUrgently(node, now)) last_resort = node;
  }
  return last_resort;
}

std::optional<NodeSet::Index> NodeSet::Taken(std::optional<Index> node, MonotonicTime now) {
  if (node) {
    ++nodes_[*node].calls;
    if (nodes_[*node].breaker) nodes_[*node].breaker->Take(now);
  }
  return node;
}

std::optional<NodeSet::Index> NodeSet::ChooseForWrite(MonotonicTime now,
                                                      const std::vector<Index>& avoid) {
  MutexLock lock(&mutex_);
  // A leader is known here only by its own answers or by another node's word: none but it can do
  // the work, so it is asked again soon after a failure.
  if (leader_ && MayUseUrgently(*leader_, now) && !Contains(avoid, *leader_)) {
    return Taken(leader_, now);
  }
  const std::optional<Index> node = FirstUsable(next_write_ % nodes_.size(), now, avoid);
  if (node) next_write_ = *node + 1;
  return Taken(node, now);
}

std::optional<NodeSet::Index> NodeSet::ChooseForRead(MonotonicTime now,
                                                     const std::vector<Index>& avoid) {
  MutexLock lock(&mutex_);
  Index preferred = 0;
  switch (options_.strategy) {
    case ReadStrategy::kLeaderOnly:
      preferred = leader_.value_or(next_write_ % nodes_.size());
      if (!leader_) next_write_ = preferred + 1;
      break;
    case ReadStrategy::kRoundRobin:
      preferred = next_read_++ % nodes_.size();
      break;
    case ReadStrategy::kNearest:
      preferred = Nearest(now, avoid);
      break;
    case ReadStrategy::kSticky:
      preferred = options_.sticky_node;
      break;
  }
  // A read that failed elsewhere goes to the leader first: it is never behind.
  if (!avoid.empty() && leader_ && !Contains(avoid, *leader_)) preferred = *leader_;
  return Taken(FirstUsable(preferred, now, avoid), now);
}

NodeSet::Index NodeSet::Nearest(MonotonicTime now, const std::vector<Index>& avoid) {
  ++reads_;
  if (reads_ % options_.explore_one_in == 0) return next_read_++ % nodes_.size();
  std::optional<Index> best;
  for (Index i = 0; i < nodes_.size(); ++i) {
    if (!MayUse(i, now) || Contains(avoid, i)) continue;
    // A node without a measurement is asked first.
    if (!best || nodes_[i].latency_ns < nodes_[*best].latency_ns) best = i;
  }
  return best.value_or(0);
}

MonotonicTime NodeSet::NextProbe(MonotonicTime now) const {
  MutexLock lock(&mutex_);
  // A probe that is on its way will have its answer by then, more often than not.
  MonotonicTime next = now + CircuitBreaker::kUrgentProbe;
  for (const Node& node : nodes_) {
    if (node.breaker && node.breaker->state() == CircuitBreaker::State::kOpen) {
      next = std::min(next, node.breaker->urgent_from());
    }
  }
  return std::max(next, now + std::chrono::milliseconds(1));
}

void NodeSet::OnAnswer(Index node, Duration latency) {
  MutexLock lock(&mutex_);
  Node& n = nodes_[node];
  if (n.breaker) n.breaker->OnSuccess();
  if (latency == Duration::zero()) return;
  const auto ns = static_cast<double>(latency.count());
  n.latency_ns = n.latency_ns == 0 ? ns : n.latency_ns + kNewest * (ns - n.latency_ns);
}

void NodeSet::OnNoAnswer(Index node, MonotonicTime now) {
  MutexLock lock(&mutex_);
  ++nodes_[node].failures;
  if (nodes_[node].breaker) nodes_[node].breaker->OnFailure(now);
  if (leader_ == node && nodes_.size() > 1) leader_.reset();
}

void NodeSet::OnCancelled(Index node) {
  MutexLock lock(&mutex_);
  if (nodes_[node].breaker) nodes_[node].breaker->Release();
}

bool NodeSet::OnNotLeader(Index node, const std::string& hint) {
  MutexLock lock(&mutex_);
  if (hint.empty() || hint == nodes_[node].endpoint) {
    if (leader_ == node) leader_.reset();
    return false;
  }
  leader_ = FindOrAdd(hint);
  return leader_.has_value();
}

void NodeSet::OnLeads(Index node) {
  MutexLock lock(&mutex_);
  leader_ = node;
}

void NodeSet::SetLeader(const std::string& endpoint) {
  MutexLock lock(&mutex_);
  if (const std::optional<Index> node = FindOrAdd(endpoint)) leader_ = node;
}

std::shared_ptr<NodeChannel> NodeSet::channel(Index node) const {
  MutexLock lock(&mutex_);
  return nodes_[node].channel;
}

std::string NodeSet::endpoint(Index node) const {
  MutexLock lock(&mutex_);
  return nodes_[node].endpoint;
}

std::size_t NodeSet::size() const {
  MutexLock lock(&mutex_);
  return nodes_.size();
}

std::vector<EndpointState> NodeSet::States() const {
  MutexLock lock(&mutex_);
  std::vector<EndpointState> states;
  for (Index i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    EndpointState state;
    state.endpoint = node.endpoint;
    if (node.breaker) state.breaker = node.breaker->state();
    state.believed_leader = leader_ == i;
    state.latency = Duration(static_cast<std::int64_t>(node.latency_ns));
    state.calls = node.calls;
    state.failures = node.failures;
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::shared_ptr<NodeChannel>> NodeSet::Channels() const {
  MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<NodeChannel>> channels;
  channels.reserve(nodes_.size());
  for (const Node& node : nodes_) channels.push_back(node.channel);
  return channels;
}

}  // namespace cairn::client
