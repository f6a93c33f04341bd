// get, put, delete and status.
#include <cstdio>
#include <iostream>
#include <utility>

#include "apps/cairn/session.h"
#include "src/base/clock.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// What get and snapshotRead answer alike.
struct Found {
  bool found = false;
  std::string value;
  std::optional<std::int64_t> version;
};

template <class Response>
MaybeFailure Take(Response response, Found* found) {
  if (MaybeFailure failure = FailureOf(response)) return failure;
  found->found = response.found;
  found->value = std::move(response.value);
  if (response.__isset.version && response.found) found->version = response.version;
  return std::nullopt;
}

MaybeFailure Read(Session* session, const std::string& key, std::optional<std::int64_t> at_version,
                  Found* found) {
  if (at_version.has_value()) {
    thrift_api::SnapshotReadRequest request;
    request.__set_key(key);
    request.__set_read_version(*at_version);
    session->Prepare(&request);
    thrift_api::SnapshotReadResponse response;
    MaybeFailure failure = session->Call([&](auto& node) { node.snapshotRead(response, request); });
    return failure.has_value() ? failure : Take(std::move(response), found);
  }
  thrift_api::GetRequest request;
  request.__set_key(key);
  session->Prepare(&request);
  thrift_api::GetResponse response;
  MaybeFailure failure = session->Call([&](auto& node) { node.get(response, request); });
  return failure.has_value() ? failure : Take(std::move(response), found);
}

template <class Response>
ExitCode ReportWrite(const Session& session, const Response& response) {
  if (const MaybeFailure failure = FailureOf(response)) return session.Fail(*failure);
  if (!session.options().json) return kSuccess;
  ordered_json document = {{"ok", true}};
  if (response.__isset.version) document["version"] = response.version;
  Session::Print(document);
  return kSuccess;
}

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
MaybeFailure Gather(Session* session, ordered_json* document) {
  const SystemClock clock;
  const MonotonicTime begun = clock.Now();
  thrift_api::PingResponse pong;
  if (auto failure = session->Call([&](auto& node) { node.ping(pong, {}); })) return failure;
  const auto round_trip =
      std::chrono::duration_cast<std::chrono::microseconds>(clock.Now() - begun);
  thrift_api::GetClusterHealthResponse health;
  if (auto failure = session->Call([&](auto& node) { node.getClusterHealth(health, {}); })) {
    return failure;
  }
  if (auto failure = FailureOf(health)) return failure;
  thrift_api::GetDatabaseStatsRequest request;
  request.__set_include_detailed_stats(true);
  thrift_api::GetDatabaseStatsResponse stats;
  if (auto failure = session->Call([&](auto& node) { node.getDatabaseStats(stats, request); })) {
    return failure;
  }
  if (auto failure = FailureOf(stats)) return failure;
  thrift_api::GetCommittedVersionResponse version;
  if (auto failure = session->Call([&](auto& node) { node.getCommittedVersion(version, {}); })) {
    return failure;
  }
  if (auto failure = FailureOf(version)) return failure;
  *document = {{"endpoint", session->endpoint()},
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

}  // namespace

ExitCode RunGet(const CommonOptions& options, const std::string& key,
                std::optional<std::int64_t> at_version) {
  Session session(options);
  Found found;
  if (const auto failure = Read(&session, key, at_version, &found)) return session.Fail(*failure);
  if (options.json) {
    ordered_json document = {{"found", found.found}};
    PutBytes(&document, "key", key);
    if (found.found) PutBytes(&document, "value", found.value);
    if (found.version.has_value()) document["version"] = *found.version;
    Session::Print(document);
  } else if (found.found && options.raw) {
    std::cout << found.value << std::flush;
  } else if (found.found) {
    std::cout << session.Text(found.value) << std::endl;
  } else {
    std::cerr << "cairn: not found: " << session.Text(key) << "\n";
  }
  return found.found ? kSuccess : kKeyNotFound;
}

ExitCode RunPut(const CommonOptions& options, const std::string& key, const std::string& value) {
  Session session(options);
  thrift_api::SetRequest request;
  request.__set_key(key);
  request.__set_value(value);
  session.Prepare(&request);
  thrift_api::SetResponse response;
  const auto failure = session.Call([&](auto& node) { node.setKey(response, request); });
  return failure.has_value() ? session.Fail(*failure) : ReportWrite(session, response);
}

ExitCode RunDelete(const CommonOptions& options, const std::string& key) {
  Session session(options);
  thrift_api::DeleteRequest request;
  request.__set_key(key);
  session.Prepare(&request);
  thrift_api::DeleteResponse response;
  const auto failure = session.Call([&](auto& node) { node.deleteKey(response, request); });
  return failure.has_value() ? session.Fail(*failure) : ReportWrite(session, response);
}

ExitCode RunStatus(const CommonOptions& options) {
  Session session(options);
  ordered_json document;
  if (const auto failure = Gather(&session, &document)) return session.Fail(*failure);
  if (options.json) {
    Session::Print(document);
  } else {
    PrintLines(document, 0);
    std::cout << std::flush;
  }
  return kSuccess;
}

}  // namespace cairn::cli
