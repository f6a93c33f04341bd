// What every wire of a node offers beside data: ping time, health, statistics, fault injection, and
// counters of requests. Adapters translate between their wire and this; nothing here knows a wire.
//
// Thread safety: all methods from any thread. Figures are measured; one that can't be is absent.
#ifndef CAIRN_SRC_SERVER_NODE_SERVICE_H_
#define CAIRN_SRC_SERVER_NODE_SERVICE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/consensus/core/membership.h"
#include "src/metrics/metrics.h"
#include "src/replication/fault_injector.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/replication/state_machine_executor.h"
#include "src/server/cluster_admin.h"
#include "src/server/peer_sight.h"
#include "src/server/request_metrics.h"
#include "src/server/slow_requests.h"
#include "src/server/state_admin.h"
#include "src/storage/engine.h"

namespace cairn::server {

struct NodeStatus {
  std::int32_t node_id = 0;
  std::string endpoint;       // "host:port" of its Thrift service
  std::string grpc_endpoint;  // of its gRPC service; empty: not known to serve it
  std::string status;         // healthy | degraded | unreachable | unknown
  bool is_leader = false;
  std::int64_t last_seen_s = 0;  // seconds since the Unix epoch
  std::int64_t epoch = 0;        // the wire's "term"
  std::optional<std::int64_t> uptime_s;
  bool is_learner = false;  // takes part without a vote
};

struct ClusterHealth {
  std::vector<NodeStatus> nodes;
  std::int32_t healthy_nodes = 0;
  std::optional<NodeStatus> leader;
  std::string status;  // see ClusterStatus; "degraded" too if all are healthy and none leads
  std::int64_t epoch = 0;
};

// "healthy": all nodes are. "degraded": not that, but a majority of the voters is there, be they
// "healthy" or "degraded". Else "unhealthy". A membership without members is that of a node by
// itself.
std::string ClusterStatus(const std::vector<NodeStatus>& nodes,
                          const consensus::Membership& membership);

struct DatabaseStats {
  std::int64_t total_keys = 0;  // estimate of the engine
  std::int64_t total_size_bytes = 0;
  std::int64_t writes = 0;  // answered since start
  std::int64_t reads = 0;
  double average_response_time_ms = 0;   // of all of these
  std::int64_t active_transactions = 0;  // commits waiting for their answer
  std::int64_t committed_transactions = 0;
  std::int64_t aborted_transactions = 0;  // conflicts and too old
  std::optional<std::int64_t> cache_hit_rate_percent;
  std::optional<std::int64_t> compaction_pending_bytes;
};

struct TransactionFigures {
  std::uint64_t active = 0;  // wait for their answer
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;  // conflicts and too old
};

// One thing that must hold for a node to be of full use.
struct ReadinessCheck {
  std::string name;    // "recovered", "member", "leader", "writes"
  Status status;       // why not, for people
  bool needed = true;  // a node that fails it is not ready
};

struct NodeServiceOptions {
  NodeId node_id;
  std::string endpoint;  // "host:port" at which others reach its Thrift service
  // The other nodes; absent on a node by itself. Any thread.
  std::function<std::vector<PeerSight>()> peers;
  // One that was silent for longer is unreachable.
  Duration node_timeout = std::chrono::seconds(5);
  // How long PeersAndProgress waits for the replica's core.
  Duration progress_bound = std::chrono::milliseconds(500);
  std::uint64_t cluster = 0;  // 0: a node by itself
};

// "leader", "follower", "candidate", "learner": the word for a role on every wire and page.
std::string_view NameOf(consensus::Role role);

// What an operation is counted as, where it is not what a client asked for.
enum class CountAs : std::uint8_t {
  kItself,
  kGetKey,     // the range of one key that a selector stands for
  kScanBatch,  // a part of a scan, which RecordScan counts; slow ones are kept for people
};

// Where clients reach a node, "host:port"; empty: it does not listen.
struct Endpoints {
  std::string thrift;
  std::string grpc;
  std::string http;
};

// Pointers must outlive the service.
class NodeService {
 public:
  NodeService(const NodeServiceOptions& options, replication::RoutingManager* routing,
              replication::Replica* replica, replication::StateMachineExecutor* executor,
              storage::Engine* engine, replication::FaultInjector* faults, const Clock* clock);

  // RoutingManager::ExecuteAndWait, counted. The way of a synchronous adapter to data.
  Result<kv::OperationResult> Execute(Wire wire, const replication::RequestContext& context,
                                      kv::KvOperation operation);
  // RoutingManager::Execute, counted. `done` runs once, on whatever thread, possibly inside the
  // call. The service must outlive it.
  void ExecuteAsync(Wire wire, const replication::RequestContext& context,
                    kv::KvOperation operation, replication::OperationCallback done,
                    CountAs as = CountAs::kItself);
  // Counts a whole scan. `outcome`: none for one that was cut off since its client took nothing.
  void RecordScan(Wire wire, std::optional<StatusCode> outcome, Duration took) {
    RecordCall(wire, kScanOperation, outcome, took);
  }
  // Counts a call that is no operation on data, likewise.
  void RecordCall(Wire wire, NodeCall call, std::optional<StatusCode> outcome, Duration took) {
    RecordCall(wire, CountedAs(call), outcome, took);
  }

