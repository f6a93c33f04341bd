#include "apps/cairnd/node.h"

#include <chrono>
#include <optional>
#include <utility>

#include "apps/cairnd/wiring.h"
#include "src/base/endpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mutex.h"
#include "src/consensus/solo/solo_core.h"
#include "src/server/listener.h"
#include "src/server/thrift/kv_processor.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::node {
namespace {

// How long Stop lets running calls finish before what they wait for is stopped.
constexpr Duration kDrain = std::chrono::seconds(5);
// How long Stop waits for the database to be written out.
constexpr std::chrono::seconds kFlushBound(15);
// How long Stop waits for another node to lead. These bounds together stay below that of main.
constexpr std::chrono::seconds kHandOverBound(4);
// A database whose disk has less room opens alone: RocksDB allocates a manifest and a log, and
// writes what the journal holds.
constexpr std::uint64_t kRoomToOpen = std::uint64_t{64} << 20;

// A Status that one thread gives and another waits for. Shared, so that a late answer finds it.
class Answer {
 public:
  void Give(Status status) {
    MutexLock lock(&mutex_);
    status_ = std::move(status);
    given_.SignalAll();
  }
  Status Wait() {
    MutexLock lock(&mutex_);
    while (!status_.has_value()) given_.Wait(&mutex_);
    return *status_;
  }
  // Nothing if it was not given within `bound`.
  std::optional<Status> WaitFor(std::chrono::steady_clock::duration bound) {
    const auto deadline = std::chrono::steady_clock::now() + bound;
    MutexLock lock(&mutex_);
    while (!status_.has_value()) {
      if (!given_.WaitUntil(&mutex_, deadline)) break;
    }
    return status_;
  }

 private:
  Mutex mutex_;
  CondVar given_;
  std::optional<Status> status_ ABSL_GUARDED_BY(mutex_);
};

// Puts what the node was doing before the words of an error.
Status While(const std::string& doing, const Status& status) {
  if (status.ok()) return status;
  return {status.code(), doing + ": " + status.message()};
}

}  // namespace

Node::Node(NodeOptions options) : options_(std::move(options)), random_(SystemEntropy()) {}

Node::~Node() {
  SetStopping();
  // Calls first: they use everything else.
  const bool thrift_idle = server_ == nullptr || server_->Stop(Duration(0));
  const bool grpc_idle = grpc_server_ == nullptr || grpc_server_->Stop(Duration(0));
  // Some wait for the replica, which answers them when it stops.
  if ((!thrift_idle || !grpc_idle) && replica_ != nullptr) replica_->Stop();
  server_.reset();
  grpc_server_.reset();
  StopReplica();
}

Result<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  std::unique_ptr<Node> node(new Node(std::move(options)));
  CAIRN_ASSIGN_OR_RETURN(node->http_, HttpPort::Start(node->options_.config, &node->clock_));
  node->SetPhase("opening its data");
  CAIRN_RETURN_IF_ERROR(node->OpenData());
  CAIRN_RETURN_IF_ERROR(node->Recover());
  CAIRN_RETURN_IF_ERROR(node->Serve());
  return node;
}

Status Node::OpenData() {
  const config::NodeConfig& config = options_.config;
  const std::string path = config::DataDirectory(config);
  auto folder = DataFolder::Open(path, kGroup, PosixFileSystem(), &random_);
  if (!folder.ok()) return While("cannot use data folder '" + path + "'", folder.status());
  folder_ = std::move(folder).value();
  CAIRN_LOG(kInfo, "node {}: data folder {}, incarnation {:016x}{}", config.deployment.instance_id,
            path, folder_->identity().incarnation.value(), folder_->created() ? " (new)" : "");

  // The journal before the database: a folder with a database has had a journal (data_folder.h).
  auto journal = consensus::Journal::Open(JournalOptionsOf(config, folder_->journal_path()),
                                          PosixFileSystem(), &random_);
  if (!journal.ok()) return While("cannot open the journal", journal.status());
  journal_ = std::move(journal).value();
  if (const auto torn = journal_->Contents().torn_bytes; torn != 0) {
    CAIRN_LOG(kInfo, "journal: cut {} bytes that were being written when the node stopped", torn);
  }
  auto engine = OpenEngine();
  if (!engine.ok()) {
    return While("cannot open the database in '" + folder_->database_path() + "'", engine.status());
  }
  engine_ = std::move(engine).value();
  auto state_machine =
      replication::StateMachineExecutor::Open(engine_.get(), options_.known_features);
  if (!state_machine.ok()) {
    return While("cannot read the state in '" + folder_->database_path() + "'",
                 state_machine.status());
  }
  state_machine_ = std::move(state_machine).value();
  return CheckMode();
}

