// From the configuration to the options of each part. Every key that this version acts on passes
// through here.
//
// Thread safety: pure functions.
#ifndef CAIRN_APPS_CAIRND_WIRING_H_
#define CAIRN_APPS_CAIRND_WIRING_H_

#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/base/log.h"
#include "src/config/node_config.h"
#include "src/consensus/formation/formation.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/raft/raft_core.h"
#include "src/kv/limits.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/thrift/thrift_server.h"
#include "src/storage/rocksdb/rocksdb_options.h"
#include "src/transport/asio/tcp_transport.h"

namespace cairn::node {

// The group that a node runs, for now its only one.
inline constexpr GroupId kGroup{0};

LoggingOptions LoggingOptionsOf(const config::NodeConfig& config);
kv::Limits LimitsOf(const config::NodeConfig& config);
storage::RocksDbOptions RocksDbOptionsOf(const config::NodeConfig& config);
consensus::JournalOptions JournalOptionsOf(const config::NodeConfig& config,
                                           const std::string& directory);
replication::ReplicaOptions ReplicaOptionsOf(const config::NodeConfig& config);
// Of a member of a cluster; `incarnation` is that of its data folder.
consensus::raft::RaftOptions RaftOptionsOf(const config::NodeConfig& config,
                                           IncarnationId incarnation);
consensus::formation::FormationOptions FormationOptionsOf(const config::NodeConfig& config,
                                                          IncarnationId incarnation);
transport::TcpTransportOptions TransportOptionsOf(const config::NodeConfig& config,
                                                  IncarnationId incarnation);
// The Thrift address of a member as configured; empty: it is not configured.
std::string ConfiguredClientEndpoint(const config::NodeConfig& config, NodeId node);

// Where others reach what listens on `endpoint`: on a wildcard address, a member of a cluster is
// reached at the host of its own entry of replica_endpoints.
std::string AdvertisedOf(const config::NodeConfig& config, const std::string& endpoint);
replication::RoutingOptions RoutingOptionsOf(const config::NodeConfig& config);
server::ThriftServerOptions ThriftOptionsOf(const config::NodeConfig& config);
server::GrpcServerOptions GrpcOptionsOf(const config::NodeConfig& config);

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_WIRING_H_
