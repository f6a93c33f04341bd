// status: what a node says about itself and its cluster.
#include <fmt/format.h>

#include <ctime>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/cairn.pb.h"
#include "apps/cairn/admin_channel.h"
#include "apps/cairn/context.h"
#include "src/base/clock.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// A node as the asked one sees it, and what it says of itself if it can be asked.
struct Sight {
  thrift_api::NodeStatus node;
  std::string grpc_endpoint;
  std::string http_endpoint;
  std::string software_version;
  std::optional<std::uint64_t> applied_version;
  std::string problem;  // why writes do not get through there
};

// Asks each node by its gRPC service. One that does not answer stays as it is seen.
std::vector<Sight> Look(Context* context, const thrift_api::ClusterHealth& cluster) {
  AdminChannel channel(context);
  std::vector<Sight> sights;
  for (const thrift_api::NodeStatus& node : cluster.nodes) {
    Sight& sight = sights.emplace_back();
    sight.node = node;
    // A wildcard can only be that of the node that was asked.
    const auto asked = ParseEndpoint(context->endpoint());
    const auto thrift =
        ParseEndpoint(asked.ok() ? ReachableAt(node.endpoint, *asked) : node.endpoint);
    if (!node.__isset.grpc_endpoint || !thrift.ok() || node.status == "unreachable") continue;
    sight.grpc_endpoint = ReachableAt(node.grpc_endpoint, *thrift);
    v1::GetNodeStatusResponse own;
    if (channel.NodeStatus(sight.grpc_endpoint, &own).has_value()) continue;
    sight.http_endpoint = ReachableAt(own.node().http_endpoint(), *thrift);
    sight.software_version = own.software_version();
    sight.applied_version = own.replica().applied_version();
    sight.problem = own.replica().problem();
  }
  return sights;
}

ordered_json ToJson(const Sight& sight) {
  const thrift_api::NodeStatus& node = sight.node;
  ordered_json document = {
      {"node_id", node.node_id}, {"endpoint", node.endpoint},
      {"status", node.status},   {"is_leader", node.is_leader},
      {"term", node.term},       {"last_seen_timestamp", node.last_seen_timestamp}};
  if (node.__isset.uptime_seconds) document["uptime_seconds"] = node.uptime_seconds;
  if (!sight.grpc_endpoint.empty()) document["grpc_endpoint"] = sight.grpc_endpoint;
  if (!sight.http_endpoint.empty()) document["http_endpoint"] = sight.http_endpoint;
  if (!sight.software_version.empty()) document["software_version"] = sight.software_version;
  if (sight.applied_version) document["applied_version"] = *sight.applied_version;
  if (!sight.problem.empty()) document["problem"] = sight.problem;
  return document;
}

ordered_json ToJson(const thrift_api::ClusterHealth& cluster, const std::vector<Sight>& sights) {
  ordered_json nodes = ordered_json::array();
  for (const Sight& sight : sights) nodes.push_back(ToJson(sight));
  ordered_json document = {{"status", cluster.cluster_status},
                           {"term", cluster.current_term},
                           {"healthy_nodes", cluster.healthy_nodes_count},
                           {"total_nodes", cluster.total_nodes_count},
                           {"nodes", std::move(nodes)}};
  if (cluster.__isset.leader) {
    document["leader"] = {{"node_id", cluster.leader.node_id},
                          {"endpoint", cluster.leader.endpoint},
                          {"is_leader", cluster.leader.is_leader}};
  }
  return document;
}

ordered_json ToJson(const thrift_api::DatabaseStats& stats) {
  ordered_json document = {{"total_keys", stats.total_keys},
                           {"total_size_bytes", stats.total_size_bytes},
                           {"write_operations", stats.write_operations_count},
                           {"read_operations", stats.read_operations_count},
                           {"average_response_time_ms", stats.average_response_time_ms},
                           {"active_transactions", stats.active_transactions},
                           {"committed_transactions", stats.committed_transactions},
                           {"aborted_transactions", stats.aborted_transactions}};
  if (stats.__isset.cache_hit_rate_percent) {
    document["cache_hit_rate_percent"] = stats.cache_hit_rate_percent;
  }
  if (stats.__isset.compaction_pending_bytes) {
    document["compaction_pending_bytes"] = stats.compaction_pending_bytes;
  }
  return document;
}

