#include "apps/cairnd/cluster.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "apps/cairnd/wiring.h"
#include "src/base/endpoint.h"
#include "src/base/log.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::node {
namespace {

using consensus::formation::Formed;
using consensus::formation::JoinRequest;

// What one thread waits for and another one gives. Shared, so that a late giver finds it.
class Entrance {
 public:
  void Give(Result<Formed> formed) {
    MutexLock lock(&mutex_);
    if (!formed_) formed_ = std::move(formed);
    given_.SignalAll();
  }
  Result<Formed> Wait() {
    MutexLock lock(&mutex_);
    while (!formed_) given_.Wait(&mutex_);
    return *formed_;
  }

 private:
  Mutex mutex_;
  CondVar given_;
  std::optional<Result<Formed>> formed_ ABSL_GUARDED_BY(mutex_);
};

std::map<NodeId, Endpoint> Configured(const config::NodeConfig& config) {
  std::map<NodeId, Endpoint> peers;
  std::uint32_t number = 0;
  for (Endpoint& endpoint : config::PeerEndpoints(config)) {
    peers.emplace(NodeId(number++), std::move(endpoint));
  }
  return peers;
}

}  // namespace

Cluster::Cluster(const config::NodeConfig& config, const DataFolder& folder, const Clock* clock)
    : config_(config),
      incarnation_(folder.identity().incarnation),
      clock_(clock),
      core_random_(SystemEntropy()) {}

Cluster::~Cluster() { Stop(); }

Result<std::unique_ptr<Cluster>> Cluster::Enter(const config::NodeConfig& config,
                                                const DataFolder& folder, SerialExecutor* core,
                                                const Clock* clock) {
  std::unique_ptr<Cluster> cluster(new Cluster(config, folder, clock));
  CAIRN_ASSIGN_OR_RETURN(
      cluster->transport_,
      transport::TcpTransport::Start(TransportOptionsOf(config, cluster->incarnation_), clock));
  replication::FormationDriverOptions options;
  options.formation = FormationOptionsOf(config, cluster->incarnation_);
  options.record_path = DataFolder::FormationPath(folder.path());
  options.seed = SystemEntropy();
  replication::FormationEnvironment environment;
  environment.clock = clock;
  environment.core = core;
  environment.files = PosixFileSystem();
  environment.transport = cluster->transport_.get();
  const auto entrance = std::make_shared<Entrance>();
  replication::FormationHooks hooks;
  hooks.formed = [entrance](const Formed& formed) { entrance->Give(formed); };
  hooks.join = [raw = cluster.get()](const JoinRequest& request) { raw->Join(request); };
  hooks.fatal = [entrance](const Status& status) {
    CAIRN_LOG(kError, "formation: no cluster can be formed or joined: {}", status.message());
    entrance->Give(status);
  };
  CAIRN_ASSIGN_OR_RETURN(cluster->driver_, replication::FormationDriver::Create(
                                               options, environment, std::move(hooks)));
  cluster->transport_->SetPeers(Configured(config));
  cluster->driver_->Start();
  CAIRN_ASSIGN_OR_RETURN(cluster->formed_, entrance->Wait());
  cluster->transport_->SetCluster(cluster->formed_.cluster.value());
  CAIRN_LOG(kInfo, "node: member of cluster {:016x}, peers on {}", cluster->formed_.cluster.value(),
            cluster->endpoint());
  return cluster;
}

std::unique_ptr<consensus::Core> Cluster::MakeCore() {
  return std::make_unique<consensus::raft::RaftCore>(RaftOptionsOf(config_, incarnation_),
                                                     &core_random_);
}

void Cluster::SetReplica(std::shared_ptr<replication::Replica> replica) {
  MutexLock lock(&mutex_);
  replica_ = std::move(replica);
}

void Cluster::MembershipChanged(const consensus::Membership& membership) {
  driver_->MembershipChanged(membership);
  std::map<NodeId, Endpoint> members;
  for (const consensus::Membership::Member& member : membership.members) {
    Result<Endpoint> endpoint = ParseEndpoint(member.endpoint);
    if (endpoint.ok()) members[member.node] = *std::move(endpoint);
  }
  // Configured members stay reachable: one that was emptied asks them to be taken in. And so do
  // those of the membership before: who is removed must hear of it.
  std::map<NodeId, Endpoint> peers = members;
  MutexLock lock(&mutex_);
  peers.insert(former_members_.begin(), former_members_.end());
  peers.merge(Configured(config_));
  former_members_ = std::move(members);
  transport_->SetPeers(peers);
}

