#include "src/server/node_service.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

#include "src/consensus/core/quorum.h"
#include "src/replication/stall.h"

namespace cairn::server {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// Wall time in whole seconds, as the old wire counts.
std::int64_t Seconds(WallTime time) { return time.us / kMicrosPerSecond; }

Status PastDeadline() {
  return TimeoutError("the deadline had passed when the request arrived; nothing was done");
}

// It answers and has a vote to give, although it may have no room for writes.
bool IsThere(const NodeStatus& node) {
  return node.status == "healthy" || node.status == "degraded";
}

}  // namespace

std::string_view NameOf(consensus::Role role) {
  switch (role) {
    case consensus::Role::kFollower:
      return "follower";
    case consensus::Role::kCandidate:
      return "candidate";
    case consensus::Role::kLeader:
      return "leader";
    case consensus::Role::kLearner:
      return "learner";
  }
  return "unknown";
}

std::string ClusterStatus(const std::vector<NodeStatus>& nodes,
                          const consensus::Membership& membership) {
  const auto healthy = [](const NodeStatus& node) { return node.status == "healthy"; };
  if (std::all_of(nodes.begin(), nodes.end(), healthy)) return "healthy";
  const consensus::Voters voters = membership.Voters();
  const auto vote_of = [&](const consensus::PeerId& voter) {
    // One that is being replaced by another incarnation is gone, whoever answers under its number.
    const consensus::Membership::Member* const seat = membership.Find(voter.node);
    const bool there =
        seat != nullptr && seat->id() == voter &&
        std::any_of(nodes.begin(), nodes.end(), [&](const NodeStatus& node) {
          return NodeId(static_cast<NodeId::rep>(node.node_id)) == voter.node && IsThere(node);
        });
    return there ? consensus::Vote::kGranted : consensus::Vote::kRefused;
  };
  // A node by itself has no members.
  const bool majority =
      voters.empty() ? IsThere(nodes.front())
                     : consensus::CountVotes(membership, vote_of) == consensus::VoteOutcome::kWon;
  return majority ? "degraded" : "unhealthy";
}

NodeService::NodeService(const NodeServiceOptions& options, replication::RoutingManager* routing,
                         replication::Replica* replica, replication::StateMachineExecutor* executor,
                         storage::Engine* engine, replication::FaultInjector* faults,
                         const Clock* clock)
    : options_(options),
      routing_(routing),
      replica_(replica),
      executor_(executor),
      engine_(engine),
      faults_(faults),
      clock_(clock),
      started_(clock->Now()),
      admin_(replica, executor, clock),
      states_(replica, executor, clock) {}

NodeService::Running NodeService::Begin(Wire wire, const kv::KvOperation& operation, CountAs as,
                                        MonotonicTime now) {
  const bool transaction = std::holds_alternative<kv::AtomicCommit>(operation);
  if (transaction) active_transactions_.fetch_add(1, std::memory_order_relaxed);
  const std::size_t index = as == CountAs::kGetKey      ? kGetKeyOperation
                            : as == CountAs::kScanBatch ? kScanOperation
                                                        : operation.index();
  return {wire, index, transaction, as != CountAs::kScanBatch, ShapeOf(operation), now};
}

void NodeService::End(const Running& request, StatusCode outcome) {
  if (request.transaction) active_transactions_.fetch_sub(1, std::memory_order_relaxed);
  const MonotonicTime now = clock_->Now();
  const Duration took = now - request.begun;
  if (request.counted) requests_.Record(request.wire, request.operation, outcome, took);
  slow_.Record({now, took, request.wire, request.operation, outcome, request.shape});
}

Result<kv::OperationResult> NodeService::Execute(Wire wire,
                                                 const replication::RequestContext& context,
                                                 kv::KvOperation operation) {
  const MonotonicTime now = clock_->Now();
  const Running request = Begin(wire, operation, CountAs::kItself, now);
  if (context.deadline <= now) {
    End(request, StatusCode::kTimeout);
    return PastDeadline();
  }
  auto result = replication::ExecuteAndWait(routing_, context, std::move(operation));
  End(request, result.status().code());
  return result;
}

void NodeService::ExecuteAsync(Wire wire, const replication::RequestContext& context,
                               kv::KvOperation operation, replication::OperationCallback done,
                               CountAs as) {
  const MonotonicTime now = clock_->Now();
  const Running request = Begin(wire, operation, as, now);
  if (context.deadline <= now) {
    End(request, StatusCode::kTimeout);
    done(PastDeadline());
    return;
  }
  routing_->Execute(
      context, std::move(operation),
      [this, request, done = std::move(done)](Result<kv::OperationResult> result) mutable {
        End(request, result.status().code());
        done(std::move(result));
      });
}

void NodeService::RecordCall(Wire wire, std::size_t operation, std::optional<StatusCode> outcome,
                             Duration took) {
  if (outcome) {
    requests_.Record(wire, operation, *outcome, took);
  } else {
    requests_.RecordStalled(wire, operation, took);
  }
}