Result<std::unique_ptr<storage::Engine>> Node::OpenEngine() {
  const storage::RocksDbOptions options = RocksDbOptionsOf(options_.config);
  if (options_.config.deployment.mode != config::DeploymentMode::kReplicated) {
    CAIRN_ASSIGN_OR_RETURN(auto engine,
                           storage::RocksDbEngine::Open(options, folder_->database_path()));
    return std::unique_ptr<storage::Engine>(std::move(engine));
  }
  // Snapshots replace the state of a member. One that was being taken goes on after the start, but
  // not if it holds the room that the database needs to open.
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t room, PosixFileSystem()->FreeBytes(folder_->path()));
  if (room < kRoomToOpen) {
    CAIRN_RETURN_IF_ERROR(PosixFileSystem()->RemoveTree(SnapshotFolder()));
  }
  storage::SwapEngineOptions swap;
  swap.files = PosixFileSystem();
  swap.directory = folder_->path();
  swap.open = [options](const std::string& path) -> Result<std::shared_ptr<storage::Engine>> {
    CAIRN_ASSIGN_OR_RETURN(auto engine, storage::RocksDbEngine::Open(options, path));
    return std::shared_ptr<storage::Engine>(std::move(engine));
  };
  CAIRN_ASSIGN_OR_RETURN(auto engine, storage::SwapEngine::Open(swap));
  swap_engine_ = engine.get();
  return std::unique_ptr<storage::Engine>(std::move(engine));
}

// A folder belongs to a node by itself or to a member of a cluster, for good: their logs differ.
Status Node::CheckMode() {
  const bool member = PosixFileSystem()->Exists(DataFolder::FormationPath(folder_->path()));
  const bool replicated = options_.config.deployment.mode == config::DeploymentMode::kReplicated;
  if (member && !replicated) {
    return FailedPreconditionError(
        "data folder '" + folder_->path() +
        "' belongs to a member of a cluster, and [deployment] mode is \"standalone\"; set mode = "
        "\"replicated\", or choose another folder");
  }
  const bool empty = journal_->Contents().last_slot.value_or(Slot()) == Slot() &&
                     engine_->Meta().applied_slot == Slot();
  if (replicated && !member && !empty) {
    return FailedPreconditionError("data folder '" + folder_->path() +
                                   "' holds the data of a standalone node, and [deployment] mode "
                                   "is \"replicated\". To move it "
                                   "into a cluster: start the cluster on empty folders, then "
                                   "`cairn dump` from the old node and "
                                   "`cairn load` into the cluster");
  }
  return Status::Ok();
}

