// status: what a node says about itself and its cluster.
#include <iostream>
#include <utility>

#include "apps/cairn/context.h"
#include "src/base/clock.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const thrift_api::NodeStatus& node) {
  ordered_json document = {
      {"node_id", node.node_id}, {"endpoint", node.endpoint},
      {"status", node.status},   {"is_leader", node.is_leader},
      {"term", node.term},       {"last_seen_timestamp", node.last_seen_timestamp}};
  if (node.__isset.uptime_seconds) document["uptime_seconds"] = node.uptime_seconds;
  return document;
}

ordered_json ToJson(const thrift_api::ClusterHealth& cluster) {
  ordered_json nodes = ordered_json::array();
  for (const auto& node : cluster.nodes) nodes.push_back(ToJson(node));
  ordered_json document = {{"status", cluster.cluster_status},
                           {"term", cluster.current_term},
                           {"healthy_nodes", cluster.healthy_nodes_count},
                           {"total_nodes", cluster.total_nodes_count},
                           {"nodes", std::move(nodes)}};
  if (cluster.__isset.leader) document["leader"] = ToJson(cluster.leader);
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
               {"cluster", ToJson(health.cluster_health)},
               {"database", ToJson(stats.database_stats)}};
  return std::nullopt;
}

// The document as lines of "name  value"; objects within are indented.
void PrintLines(const ordered_json& document, int indent) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  for (const auto& [name, value] : document.items()) {
    if (value.is_object()) {
      std::cout << margin << name << ":\n";
      PrintLines(value, indent + 2);
    } else if (value.is_array()) {
      for (const auto& element : value) {
        std::cout << margin << name << ":\n";
        PrintLines(element, indent + 2);
      }
    } else {
      std::cout << margin << name << ": "
                << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
    }
  }
}

ExitCode RunStatus(Context& context, const Invocation&) {
  ordered_json document;
  if (const auto failure = Gather(&context, &document)) return context.Fail(*failure);
  if (context.options().json) {
    Context::Print(document);
  } else {
    PrintLines(document, 0);
    std::cout << std::flush;
  }
  return kSuccess;
}

CommandDef StatusDef() {
  return {.name = "status",
          .summary = "Shows the health and figures of the node and its cluster",
          .common = kNodeOptions,
          .examples = {{"cairn status", "Is the node well?"},
                       {"cairn status --json", "The same, for a program"}}};
}

}  // namespace

std::vector<Command> AdminCommands() { return {{StatusDef(), RunStatus}}; }

}  // namespace cairn::cli
