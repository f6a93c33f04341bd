// cairn dram serve: a node of the memory plane in the foreground.
#include <pthread.h>

#include <csignal>
#include <iostream>
#include <utility>

#include "apps/cairn/dram_store.h"
#include "src/base/clock.h"
#include "src/dram/routing/spec.h"
#include "src/server/dram/dram_http.h"
#include "src/server/tensorstore/tensorstore_server.h"

namespace cairn::cli {
namespace {

// The spec of the node, from --spec and what stands beside it.
Result<nlohmann::json> NodeSpec(const Invocation& in) {
  CAIRN_ASSIGN_OR_RETURN(nlohmann::json spec, DramSpec(in));
  if (in.Has("listen")) spec["listen_addr"] = in.Required("listen");
  if (in.Has("capacity")) spec["capacity_bytes"] = *in.Number("capacity");
  if (in.Has("remote")) {
    spec.erase("remote_addr");
    spec["remote_addrs"] = DramRemotes(in);
  }
  if (!spec.contains("listen_addr")) {
    return InvalidArgumentError(
        "where to serve? Give --listen HOST:PORT, or listen_addr in --spec");
  }
  return spec;
}

// --http: metrics, health and diagnosis.
Result<std::unique_ptr<server::DramHttp>> StartHttp(const Invocation& in,
                                                    const server::TensorstoreServer* tensorstore,
                                                    const RemoteDram* store, const Clock* clock) {
  server::DramHttpOptions options;
  CAIRN_ASSIGN_OR_RETURN(options.address, dram::ParseListenAddress(in.Required("http")));
  options.software_version = CAIRN_VERSION;
  if (tensorstore != nullptr) options.tensorstore_address = tensorstore->address();
  return server::DramHttp::Start(options, store, clock);
}

ExitCode RunServe(Context& context, const Invocation& in) {
  const auto spec = NodeSpec(in);
  if (!spec.ok()) return context.Fail(UsageFailure(spec.status()));
  // Before there are threads, which inherit the mask: the wait below takes these signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto store = RemoteDram::Open(spec->dump());
  if (!store.ok()) {
    return context.Fail(store.status().code() == StatusCode::kInvalidArgument
                            ? UsageFailure(store.status())
                            : DramFailure(store.status()));
  }
  std::unique_ptr<server::TensorstoreServer> tensorstore;
  if (in.Has("tensorstore")) {
    server::TensorstoreServerOptions options;
    const auto address = dram::ParseListenAddress(in.Required("tensorstore"));
    if (!address.ok()) return context.Fail(UsageFailure(address.status()));
    options.address = *address;
    auto started = server::TensorstoreServer::Start(options, store->get());
    if (!started.ok()) return context.Fail(DramFailure(started.status()));
    tensorstore = *std::move(started);
  }
  const SystemClock clock;
  std::unique_ptr<server::DramHttp> http;
  if (in.Has("http")) {
    auto started = StartHttp(in, tensorstore.get(), store->get(), &clock);
    if (!started.ok()) {
      return context.Fail(started.status().code() == StatusCode::kInvalidArgument
                              ? UsageFailure(started.status())
                              : DramFailure(started.status()));
    }
    http = *std::move(started);
  }
  std::string self;
  std::string others;
  for (const dram::PeerStatus& peer : (*store)->Peers()) {
    if (peer.local) self = peer.address;
    if (!peer.local) others += " " + peer.address;
  }
  std::cout << "serving at " << (*store)->listen_address() << " as " << self;
  if (!others.empty()) std::cout << " with" << others;
  if (tensorstore != nullptr) std::cout << ", TensorStore at " << tensorstore->address();
  if (http != nullptr) std::cout << ", HTTP at " << http->address();
  std::cout << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
  return kSuccess;
}

}  // namespace

std::vector<Command> DramServeCommands() {
  return {
      {{.name = "dram serve",
        .summary = "Serves memory to others, until it is told to stop",
        .description = {"What is stored is gone when it ends. With --remote, or remote_addrs in "
                        "the spec, it is one node of a pool. SIGINT and SIGTERM end it."},
        .options = {{.name = "listen",
                     .kind = ValueKind::kText,
                     .value_name = "HOST:PORT",
                     .help = "Where to serve; port 0 takes a free one, which is shown"},
                    {.name = "capacity",
                     .kind = ValueKind::kSize,
                     .value_name = "BYTES",
                     .help = "How much to hold; unless given, 1GiB",
                     .min = 4096,
                     .max = std::uint64_t{16} << 40},
                    {.name = "spec",
                     .kind = ValueKind::kText,
                     .value_name = "JSON|FILE",
                     .help = "The node and its pool, as JSON or a file of it"},
                    {.name = "remote",
                     .kind = ValueKind::kEndpoints,
                     .value_name = "HOST:PORT,...",
                     .help = "The other nodes of the pool"},
                    {.name = "tensorstore",
                     .kind = ValueKind::kText,
                     .value_name = "HOST:PORT",
                     .help =
                         "Serve the pool to TensorStore's driver tsgrpc_kvstore too, over gRPC"},
                    {.name = "http",
                     .kind = ValueKind::kText,
                     .value_name = "HOST:PORT",
                     .help = "Serve metrics for Prometheus, health and diagnosis over HTTP; unless "
                             "given, nowhere"}},
        .examples = {{"cairn dram serve --listen 127.0.0.1:12345 --capacity 8GiB",
                      "Serve 8 GiB on this machine"},
                     {"cairn dram serve --listen 127.0.0.1:12345 --http 127.0.0.1:8090",
                      "Let Prometheus watch it"},
                     {"cairn dram serve --listen node1:12345 --remote node2:12345,node3:12345",
                      "Serve as one of three nodes"}}},
       RunServe}};
}

}  // namespace cairn::cli
