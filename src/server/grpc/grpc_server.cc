#include "src/server/grpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <climits>
#include <mutex>
#include <optional>
#include <vector>

#include "src/base/endpoint.h"
#include "src/server/grpc/backend.h"
#include "src/server/grpc/pipeline.h"
#include "src/server/grpc/scan.h"
#include "src/server/grpc/services.h"
#include "src/server/listener.h"

namespace cairn::server {
namespace {

// What the health service answers for; "" is the whole server, as load balancers ask.
constexpr const char* kServices[] = {"", "cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore"};
// Reflection comes as a synchronous service: this many of its calls at once, and a call more waits.
constexpr int kSyncThreads = 4;
// A client that is silent for so long is asked whether it lives, and has so long to answer.
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
// How often stalled streams are looked for, and whether the node is ready.
constexpr Duration kSweep = std::chrono::seconds(1);

void PrepareLibrary() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

class GrpcServer::Impl {
 public:
  Impl(const GrpcServerOptions& options, NodeService* node)
      : backend_(options, node),
        scans_(options.max_scans),
        pipelines_(options.max_pipelines),
        sweeper_("cairn-grpc-sweep", &node->clock()) {
    services_.push_back(MakeKvService(&backend_, &scans_, &pipelines_));
    services_.push_back(MakeAdminService(&backend_));
    services_.push_back(MakeLegacyService(&backend_));
  }

  Status Listen() {
    const GrpcServerOptions& options = backend_.options();
    const int message = static_cast<int>(std::min<std::size_t>(options.message_bytes, INT_MAX));
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("cairn");
    quota.Resize(std::max(options.receive_memory_bytes, 2 * options.message_bytes));
    quota.SetMaxThreads(kSyncThreads);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(message);
    builder.SetMaxSendMessageSize(message);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(options.streams_per_connection));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // Answers are not compressed, requests may be.
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    // Two nodes must never share a port, as Linux would allow.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    int port = 0;
    const std::string address = Endpoint{options.bind_address, options.port}.ToString();
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    for (const auto& service : services_) builder.RegisterService(service.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return IoError("cannot listen on " + address + "; is the port in use?");
    }
    port_ = static_cast<std::uint16_t>(port);
    Sweep();
    return Status::Ok();
  }

  ~Impl() {
    Stop(Duration(0));
    // Joined before what its tasks use.
    sweeper_.Stop();
    server_.reset();
  }

  bool Stop(Duration grace) {
    if (server_ != nullptr && !stopped_) {
      stopped_ = true;
      server_->GetHealthCheckService()->Shutdown();
      // These would last for ever.
      pipelines_.EndAll();
      server_->Shutdown(std::chrono::system_clock::now() + grace);
    }
    return backend_.AwaitIdle(Duration(0));
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] GrpcServerFigures figures() const {
    return {backend_.calls(), scans_.open(), scans_.bytes.Value(), pipelines_.open(),
            backend_.answers().bytes()};
  }

 private:
  // In Listen, then on sweeper_.
  void Sweep() {
    const MonotonicTime now = backend_.node().clock().Now();
    scans_.EndStalled(now + -backend_.options().scan_stall);
    pipelines_.EndStalled(now + -backend_.options().scan_stall);
    backend_.answers().EndStalled(now + -backend_.options().scan_stall);
    TellHealth(backend_.node().Ready().ok());
    sweeper_.PostAt(now + kSweep, [this] { Sweep(); });
  }

  // After Stop the library lets nothing be SERVING any more.
  void TellHealth(bool ready) {
    if (told_ready_ == ready) return;
    told_ready_ = ready;
    for (const char* service : kServices) {
      server_->GetHealthCheckService()->SetServingStatus(service, ready);
    }
  }

  Backend backend_;
  ScanTable scans_;
  PipelineTable pipelines_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
  std::optional<bool> told_ready_;  // by the health service; of Sweep
  ThreadExecutor sweeper_;
};

Result<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                      NodeService* node) {
  PrepareLibrary();
  auto impl = std::make_unique<Impl>(options, node);
  CAIRN_RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcServer::~GrpcServer() = default;
std::uint16_t GrpcServer::port() const { return impl_->port(); }
GrpcServerFigures GrpcServer::figures() const { return impl_->figures(); }
std::uint64_t GrpcServer::connections_open() const { return ConnectionsAt(impl_->port()); }
bool GrpcServer::Stop(Duration grace) { return impl_->Stop(grace); }

}  // namespace cairn::server
