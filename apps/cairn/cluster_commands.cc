// cluster status: every member asked for itself, side by side.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/cairn/context.h"

namespace cairn::cli {
namespace {

using client::NodeConnection;
using nlohmann::ordered_json;

// What a member said of itself, or why it said nothing.
struct Sight {
  std::int32_t node_id = 0;
  std::string endpoint;
  std::string error;
  thrift_api::NodeStatus node;  // without an error
  std::int64_t version = 0;     // what it has applied
};

Status Ask(Sight* sight, std::chrono::milliseconds timeout) {
  CAIRN_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(sight->endpoint));
  CAIRN_ASSIGN_OR_RETURN(auto connection, NodeConnection::Connect(endpoint, timeout));
  thrift_api::GetNodeInfoResponse info;
  CAIRN_RETURN_IF_ERROR(connection->Call([&](auto& node) { node.getNodeInfo(info, {}); }));
  if (info.__isset.error) return UnavailableError(info.error);
  sight->node = info.node_info;
  thrift_api::GetCommittedVersionResponse version;
  CAIRN_RETURN_IF_ERROR(connection->Call(
      [&](auto& node) { node.getCommittedVersion(version, OwnVersionRequest()); }));
  if (version.__isset.error) return UnavailableError(version.error);
  sight->version = version.version;
  return Status::Ok();
}

ordered_json ToJson(const Sight& sight) {
  ordered_json document = {{"node_id", sight.node_id}, {"endpoint", sight.endpoint}};
  if (!sight.error.empty()) {
    document["error"] = sight.error;
    return document;
  }
  document["status"] = sight.node.status;
  document["is_leader"] = sight.node.is_leader;
  document["term"] = sight.node.term;
  document["version"] = sight.version;
  document["uptime_seconds"] = sight.node.uptime_seconds;
  return document;
}

void PrintTable(const std::string& asked, const std::string& status,
                const std::vector<Sight>& sights) {
  std::cout << fmt::format("{} says: {}\n", asked, status)
            << fmt::format("{:<5} {:<22} {:<9} {:<12} {:>6} {:>12}\n", "node", "endpoint", "role",
                           "status", "term", "version");
  for (const Sight& sight : sights) {
    std::cout << fmt::format("{:<5} {:<22} ", sight.node_id, sight.endpoint);
    if (sight.error.empty()) {
      std::cout << fmt::format("{:<9} {:<12} {:>6} {:>12}\n",
                               sight.node.is_leader ? "leader" : "follower", sight.node.status,
                               sight.node.term, sight.version);
    } else {
      std::cout << sight.error << "\n";
    }
  }
  std::cout << std::flush;
}

ExitCode RunClusterStatus(Context& context, const Invocation&) {
  thrift_api::GetClusterHealthResponse health;
  if (const auto failure = context.Call([&](auto& node) { node.getClusterHealth(health, {}); })) {
    return context.Fail(*failure);
  }
  if (const auto failure = FailureOf(health)) return context.Fail(*failure);
  std::vector<Sight> sights;
  // Those that hang share the time.
  const auto share = context.options().timeout /
                     std::max<std::int64_t>(std::ssize(health.cluster_health.nodes), 1);
  for (const thrift_api::NodeStatus& member : health.cluster_health.nodes) {
    Sight sight;
    sight.node_id = member.node_id;
    sight.endpoint = member.endpoint;
    const Status asked = Ask(&sight, std::max(share, std::chrono::milliseconds(1)));
    if (!asked.ok()) sight.error = asked.message();
    sights.push_back(std::move(sight));
  }
  const std::string& status = health.cluster_health.cluster_status;
  if (!context.options().json) {
    PrintTable(context.endpoint(), status, sights);
    return kSuccess;
  }
  ordered_json nodes = ordered_json::array();
  for (const Sight& sight : sights) nodes.push_back(ToJson(sight));
  Context::Print(
      {{"endpoint", context.endpoint()}, {"status", status}, {"nodes", std::move(nodes)}});
  return kSuccess;
}

}  // namespace

std::vector<Command> ClusterCommands() {
  return {{{.name = "cluster status",
            .summary = "Asks every member of the cluster for its role, term and version",
            .common = kNodeOptions,
            .examples = {{"cairn cluster status", "Who leads, who lags, who does not answer?"}}},
           RunClusterStatus}};
}

}  // namespace cairn::cli