void Cluster::Join(const JoinRequest& request) {
  std::shared_ptr<replication::Replica> replica;
  {
    MutexLock lock(&mutex_);
    replica = replica_;
  }
  // It asks again until it is a member.
  if (replica == nullptr) return;
  const replication::ReplicaStatus status = replica->status();
  if (status.leadership.role != consensus::Role::kLeader) return;
  const auto& members = status.membership.members;
  const bool copied = std::any_of(members.begin(), members.end(), [&](const auto& member) {
    return member.incarnation == request.peer.incarnation && member.node != request.peer.node;
  });
  if (copied) {
    CAIRN_LOG(kWarn,
              "node: {} at {} runs on the data folder of another member, and is not taken in; "
              "start it on its own, or on an empty one",
              ToString(request.peer), request.endpoint);
    return;
  }
  if (request.verdict == consensus::JoinVerdict::kUnknown &&
      status.membership.Find(request.peer.node) != nullptr) {
    CAIRN_LOG(kWarn,
              "node: {} at {} comes with an empty data folder and is being replaced by another "
              "node; to have it back, `cairn cluster remove` the one that joins",
              ToString(request.peer), request.endpoint);
    return;
  }
  if (request.verdict == consensus::JoinVerdict::kUnknown) {
    CAIRN_LOG(kWarn, "node: {} at {} asks to be taken in, and is no member; add it first",
              ToString(request.peer), request.endpoint);
    return;
  }
  if (request.verdict != consensus::JoinVerdict::kReplace) return;
  CAIRN_LOG(kInfo, "node: {} comes with an empty data folder; it takes the seat of node {}",
            ToString(request.peer), request.peer.node.value());
  replica->EditMembership(
      [peer = request.peer](const replication::GroupView& view) -> Result<consensus::Membership> {
        const bool replaces =
            ClassifyJoin(view.membership, peer) == consensus::JoinVerdict::kReplace;
        return replaces ? view.membership.WithReplaced(peer) : view.membership;
      },
      [peer = request.peer](const Status& changed) {
        if (changed.ok()) return;
        CAIRN_LOG(kInfo, "node: {} can't be taken in yet: {}", ToString(peer), changed.message());
      });
}

namespace {

server::LaneSight SightOf(std::string_view name, const transport::LinkFigures& link) {
  return {name,         link.connected, link.frames,      link.bytes,
          link.dropped, link.connects,  link.queued_bytes};
}

}  // namespace

std::vector<server::PeerSight> Cluster::Peers() const {
  std::shared_ptr<replication::Replica> replica;
  {
    MutexLock lock(&mutex_);
    replica = replica_;
  }
  std::map<NodeId, replication::PeerReport> reports;
  if (replica != nullptr) {
    for (replication::PeerReport& report : replica->Reports()) {
      reports.emplace(report.node, std::move(report));
    }
  }
  consensus::Membership membership = formed_.first;
  if (replica != nullptr) membership = replica->status().membership;
  const MonotonicTime now = clock_->Now();
  std::vector<server::PeerSight> sights;
  for (const transport::PeerConnection& connection : transport_->Connections()) {
    const consensus::Membership::Member* const member = membership.Find(connection.peer);
    if (member == nullptr) continue;  // configured, or removed
    server::PeerSight sight;
    sight.node = connection.peer;
    sight.is_learner = !member->voter && !member->joining;
    sight.endpoint = ConfiguredClientEndpoint(config_, connection.peer);
    for (const auto& [lane, name] : {std::pair{transport::Lane::kConsensus, "consensus"},
                                     std::pair{transport::Lane::kBulk, "bulk"}}) {
      sight.lanes.push_back(SightOf(name, connection.outgoing[static_cast<std::size_t>(lane)]));
    }
    sight.lanes.push_back(SightOf("incoming", connection.incoming));
    const auto report = reports.find(connection.peer);
    // Somebody else under the member's number: a former life that was removed and runs again, say.
    const bool of_another = report != reports.end() && !report->second.IsOf(membership);
    if (connection.last_received && !of_another) {
      sight.silent_for = now - *connection.last_received;
    }
    if (report != reports.end() && !of_another) {
      sight.report = report->second.report;
      sight.report_age = now - report->second.received;
      if (!sight.report->endpoints.thrift.empty()) sight.endpoint = sight.report->endpoints.thrift;
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

std::string Cluster::ClientEndpointOf(NodeId node) const {
  std::shared_ptr<replication::Replica> replica;
  {
    MutexLock lock(&mutex_);
    replica = replica_;
  }
  if (replica != nullptr) {
    std::string said = replica->ReportedEndpoints(node).thrift;
    if (!said.empty()) return said;
  }
  return ConfiguredClientEndpoint(config_, node);
}

std::string Cluster::endpoint() const {
  return Endpoint{config_.server.bind, transport_->port()}.ToString();
}

void Cluster::Stop() {
  if (driver_ != nullptr) driver_->Stop();
  if (transport_ != nullptr) transport_->Stop();
  SetReplica(nullptr);
}

}  // namespace cairn::node