Status Node::Recover() {
  core_thread_ = std::make_unique<ThreadExecutor>("cairn-core", &clock_);
  journal_thread_ = std::make_unique<ThreadExecutor>("cairn-journal", &clock_);
  apply_thread_ = std::make_unique<ThreadExecutor>("cairn-apply", &clock_);
  upkeep_thread_ = std::make_unique<ThreadExecutor>("cairn-upkeep", &clock_);
  replication::ReplicaOptions options = ReplicaOptionsOf(options_.config);
  replication::ReplicaEnvironment environment;
  std::unique_ptr<consensus::Core> core;
  if (options_.config.deployment.mode == config::DeploymentMode::kReplicated) {
    SetPhase("waiting for the other members of its cluster");
    auto cluster = Cluster::Enter(options_.config, *folder_, core_thread_.get(), &clock_);
    if (!cluster.ok()) return While("cannot enter the cluster", cluster.status());
    cluster_ = *std::move(cluster);
    options.incarnation = folder_->identity().incarnation;
    options.boot = SystemEntropy();
    options.cluster = cluster_->formed().cluster.value();
    options.initial_membership = cluster_->formed().first;
    if (const auto installed = swap_engine_->installed()) {
      options.installed_slot = installed->slot;
      options.installed_epoch = installed->epoch;
    }
    environment.files = PosixFileSystem();
    environment.snapshot_directory = SnapshotFolder();
    environment.install_snapshot =
        [swap = swap_engine_](const std::string& from, const storage::StateMeta& meta,
                              const auto& prepare) { return swap->Install(from, meta, prepare); };
    environment.transport = cluster_->transport();
    environment.membership_changed = [cluster = cluster_.get()](const auto& membership) {
      cluster->MembershipChanged(membership);
    };
    core = cluster_->MakeCore();
  } else {
    core = std::make_unique<consensus::SoloCore>(options.node);
  }
  environment.clock = &clock_;
  environment.core = core_thread_.get();
  environment.journal = journal_thread_.get();
  environment.apply = apply_thread_.get();
  environment.upkeep = upkeep_thread_.get();
  environment.fatal = options_.fatal;
  replica_ = replication::Replica::Create(options, environment, std::move(core), journal_.get(),
                                          state_machine_.get(), engine_.get());
  if (cluster_ != nullptr) cluster_->SetReplica(replica_);
  SetPhase("replaying its journal");
  const auto recovered = std::make_shared<Answer>();
  const MonotonicTime begun = clock_.Now();
  Status started =
      replica_->Start([recovered](Status status) { recovered->Give(std::move(status)); });
  if (!started.ok()) return While("cannot recover '" + folder_->path() + "'", started);
  CAIRN_RETURN_IF_ERROR(While("cannot recover '" + folder_->path() + "'", recovered->Wait()));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - begun);
  CAIRN_LOG(kInfo, "node: recovered to slot {}, version {} in {} ms",
            state_machine_->applied_slot().value(), state_machine_->applied_version().value(),
            took.count());
  return Status::Ok();
}

Status Node::Serve() {
  const config::NodeConfig& config = options_.config;
  // Not from random_: that one is the journal thread's by now.
  faults_ =
      std::make_unique<replication::FaultInjector>(options_.allow_fault_injection, SystemEntropy());
  replication::RoutingOptions routing_options = RoutingOptionsOf(config);
  if (cluster_ != nullptr) {
    routing_options.endpoint_of = [cluster = cluster_.get()](NodeId node) {
      return cluster->ClientEndpointOf(node);
    };
  }
  routing_ = std::make_unique<replication::RoutingManager>(routing_options, state_machine_.get(),
                                                           replica_.get(), &clock_, faults_.get());
  const server::ThriftServerOptions options = ThriftOptionsOf(config);
  auto listener = server::Listen(options.bind_address, options.port);
  if (!listener.ok()) {
    return While("cannot serve Thrift ([server] bind and thrift_port, or --port)",
                 listener.status());
  }
  endpoint_ = Endpoint{options.bind_address, listener->port}.ToString();
  server::NodeServiceOptions service_options;
  service_options.node_id = NodeId(static_cast<NodeId::rep>(config.deployment.instance_id));
  // What a node says of itself, others dial.
  service_options.endpoint = AdvertisedOf(config, endpoint_);
  if (cluster_ != nullptr) {
    service_options.cluster = cluster_->formed().cluster.value();
    service_options.peers = [cluster = cluster_.get()] { return cluster->Peers(); };
    service_options.node_timeout = std::chrono::milliseconds(config.cluster.node_timeout_ms);
  }
  service_ = std::make_unique<server::NodeService>(service_options, routing_.get(), replica_.get(),
                                                   state_machine_.get(), engine_.get(),
                                                   faults_.get(), &clock_);
  CAIRN_ASSIGN_OR_RETURN(
      server_, server::ThriftServer::Start(options, *std::move(listener),
                                           server::MakeKvProcessor(service_.get()), &clock_));
  service_->SetEndpoints("", AdvertisedOf(config, http_endpoint()));
  CAIRN_RETURN_IF_ERROR(ServeGrpc());
  if (!config.dram.listen_addr.empty()) {
    auto memory = MemoryPlane::Start(config.dram);
    if (!memory.ok()) return While("cannot serve the memory plane ([dram])", memory.status());
    memory_ = *std::move(memory);
  }
  ServePages();
  const server::Endpoints endpoints = service_->endpoints();
  replica_->SetClientEndpoints({endpoints.thrift, endpoints.grpc, endpoints.http});
  return Status::Ok();
}