// Asks the node for all that `status` shows.
MaybeFailure Gather(Context* context, ordered_json* document) {
  const SystemClock clock;
  const MonotonicTime begun = clock.Now();
  thrift_api::PingResponse pong;
  if (auto failure = context->Call([&](auto& node) { node.ping(pong, {}); })) return failure;
  const auto round_trip =
      std::chrono::duration_cast<std::chrono::microseconds>(clock.Now() - begun);
  thrift_api::GetClusterHealthResponse health;
  if (auto failure = context->Call([&](auto& node) { node.getClusterHealth(health, {}); })) {
    return failure;
  }
  if (auto failure = FailureOf(health)) return failure;
  thrift_api::GetDatabaseStatsRequest request;
  request.__set_include_detailed_stats(true);
  thrift_api::GetDatabaseStatsResponse stats;
  if (auto failure = context->Call([&](auto& node) { node.getDatabaseStats(stats, request); })) {
    return failure;
  }
  if (auto failure = FailureOf(stats)) return failure;
  thrift_api::GetCommittedVersionResponse version;
  if (auto failure = context->Call(
          [&](auto& node) { node.getCommittedVersion(version, OwnVersionRequest()); })) {
    return failure;
  }
  if (auto failure = FailureOf(version)) return failure;
  *document = {{"endpoint", context->endpoint()},
               {"round_trip_us", round_trip.count()},
               {"committed_version", version.version},
               {"cluster", ToJson(health.cluster_health, Look(context, health.cluster_health))},
               {"database", ToJson(stats.database_stats)}};
  return std::nullopt;
}

// "2026-11-28 09:12:03 UTC".
std::string UtcText(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) return std::to_string(seconds);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// "3d 02:04:05".
std::string DurationText(std::int64_t seconds) {
  const std::string clock =
      fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return seconds < 86400 ? clock : fmt::format("{}d {}", seconds / 86400, clock);
}

// The text of a field, "-" if the node did not tell it.
std::string FieldText(const ordered_json& node, const char* name) {
  const auto field = node.find(name);
  if (field == node.end()) return "-";
  return field->is_string() ? field->get<std::string>() : field->dump();
}

void PrintNodes(const ordered_json& nodes) {
  constexpr const char* kRow = "  {:<4} {:<9} {:<12} {:<21} {:<21} {:<21} {:>12} {:>12}  {}\n";
  std::cout << fmt::format(fmt::runtime(kRow), "node", "role", "status", "thrift", "grpc", "http",
                           "version", "uptime", "last seen");
  for (const ordered_json& node : nodes) {
    const auto uptime = node.find("uptime_seconds");
    std::cout << fmt::format(fmt::runtime(kRow), node["node_id"].dump(),
                             node["is_leader"].get<bool>() ? "leader" : "follower",
                             FieldText(node, "status"), FieldText(node, "endpoint"),
                             FieldText(node, "grpc_endpoint"), FieldText(node, "http_endpoint"),
                             FieldText(node, "applied_version"),
                             uptime == node.end() ? "-" : DurationText(uptime->get<std::int64_t>()),
                             UtcText(node["last_seen_timestamp"].get<std::int64_t>()));
  }
  for (const ordered_json& node : nodes) {
    if (node.contains("problem")) {
      std::cout << "  node " << node["node_id"] << ": " << FieldText(node, "problem") << "\n";
    }
  }
}

void PrintStatus(const ordered_json& document) {
  const ordered_json& cluster = document["cluster"];
  std::cout << "endpoint: " << FieldText(document, "endpoint") << "\n"
            << "round_trip_us: " << document["round_trip_us"] << "\n"
            << "committed_version: " << document["committed_version"] << "\n"
            << "cluster:\n"
            << "  status: " << FieldText(cluster, "status") << ", " << cluster["healthy_nodes"]
            << " of " << cluster["total_nodes"] << " nodes are healthy\n"
            << "  term: " << cluster["term"] << "\n";
  PrintNodes(cluster["nodes"]);
  std::cout << "database:\n";
  for (const auto& [name, value] : document["database"].items()) {
    if (name == "total_keys") {
      std::cout << "  entries, by estimate and with old versions: " << value.dump() << "\n";
      continue;
    }
    std::cout << "  " << name << ": " << value.dump() << "\n";
  }
  std::cout << std::flush;
}

ExitCode RunStatus(Context& context, const Invocation&) {
  ordered_json document;
  if (const auto failure = Gather(&context, &document)) return context.Fail(*failure);
  if (context.options().json) {
    Context::Print(document);
  } else {
    PrintStatus(document);
  }
  return kSuccess;
}

CommandDef StatusDef() {
  return {.name = "status",
          .summary = "Shows the health and figures of the node and its cluster",
          .description = {"Each node is asked for the version that it has applied and for its "
                          "endpoints; '-': it did not say. A node is degraded if it takes no "
                          "writes, or leads and those it took have waited for 5 seconds with none "
                          "applied; below the nodes it says why. A cluster is degraded also while "
                          "nobody leads. Times are in UTC, by the clock of the "
                          "node that answers; with --json in seconds since the epoch."},
          .common = kNodeOptions,
          .examples = {{"cairn status", "Is the node well?"},
                       {"cairn status --json", "The same, for a program"}}};
}

}  // namespace

std::vector<Command> AdminCommands() { return {{StatusDef(), RunStatus}}; }

}  // namespace cairn::cli
