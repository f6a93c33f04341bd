// A node: everything that runs in a cairnd process, put together and taken apart in order.
//
//   data folder -> engine, journal -> state machine -> replica -> routing -> service -> wires
//
// Thread safety: Start, Stop and the destructor belong to one thread.
#ifndef CAIRN_APPS_CAIRND_NODE_H_
#define CAIRN_APPS_CAIRND_NODE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apps/cairnd/cluster.h"
#include "apps/cairnd/dram.h"
#include "apps/cairnd/http.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/config/node_config.h"
#include "src/consensus/journal/journal.h"
#include "src/data_folder/data_folder.h"
#include "src/kv/operation.h"
#include "src/replication/fault_injector.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/replication/state_machine_executor.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/node_service.h"
#include "src/server/thrift/thrift_server.h"
#include "src/storage/engine.h"
#include "src/storage/swap_engine.h"

namespace cairn::node {

struct NodeOptions {
  config::NodeConfig config;  // valid and runnable
  bool allow_fault_injection = false;
  // What the node knows; another value for tests of mixed versions.
  std::uint64_t known_features = kv::kKnownFeatures;
  // Called on some thread when the node must end at once: what is acknowledged is safe, nothing
  // more can be promised. May not return.
  std::function<void(const Status&)> fatal;
};

class Node {
 public:
  // Opens the data, replays the journal, and serves once everything known to be committed is
  // applied. The error says what is wrong, where, and what to do about it.
  static Result<std::unique_ptr<Node>> Start(NodeOptions options);
  // Stops without flushing, unless Stop was called.
  ~Node();

  // Hands leadership over if it leads, takes no more requests, lets running ones finish for a
  // while, writes the database out so that the next start has nothing to replay, and ends every
  // thread. The error is that of the flush: nothing is lost by it.
  Status Stop();

  // "127.0.0.1:9090": where the Thrift service listens.
  [[nodiscard]] const std::string& thrift_endpoint() const { return endpoint_; }
  [[nodiscard]] std::uint16_t thrift_port() const { return server_->port(); }
  // Where the gRPC services listen; empty if they don't.
  [[nodiscard]] const std::string& grpc_endpoint() const { return grpc_endpoint_; }
  // Where metrics and health are served; empty if they are not.
  [[nodiscard]] std::string http_endpoint() const {
    return http_ == nullptr ? std::string() : http_->endpoint();
  }
  // Where its peers reach it; empty for a node by itself.
  [[nodiscard]] std::string peer_endpoint() const {
    return cluster_ == nullptr ? std::string() : cluster_->endpoint();
  }
  // The memory plane; null if it is not served.
  [[nodiscard]] const MemoryPlane* memory() const { return memory_.get(); }
  [[nodiscard]] const std::string& data_directory() const { return folder_->path(); }

 private:
  explicit Node(NodeOptions options);

  // The steps of Start, in order.
  Status OpenData();
  Result<std::unique_ptr<storage::Engine>> OpenEngine();
  // Where snapshots are while they are sent or collected.
  [[nodiscard]] std::string SnapshotFolder() const { return folder_->path() + "/snapshots"; }
  Status CheckMode();
  Status Recover();
  Status Serve();
  Status ServeGrpc();
  void HandOver();
  void SetStopping();
  void ServePages();
  // What /readyz says.
  void SetPhase(const std::string& phase);
  void StopReplica();
  Status FlushDatabase();

  const NodeOptions options_;
  const SystemClock clock_;
  SeededRandom random_;
  // Served from the first step on; reads the others, from ServePages until SetStopping.
  std::unique_ptr<HttpPort> http_;
  std::unique_ptr<DataFolder> folder_;
  std::unique_ptr<consensus::Journal> journal_;
  std::unique_ptr<storage::Engine> engine_;
  storage::SwapEngine* swap_engine_ = nullptr;  // engine_, on a member of a cluster
  std::unique_ptr<replication::StateMachineExecutor> state_machine_;
  // Destroyed (and so joined) before what their tasks use.
  std::unique_ptr<ThreadExecutor> core_thread_;
  std::unique_ptr<ThreadExecutor> journal_thread_;
  std::unique_ptr<ThreadExecutor> apply_thread_;
  std::unique_ptr<ThreadExecutor> upkeep_thread_;
  std::unique_ptr<Cluster> cluster_;  // null: a node by itself
  std::shared_ptr<replication::Replica> replica_;
  std::unique_ptr<replication::FaultInjector> faults_;
  std::unique_ptr<replication::RoutingManager> routing_;
  std::unique_ptr<server::NodeService> service_;
  std::string endpoint_;
  std::string grpc_endpoint_;
  std::unique_ptr<server::ThriftServer> server_;
  std::unique_ptr<server::GrpcServer> grpc_server_;
  // Stands by itself: nothing of the above uses it.
  std::unique_ptr<MemoryPlane> memory_;
};

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_NODE_H_