Status NodeService::Ready() const {
  CAIRN_RETURN_IF_ERROR(states_.MayGoOn());
  for (ReadinessCheck& check : Readiness()) {
    if (check.needed && !check.status.ok()) return std::move(check.status);
  }
  return Status::Ok();
}

std::vector<ReadinessCheck> NodeService::Readiness() const {
  const replication::ReplicaStatus status = replica_->status();
  std::vector<ReadinessCheck> checks;
  checks.push_back({"recovered",
                    status.recovered ? Status::Ok()
                                     : UnavailableError("the node is still replaying its journal"),
                    true});
  checks.push_back(
      {"member",
       status.removed ? UnavailableError("this node was removed from its cluster") : Status::Ok(),
       true});
  checks.push_back({"leader",
                    status.leadership.leader.has_value()
                        ? Status::Ok()
                        : UnavailableError("no leader is known: an election is under way, or a "
                                           "majority of the members is out of reach"),
                    true});
  checks.push_back({"writes", replication::WhyWritesWait(status), false});
  if (const auto snapshot = replica_->incoming_snapshot()) {
    checks.push_back(
        {"snapshot",
         UnavailableError("node " + ToString(snapshot->from) + " sends the state of slot " +
                          ToString(snapshot->slot) + ": " + std::to_string(snapshot->have_bytes) +
                          " of " + std::to_string(snapshot->total_bytes) +
                          " bytes are here; until it is installed reads at 'local' see the state "
                          "before, and others wait"),
         false});
  }
  return checks;
}

TransactionFigures NodeService::Transactions() const {
  TransactionFigures figures;
  figures.active = static_cast<std::uint64_t>(
      std::max<std::int64_t>(active_transactions_.load(std::memory_order_relaxed), 0));
  const RequestMetrics::Totals totals = requests_.Sum();
  figures.committed = totals.committed;
  figures.aborted = totals.aborted;
  return figures;
}

void NodeService::SetEndpoints(std::string grpc, std::string http) {
  MutexLock lock(&endpoints_mutex_);
  endpoints_.grpc = std::move(grpc);
  endpoints_.http = std::move(http);
}

Endpoints NodeService::endpoints() const {
  MutexLock lock(&endpoints_mutex_);
  Endpoints all = endpoints_;
  all.thrift = options_.endpoint;
  return all;
}

std::string NodeService::LeaderGrpcEndpoint() const {
  const std::optional<NodeId> leader = replica_->status().leadership.leader;
  if (!leader) return {};
  return *leader == options_.node_id ? endpoints().grpc : replica_->ReportedEndpoints(*leader).grpc;
}

NodeStatus NodeService::Self(const replication::ReplicaStatus& status) const {
  NodeStatus self;
  self.node_id = static_cast<std::int32_t>(options_.node_id.value());
  self.endpoint = options_.endpoint;
  self.grpc_endpoint = endpoints().grpc;
  self.is_learner = status.leadership.role == consensus::Role::kLearner;
  // A node that still replays its journal cannot tell yet, and one that was removed is nobody's
  // member; one that refuses proposals (a full disk), or whose proposals wait, still serves reads.
  const bool known = status.recovered && !status.removed;
  self.status = !known                                    ? "unknown"
                : replication::WhyWritesWait(status).ok() ? "healthy"
                                                          : "degraded";
  self.is_leader = status.leadership.role == consensus::Role::kLeader;
  self.last_seen_s = Seconds(clock_->Wall());
  self.epoch = static_cast<std::int64_t>(status.leadership.epoch.value());
  self.uptime_s =
      std::chrono::duration_cast<std::chrono::seconds>(clock_->Now() - started_).count();
  return self;
}

NodeStatus NodeService::Other(const PeerSight& peer,
                              const replication::ReplicaStatus& status) const {
  NodeStatus other;
  other.node_id = static_cast<std::int32_t>(peer.node.value());
  other.endpoint = peer.endpoint;
  other.is_learner = peer.is_learner;
  if (peer.report) other.grpc_endpoint = peer.report->endpoints.grpc;
  other.is_leader = status.leadership.leader == peer.node;
  other.epoch = static_cast<std::int64_t>(status.leadership.epoch.value());
  if (!peer.silent_for) {
    other.status = "unknown";
    return other;
  }
  const bool well = !peer.report || peer.report->problem.empty();
  // A process that ends takes its connections along; one that hangs is silent.
  const bool cut =
      !peer.lanes.empty() && std::none_of(peer.lanes.begin(), peer.lanes.end(),
                                          [](const LaneSight& lane) { return lane.connected; });
  other.status = cut || *peer.silent_for > options_.node_timeout ? "unreachable"
                 : well                                          ? "healthy"
                                                                 : "degraded";
  if (peer.report) {
    other.uptime_s = std::chrono::duration_cast<std::chrono::seconds>(peer.report->uptime).count();
    other.epoch = static_cast<std::int64_t>(peer.report->epoch.value());
  }
  other.last_seen_s = Seconds(clock_->Wall()) -
                      std::chrono::duration_cast<std::chrono::seconds>(*peer.silent_for).count();
  return other;
}

