// How the public clients come to their wires: the one place of the client that knows one.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cairn/client.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/client/address.h"
#include "src/client/core.h"
#include "src/client/grpc_wire/grpc_channel.h"
#include "src/client/net/io_loop.h"
#include "src/client/thrift_wire/thrift_channel.h"

namespace cairn {
namespace {

using client::ClientCore;
using client::CoreOptions;

// What lives as long as the core and is ended by Close.
struct Runtime {
  SystemClock clock;
  std::shared_ptr<client::IoLoop> loop = std::make_shared<client::IoLoop>();
  std::shared_ptr<ThreadExecutor> resolver =
      std::make_shared<ThreadExecutor>("cairn-resolve", &clock);
};

client::ChannelFactory MakeFactory(const ClientOptions& options,
                                   const std::shared_ptr<Runtime>& runtime) {
  client::PoolOptions pool;
  pool.max_connections = std::max<std::size_t>(options.max_connections, 1);
  pool.connect_timeout = options.connect_timeout;
  pool.connection.max_frame = options.max_message_bytes;
  client::GrpcChannelOptions grpc;
  grpc.connect_timeout = options.connect_timeout;
  grpc.max_message_bytes = options.max_message_bytes;
  grpc.scheduler = runtime->loop;
  return [pool, grpc, loop = runtime->loop, resolver = runtime->resolver](
             const std::string& text) -> std::shared_ptr<client::NodeChannel> {
    const client::Address address = client::ParseAddress(text).value();
    if (address.wire == client::Wire::kGrpc) {
      return client::MakeGrpcChannel(address.endpoint, grpc);
    }
    return client::MakeThriftChannel(address.endpoint, pool, loop, resolver);
  };
}

// A core that has reached one of `endpoints`, which are valid.
Result<std::shared_ptr<ClientCore>> MakeCore(CoreOptions options,
                                             const std::vector<std::string>& endpoints) {
  const auto runtime = std::make_shared<Runtime>();
  options.seed = SystemEntropy();
  options.stop = [runtime] {
    runtime->resolver->Stop();
    runtime->loop->Stop();
  };
  const std::chrono::milliseconds wait = options.client.connect_timeout;
  client::ChannelFactory factory = MakeFactory(options.client, runtime);
  std::shared_ptr<ClientCore> core =
      ClientCore::Create(std::move(options), endpoints, std::move(factory), runtime->loop);
  client::RunOptions run;
  run.deadline = core->DeadlineIn(wait);
  const Result<client::Answer> answer = core->Execute(client::Ping{}, run);
  if (answer.ok()) return core;
  core->Close();
  const Status& status = answer.status();
  if (status.code() == StatusCode::kTimeout) return UnavailableError(status.message());
  return status;
}

Status CheckOptions(const ClientOptions& options) {
  if (options.timeout.count() <= 0 || options.connect_timeout.count() <= 0) {
    return InvalidArgumentError("timeout and connect_timeout must be above 0");
  }
  if (options.retry.initial_backoff.count() <= 0 ||
      options.retry.max_backoff < options.retry.initial_backoff) {
    return InvalidArgumentError("retry: 0 < initial_backoff <= max_backoff must hold");
  }
  return Status::Ok();
}

// The addresses, each once. A cluster is reached over one wire, since nodes name their leader by
// its address on the wire that was asked.
Result<std::vector<std::string>> Distinct(const std::vector<std::string>& endpoints) {
  std::vector<std::string> distinct;
  client::Wire wire = client::Wire::kThrift;
  for (const std::string& endpoint : endpoints) {
    CAIRN_ASSIGN_OR_RETURN(const client::Address address, client::ParseAddress(endpoint));
    if (distinct.empty()) wire = address.wire;
    if (address.wire != wire) {
      return InvalidArgumentError("'" + endpoints.front() + "' and '" + endpoint +
                                  "' are of different wires; give all endpoints with grpc:// or "
                                  "all without");
    }
    const std::string name = address.ToString();
    if (std::find(distinct.begin(), distinct.end(), name) == distinct.end()) {
      distinct.push_back(name);
    }
  }
  return distinct;
}

}  // namespace

Result<std::unique_ptr<NodeClient>> NodeClient::Connect(const std::string& endpoint,
                                                        const ClientOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(const client::Address address, client::ParseAddress(endpoint));
  CAIRN_RETURN_IF_ERROR(CheckOptions(options));
  CoreOptions core_options;
  core_options.client = options;
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<ClientCore> core,
                         MakeCore(std::move(core_options), {address.ToString()}));
  return std::unique_ptr<NodeClient>(new NodeClient(endpoint, std::move(core)));
}

Result<std::unique_ptr<MultiNodeClient>> MultiNodeClient::Connect(
    const std::vector<std::string>& endpoints, const MultiNodeOptions& options) {
  CAIRN_RETURN_IF_ERROR(CheckOptions(options));
  if (endpoints.empty()) {
    return InvalidArgumentError("no endpoints: give host:port of at least one node");
  }
  if (options.read_strategy == ReadStrategy::kSticky && options.sticky_node >= endpoints.size()) {
    return InvalidArgumentError("sticky_node is " + std::to_string(options.sticky_node) +
                                "; there are " + std::to_string(endpoints.size()) + " endpoints");
  }
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> distinct, Distinct(endpoints));
  CoreOptions core_options;
  core_options.client = options;
  core_options.nodes.strategy = options.read_strategy;
  core_options.nodes.sticky_node = options.sticky_node;
  core_options.nodes.breaker = options.breaker;
  core_options.follow_leader = true;
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<ClientCore> core,
                         MakeCore(std::move(core_options), distinct));
  return std::unique_ptr<MultiNodeClient>(new MultiNodeClient(std::move(core)));
}

}  // namespace cairn
