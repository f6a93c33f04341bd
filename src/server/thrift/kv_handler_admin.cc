// Methods of KvHandler that are not about keys: the stubs of the earlier service, diagnostics,
// column families and sessions.
#include <thrift/TApplicationException.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "src/server/thrift/kv_handler.h"

namespace cairn::server {
namespace {

constexpr char kNoConnectionState[] =
    " needs a transaction that is tied to its connection, which this service does not have; ";

thrift_api::NodeStatus ToWire(const NodeStatus& node) {
  thrift_api::NodeStatus wire;
  wire.node_id = node.node_id;
  wire.endpoint = node.endpoint;
  wire.status = node.status;
  wire.is_leader = node.is_leader;
  wire.last_seen_timestamp = node.last_seen_s;
  wire.term = node.epoch;
  if (node.uptime_s.has_value()) wire.__set_uptime_seconds(*node.uptime_s);
  if (!node.grpc_endpoint.empty()) wire.__set_grpc_endpoint(node.grpc_endpoint);
  return wire;
}

thrift_api::ClusterHealth ToWire(const ClusterHealth& health) {
  thrift_api::ClusterHealth wire;
  for (const NodeStatus& node : health.nodes) wire.nodes.push_back(ToWire(node));
  wire.healthy_nodes_count = health.healthy_nodes;
  wire.total_nodes_count = static_cast<std::int32_t>(health.nodes.size());
  if (health.leader.has_value()) wire.__set_leader(ToWire(*health.leader));
  wire.cluster_status = health.status;
  wire.current_term = health.epoch;
  return wire;
}

thrift_api::DatabaseStats ToWire(const DatabaseStats& stats, bool detailed) {
  thrift_api::DatabaseStats wire;
  wire.total_keys = stats.total_keys;
  wire.total_size_bytes = stats.total_size_bytes;
  wire.write_operations_count = stats.writes;
  wire.read_operations_count = stats.reads;
  wire.average_response_time_ms = stats.average_response_time_ms;
  wire.active_transactions = stats.active_transactions;
  wire.committed_transactions = stats.committed_transactions;
  wire.aborted_transactions = stats.aborted_transactions;
  if (detailed && stats.cache_hit_rate_percent.has_value()) {
    wire.__set_cache_hit_rate_percent(*stats.cache_hit_rate_percent);
  }
  if (detailed && stats.compaction_pending_bytes.has_value()) {
    wire.__set_compaction_pending_bytes(*stats.compaction_pending_bytes);
  }
  return wire;
}

// The response of an administrative write.
void FillAdmin(const kv::WriteResult& answer, thrift_api::AdminResponse* response) {
  response->__set_version(static_cast<std::int64_t>(answer.version.value()));
  response->success = true;
}

}  // namespace

// ---- The stubs of the earlier service

void KvHandler::addReadConflict(thrift_api::AddReadConflictResponse& response,
                                const thrift_api::AddReadConflictRequest& /*request*/) {
  response.success = false;
  response.__set_error(std::string("addReadConflict") + kNoConnectionState +
                       "give the key to atomicCommit in read_conflict_keys");
}

void KvHandler::addReadConflictRange(thrift_api::AddReadConflictRangeResponse& response,
                                     const thrift_api::AddReadConflictRangeRequest& /*request*/) {
  response.success = false;
  response.__set_error(std::string("addReadConflictRange") + kNoConnectionState +
                       "give the range to atomicCommit in read_conflict_ranges");
}

void KvHandler::setReadVersion(thrift_api::SetReadVersionResponse& response,
                               const thrift_api::SetReadVersionRequest& /*request*/) {
  response.success = false;
  response.__set_error(std::string("setReadVersion") + kNoConnectionState +
                       "give the version to snapshotRead, snapshotGetRange and atomicCommit");
}

// ---- Diagnostics

void KvHandler::setFaultInjection(thrift_api::FaultInjectionResponse& response,
                                  const thrift_api::FaultInjectionRequest& request) {
  InBand(NodeCall::kSetFault, &response, [&]() -> Status {
    replication::FaultRule rule;
    rule.fault_type = request.fault_type;
    // On this wire anything above 0 arms, and anything else clears.
    rule.probability = request.probability > 0 ? std::min(request.probability, 1.0) : 0.0;
    rule.delay = std::chrono::milliseconds(request.duration_ms);
    rule.target_operation = request.target_operation;
    CAIRN_RETURN_IF_ERROR(node_->ConfigureFault(rule));
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::ping(thrift_api::PingResponse& response, const thrift_api::PingRequest& request) {
  const MonotonicTime begun = node_->clock().Now();
  const Status room = AnswerScope::Hold(request.message.size());
  node_->RecordCall(Wire::kThrift, NodeCall::kPing, room.code(), node_->clock().Now() - begun);
  if (!room.ok()) {
    throw apache::thrift::TApplicationException(
        apache::thrift::TApplicationException::INTERNAL_ERROR, room.message());
  }
  if (request.__isset.message) {
    response.message = Take(request.message);
  } else {
    response.message = "pong";
  }
  response.timestamp = request.__isset.timestamp ? request.timestamp : 0;
  response.server_timestamp = node_->clock().Wall().us;
}

void KvHandler::getClusterHealth(thrift_api::GetClusterHealthResponse& response,
                                 const thrift_api::GetClusterHealthRequest& /*request*/) {
  InBand(NodeCall::kGetClusterStatus, &response, [&]() -> Status {
    response.__set_cluster_health(ToWire(node_->Health()));
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::getDatabaseStats(thrift_api::GetDatabaseStatsResponse& response,
                                 const thrift_api::GetDatabaseStatsRequest& request) {
  InBand(NodeCall::kGetStatistics, &response, [&]() -> Status {
    response.__set_database_stats(ToWire(node_->Stats(), request.include_detailed_stats));
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::getNodeInfo(thrift_api::GetNodeInfoResponse& response,
                            const thrift_api::GetNodeInfoRequest& request) {
  InBand(NodeCall::kGetNodeStatus, &response, [&]() -> Status {
    std::optional<std::int32_t> node_id;
    if (request.__isset.node_id) node_id = request.node_id;
    CAIRN_ASSIGN_OR_RETURN(const NodeStatus node, node_->NodeInfo(node_id));
    response.__set_node_info(ToWire(node));
    response.success = true;
    return Status::Ok();
  });
}

// ---- Column families and sessions

void KvHandler::createColumnFamily(thrift_api::AdminResponse& response,
                                   const thrift_api::CreateColumnFamilyRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(
        const kv::WriteResult answer,
        Run<kv::WriteResult>(request, kv::CreateColumnFamily{Take(request.name)}));
    FillAdmin(answer, &response);
    return Status::Ok();
  });
}

void KvHandler::dropColumnFamily(thrift_api::AdminResponse& response,
                                 const thrift_api::DropColumnFamilyRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const kv::WriteResult answer,
                           Run<kv::WriteResult>(request, kv::DropColumnFamily{Take(request.name)}));
    FillAdmin(answer, &response);
    return Status::Ok();
  });
}

void KvHandler::listColumnFamilies(thrift_api::ListColumnFamiliesResponse& response,
                                   const thrift_api::ListColumnFamiliesRequest& /*request*/) {
  InBand(NodeCall::kListColumnFamilies, &response, [&]() -> Status {
    std::vector<std::string> names = node_->ColumnFamilies();
    std::size_t bytes = 0;
    for (const std::string& name : names) bytes += sizeof(name) + name.size();
    CAIRN_RETURN_IF_ERROR(AnswerScope::Hold(bytes));
    response.names = std::move(names);
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::openSession(thrift_api::OpenSessionResponse& response,
                            const thrift_api::OpenSessionRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const kv::WriteResult answer,
                           Run<kv::WriteResult>(request, kv::OpenSession{}));
    response.session_id = static_cast<std::int64_t>(answer.version.value());
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::closeSession(thrift_api::AdminResponse& response,
                             const thrift_api::CloseSessionRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t id, NotNegative("session_id", request.session_id));
    CAIRN_ASSIGN_OR_RETURN(const kv::WriteResult answer,
                           Run<kv::WriteResult>(request, kv::CloseSession{SessionId(id)}));
    FillAdmin(answer, &response);
    return Status::Ok();
  });
}

}  // namespace cairn::server