  // Names of the column families that this node has applied, "default" first.
  [[nodiscard]] std::vector<std::string> ColumnFamilies() const {
    return executor_->ColumnFamilyNames();
  }

  [[nodiscard]] ClusterHealth Health() const;
  // kNotFound for a node that is not a member; no id means this node.
  [[nodiscard]] Result<NodeStatus> NodeInfo(std::optional<std::int32_t> node_id) const;
  [[nodiscard]] DatabaseStats Stats() const;
  // OK while this node can serve; else the first needed check that fails. For load balancers: a
  // node that refuses writes for want of room still serves reads, and is ready.
  [[nodiscard]] Status Ready() const;
  // One by one. "leader" holds while one is in contact with a quorum: a leader
  // that hears of no quorum steps down, and a follower that hears of no leader forgets it, both
  // within an election timeout.
  [[nodiscard]] std::vector<ReadinessCheck> Readiness() const;

  [[nodiscard]] NodeId node_id() const { return options_.node_id; }
  [[nodiscard]] TransactionFigures Transactions() const;
  // The other nodes; none on a node by itself.
  [[nodiscard]] std::vector<PeerSight> Peers() const {
    return options_.peers ? options_.peers() : std::vector<PeerSight>();
  }
  // The same and, on a leader, what each has acknowledged. The core is asked for that, on its
  // executor, as for ClusterAdmin::Members, and this call waits for it: a moment, and if the core
  // hangs progress_bound, after which it says what Peers does. Never on an executor of the replica.
  [[nodiscard]] std::vector<PeerSight> PeersAndProgress() const;

  [[nodiscard]] replication::ReplicaStatus Replica() const { return replica_->status(); }
  [[nodiscard]] const replication::ReplicaFigures& ReplicaFigures() const {
    return replica_->figures();
  }
  [[nodiscard]] storage::EngineFigures EngineFigures() const { return engine_->Figures(); }
  [[nodiscard]] std::size_t Sessions() const { return executor_->session_count(); }
  [[nodiscard]] const RequestMetrics& requests() const { return requests_; }
  // The slowest of the last minutes, the slowest first.
  [[nodiscard]] std::vector<SlowRequest> Slowest() const { return slow_.List(clock_->Now()); }
  // Where others reach the other wires of this node, "host:port"; empty if they don't listen.
  void SetEndpoints(std::string grpc, std::string http);
  [[nodiscard]] Endpoints endpoints() const;
  // The leader's gRPC endpoint; empty if nobody is known to lead, or where it serves.
  [[nodiscard]] std::string LeaderGrpcEndpoint() const;
  [[nodiscard]] ClusterAdmin& admin() { return admin_; }
  [[nodiscard]] StateAdmin& states() { return states_; }
  [[nodiscard]] std::uint64_t cluster() const { return options_.cluster; }
  [[nodiscard]] std::uint64_t known_features() const { return executor_->known_features(); }
  Status ConfigureFault(const replication::FaultRule& rule) { return faults_->Configure(rule); }
  [[nodiscard]] const kv::Limits& limits() const { return routing_->limits(); }
  [[nodiscard]] const Clock& clock() const { return *clock_; }

 private:
  [[nodiscard]] NodeStatus Self(const replication::ReplicaStatus& status) const;
  [[nodiscard]] NodeStatus Other(const PeerSight& peer,
                                 const replication::ReplicaStatus& status) const;
  // This node and its peers, in the order of their numbers.
  [[nodiscard]] std::vector<NodeStatus> Nodes(const replication::ReplicaStatus& status) const;
  // The bookkeeping of a request: when it comes, and when it is answered.
  struct Running {
    Wire wire;
    std::size_t operation;  // as RequestMetrics counts
    bool transaction;
    bool counted;
    RequestShape shape;
    MonotonicTime begun;
  };
  Running Begin(Wire wire, const kv::KvOperation& operation, CountAs as, MonotonicTime now);
  void End(const Running& request, StatusCode outcome);
  void RecordCall(Wire wire, std::size_t operation, std::optional<StatusCode> outcome,
                  Duration took);

  const NodeServiceOptions options_;
  replication::RoutingManager* const routing_;
  replication::Replica* const replica_;
  replication::StateMachineExecutor* const executor_;
  storage::Engine* const engine_;
  replication::FaultInjector* const faults_;
  const Clock* const clock_;
  const MonotonicTime started_;
  ClusterAdmin admin_;
  StateAdmin states_;

  std::atomic<std::int64_t> active_transactions_{0};
  RequestMetrics requests_;  // all else that is counted of requests
  SlowRequests slow_;

  mutable Mutex endpoints_mutex_;
  Endpoints endpoints_ ABSL_GUARDED_BY(endpoints_mutex_);
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_NODE_SERVICE_H_
