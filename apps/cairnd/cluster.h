// What makes a node a member of a cluster: the connections to its peers, how it enters, and who is
// let in.
//
// Thread safety: Enter, SetReplica, Stop and the destructor belong to the thread that owns the
// node; the others are thread safe. Callbacks run on the core executor.
#ifndef CAIRN_APPS_CAIRND_CLUSTER_H_
#define CAIRN_APPS_CAIRND_CLUSTER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/config/node_config.h"
#include "src/consensus/core/core.h"
#include "src/consensus/formation/formation.h"
#include "src/data_folder/data_folder.h"
#include "src/replication/formation_driver.h"
#include "src/replication/replica.h"
#include "src/server/node_service.h"
#include "src/transport/asio/tcp_transport.h"

namespace cairn::node {

class Cluster {
 public:
  // Listens for peers and asks around until the cluster exists: on the first start that takes all
  // configured members, later none. Blocks until then; the log says whom it waits for.
  static Result<std::unique_ptr<Cluster>> Enter(const config::NodeConfig& config,
                                                const DataFolder& folder, SerialExecutor* core,
                                                const Clock* clock);
  ~Cluster();

  [[nodiscard]] const consensus::formation::Formed& formed() const { return formed_; }
  // For the replica.
  [[nodiscard]] transport::PeerTransport* transport() { return driver_->replica_transport(); }
  [[nodiscard]] std::unique_ptr<consensus::Core> MakeCore();
  // The replica that answers those who ask to be taken in.
  void SetReplica(std::shared_ptr<replication::Replica> replica);
  // Of the replica: the membership in force.
  void MembershipChanged(const consensus::Membership& membership);
  // The other nodes, as far as this one knows them.
  [[nodiscard]] std::vector<server::PeerSight> Peers() const;
  // Where clients of the Thrift service reach a node: as it says itself, else as configured; empty
  // if neither is known.
  [[nodiscard]] std::string ClientEndpointOf(NodeId node) const;
  // "127.0.0.1:7090": where peers reach this node.
  [[nodiscard]] std::string endpoint() const;
  // Ends all connections. Idempotent.
  void Stop();

 private:
  Cluster(const config::NodeConfig& config, const DataFolder& folder, const Clock* clock);
  void Join(const consensus::formation::JoinRequest& request);

  const config::NodeConfig config_;
  const IncarnationId incarnation_;
  const Clock* const clock_;
  SeededRandom core_random_;  // of the core, on its executor
  std::unique_ptr<transport::TcpTransport> transport_;
  std::shared_ptr<replication::FormationDriver> driver_;
  consensus::formation::Formed formed_;

  mutable Mutex mutex_;
  std::shared_ptr<replication::Replica> replica_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, Endpoint> former_members_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_CLUSTER_H_