Status Node::ServeGrpc() {
  const config::NodeConfig& config = options_.config;
  const server::GrpcServerOptions options = GrpcOptionsOf(config);
  auto server = server::GrpcServer::Start(options, service_.get());
  if (!server.ok()) {
    if (config.server.grpc_port.has_value()) {
      return While("cannot serve gRPC ([server] bind and grpc_port, or --grpc-port)",
                   server.status());
    }
    // Nobody asked for this port by name.
    CAIRN_LOG(kWarn, "node: gRPC is not served: {}; choose another port with --grpc-port",
              server.status().message());
    return Status::Ok();
  }
  grpc_server_ = *std::move(server);
  grpc_endpoint_ = Endpoint{options.bind_address, grpc_server_->port()}.ToString();
  service_->SetEndpoints(AdvertisedOf(config, grpc_endpoint_),
                         AdvertisedOf(config, http_endpoint()));
  return Status::Ok();
}

void Node::SetPhase(const std::string& phase) {
  if (http_ != nullptr) http_->SetPhase(phase);
}

void Node::ServePages() {
  if (http_ == nullptr) return;
  server::MetricsSources sources;
  sources.service = service_.get();
  sources.replica = replica_.get();
  sources.journal = journal_.get();
  sources.data_directory = folder_->path();
  if (memory_ != nullptr) {
    sources.more.emplace_back(
        [memory = memory_.get()](metrics::Exposition* page) { memory->AppendFamilies(page); });
  }
  auto parts = std::make_unique<server::PartWatch>(&clock_);
  parts->Add("core", core_thread_.get(), true);
  parts->Add("journal", journal_thread_.get(), true);
  parts->Add("apply", apply_thread_.get(), true);
  // A flush or a snapshot may take minutes.
  parts->Add("upkeep", upkeep_thread_.get(), false);
  http_->SetServing(std::move(sources), std::move(parts), {server_.get(), grpc_server_.get()});
}

Status Node::Stop() {
  HandOver();
  CAIRN_LOG(kInfo, "node: stopping; no new requests are taken");
  SetStopping();
  memory_.reset();
  const bool thrift_idle = server_->Stop(kDrain);
  const bool grpc_idle = grpc_server_ == nullptr || grpc_server_->Stop(kDrain);
  if (!thrift_idle || !grpc_idle) {
    CAIRN_LOG(kWarn, "node: requests are still waiting after {} s; they get UNAVAILABLE",
              std::chrono::duration_cast<std::chrono::seconds>(kDrain).count());
  }
  Status flushed = FlushDatabase();
  replica_->Stop();  // answers whoever still waits
  server_.reset();
  grpc_server_.reset();
  StopReplica();
  CAIRN_LOG(kInfo, "node: stopped");
  return flushed;
}

// What is asked from here on, and what runs for long, is told so.
void Node::SetStopping() {
  if (http_ != nullptr) http_->SetStopping();
  if (service_ != nullptr) service_->states().SetStopping();
}

// While this node still serves: what comes in meanwhile goes to the new leader.
void Node::HandOver() {
  if (cluster_ == nullptr) return;
  const auto handed_over = std::make_shared<Answer>();
  replica_->HandOver(clock_.Now() + kHandOverBound,
                     [handed_over](Status status) { handed_over->Give(std::move(status)); });
  const Status status = handed_over->Wait();
  if (status.ok()) return;
  CAIRN_LOG(kWarn, "node: leadership was not handed over ({}); the others hold an election",
            status.message());
}

Status Node::FlushDatabase() {
  const auto flushed = std::make_shared<Answer>();
  replica_->Flush([flushed](Status status) { flushed->Give(std::move(status)); });
  const std::optional<Status> status = flushed->WaitFor(kFlushBound);
  if (!status.has_value()) {
    return TimeoutError("the database was not written out within " +
                        std::to_string(kFlushBound.count()) +
                        " s; the journal holds what is missing");
  }
  return While("the database could not be written out; the journal holds what is missing", *status);
}

void Node::StopReplica() {
  if (replica_ != nullptr) replica_->Stop();
  if (cluster_ != nullptr) cluster_->Stop();
  for (auto* thread : {&core_thread_, &journal_thread_, &apply_thread_, &upkeep_thread_}) {
    if (*thread != nullptr) (*thread)->Stop();
  }
  service_.reset();
  routing_.reset();
  replica_.reset();
  cluster_.reset();
}

}  // namespace cairn::node