std::vector<NodeStatus> NodeService::Nodes(const replication::ReplicaStatus& status) const {
  std::vector<NodeStatus> nodes = {Self(status)};
  if (options_.peers) {
    for (const PeerSight& peer : options_.peers()) nodes.push_back(Other(peer, status));
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const NodeStatus& a, const NodeStatus& b) { return a.node_id < b.node_id; });
  return nodes;
}

ClusterHealth NodeService::Health() const {
  const replication::ReplicaStatus status = replica_->status();
  ClusterHealth health;
  health.nodes = Nodes(status);
  for (const NodeStatus& node : health.nodes) {
    if (node.status == "healthy") ++health.healthy_nodes;
    if (node.is_leader) health.leader = node;
  }
  health.status = ClusterStatus(health.nodes, status.membership);
  // All may be well, and nothing gets through until somebody leads.
  if (health.status == "healthy" && !health.leader) health.status = "degraded";
  health.epoch = static_cast<std::int64_t>(status.leadership.epoch.value());
  return health;
}

namespace {

// The group as the replica's core sees it; nothing if it has stopped, or says nothing for `bound`.
std::optional<replication::GroupView> ViewWithin(replication::Replica* replica, Duration bound) {
  // Shared with the answer, which may come when nobody waits any more.
  struct Answer {
    Mutex mutex;
    CondVar given;
    bool there ABSL_GUARDED_BY(mutex) = false;
    std::optional<replication::GroupView> view ABSL_GUARDED_BY(mutex);
  };
  const auto answer = std::make_shared<Answer>();
  replica->View([answer](std::optional<replication::GroupView> view) {
    MutexLock lock(&answer->mutex);
    answer->there = true;
    answer->view = std::move(view);
    answer->given.Signal();
  });
  const auto until = std::chrono::steady_clock::now() + bound;
  MutexLock lock(&answer->mutex);
  while (!answer->there) {
    if (!answer->given.WaitUntil(&answer->mutex, until)) break;
  }
  return std::exchange(answer->view, std::nullopt);
}

}  // namespace

std::vector<PeerSight> NodeService::PeersAndProgress() const {
  std::vector<PeerSight> peers = Peers();
  if (peers.empty() || replica_->status().leadership.role != consensus::Role::kLeader) return peers;
  const auto view = ViewWithin(replica_, options_.progress_bound);
  if (view) AddProgress(*view, &peers);
  return peers;
}

Result<NodeStatus> NodeService::NodeInfo(std::optional<std::int32_t> node_id) const {
  const replication::ReplicaStatus status = replica_->status();
  if (!node_id.has_value()) return Self(status);
  std::string members;
  for (NodeStatus& node : Nodes(status)) {
    if (node.node_id == *node_id) return std::move(node);
    members += (members.empty() ? "" : ", ") + std::to_string(node.node_id);
  }
  return NotFoundError("there is no node " + std::to_string(*node_id) +
                       " in this cluster; its members are: " + members);
}

DatabaseStats NodeService::Stats() const {
  const storage::EngineFigures figures = engine_->Figures();
  DatabaseStats stats;
  stats.total_keys = static_cast<std::int64_t>(figures.estimated_keys.value_or(0));
  stats.total_size_bytes = static_cast<std::int64_t>(figures.bytes_on_disk.value_or(0) +
                                                     figures.unflushed_bytes.value_or(0));
  const RequestMetrics::Totals totals = requests_.Sum();
  stats.writes = static_cast<std::int64_t>(totals.writes);
  stats.reads = static_cast<std::int64_t>(totals.reads);
  if (totals.writes + totals.reads > 0) {
    stats.average_response_time_ms = static_cast<double>(totals.nanoseconds) / 1e6 /
                                     static_cast<double>(totals.writes + totals.reads);
  }
  stats.active_transactions = active_transactions_.load(std::memory_order_relaxed);
  stats.committed_transactions = static_cast<std::int64_t>(totals.committed);
  stats.aborted_transactions = static_cast<std::int64_t>(totals.aborted);
  if (figures.cache_hits.has_value() && figures.cache_misses.has_value()) {
    // Before the first lookup, none of none: 0.
    const std::uint64_t lookups = *figures.cache_hits + *figures.cache_misses;
    stats.cache_hit_rate_percent =
        static_cast<std::int64_t>(lookups == 0 ? 0 : 100 * *figures.cache_hits / lookups);
  }
  if (figures.compaction_pending_bytes.has_value()) {
    stats.compaction_pending_bytes = static_cast<std::int64_t>(*figures.compaction_pending_bytes);
  }
  return stats;
}

}  // namespace cairn::server
