#include <algorithm>
#include <chrono>
#include <cmath>

#include "api/cairn.grpc.pb.h"
#include "src/server/grpc/cluster_calls.h"
#include "src/server/grpc/services.h"
#include "src/server/grpc/state_calls.h"
#include "src/server/grpc/unary_call.h"

namespace cairn::server {
namespace {

using Call = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

void FillNode(const NodeStatus& node, v1::NodeStatus* to) {
  to->set_node_id(static_cast<std::uint32_t>(node.node_id));
  to->set_thrift_endpoint(node.endpoint);
  to->set_grpc_endpoint(node.grpc_endpoint);
  to->set_is_learner(node.is_learner);
  to->set_status(node.status);
  to->set_is_leader(node.is_leader);
  to->set_last_seen_s(node.last_seen_s);
  to->set_epoch(static_cast<std::uint64_t>(node.epoch));
  if (node.uptime_s.has_value()) to->set_uptime_s(*node.uptime_s);
}

void FillReplica(const NodeService& node, v1::ReplicaStatus* to) {
  const replication::ReplicaStatus status = node.Replica();
  const metrics::Histogram::Reading batches = node.ReplicaFigures().batch_commands.Read();
  to->set_role(std::string(NameOf(status.leadership.role)));
  to->set_epoch(status.leadership.epoch.value());
  if (status.leadership.leader.has_value()) {
    to->set_leader_id(static_cast<std::uint32_t>(status.leadership.leader->value()));
  }
  to->set_last_slot(status.last_slot.value());
  to->set_durable_slot(status.durable_slot.value());
  to->set_committed_slot(status.committed_slot.value());
  to->set_applied_slot(status.applied_slot.value());
  to->set_applied_version(status.applied_version.value());
  to->set_watermark(status.watermark.value());
  to->set_outstanding_proposals(status.outstanding);
  to->set_batches(batches.total);
  to->set_commands(batches.sum);
  if (!status.health.ok()) to->set_refusal(status.health.ToString());
  if (const Status why = replication::WhyWritesWait(status); !why.ok()) {
    to->set_problem(why.ToString());
  }
  to->set_recovered(status.recovered);
}

class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(Backend* backend) : backend_(backend) {}

  Reactor* CreateColumnFamily(Call* call, const v1::CreateColumnFamilyRequest* request,
                              v1::WriteResponse* response) override {
    return Write(call, request->write(), response, kv::CreateColumnFamily{Take(request->name())});
  }

  Reactor* DropColumnFamily(Call* call, const v1::DropColumnFamilyRequest* request,
                            v1::WriteResponse* response) override {
    return Write(call, request->write(), response, kv::DropColumnFamily{Take(request->name())});
  }

  Reactor* ListColumnFamilies(Call* call, const v1::ListColumnFamiliesRequest* /*request*/,
                              v1::ListColumnFamiliesResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kListColumnFamilies);
    std::size_t bytes = 0;
    for (std::string& name : node().ColumnFamilies()) {
      bytes += name.size();
      response->add_names(std::move(name));
    }
    return Answered(run, backend_, call, bytes);
  }

  Reactor* GetClusterStatus(Call* call, const v1::GetClusterStatusRequest* /*request*/,
                            v1::GetClusterStatusResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kGetClusterStatus);
    const ClusterHealth health = node().Health();
    for (const NodeStatus& one : health.nodes) FillNode(one, response->add_nodes());
    response->set_status(health.status);
    response->set_healthy_nodes(static_cast<std::uint32_t>(health.healthy_nodes));
    if (health.leader.has_value()) {
      response->set_leader_id(static_cast<std::uint32_t>(health.leader->node_id));
    }
    response->set_epoch(static_cast<std::uint64_t>(health.epoch));
    return Answered(run, call, Status::Ok());
  }

  Reactor* GetNodeStatus(Call* call, const v1::GetNodeStatusRequest* /*request*/,
                         v1::GetNodeStatusResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kGetNodeStatus);
    const auto self = node().NodeInfo(std::nullopt);
    if (!self.ok()) return Answered(run, call, self.status());
    FillNode(*self, response->mutable_node());
    const Endpoints endpoints = node().endpoints();
    response->mutable_node()->set_http_endpoint(endpoints.http);
    FillReplica(node(), response->mutable_replica());
    response->set_software_version(backend_->options().software_version);
    response->set_sessions(node().Sessions());
    return Answered(run, call, Status::Ok());
  }

  Reactor* GetStatistics(Call* call, const v1::GetStatisticsRequest* /*request*/,
                         v1::GetStatisticsResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kGetStatistics);
    const DatabaseStats stats = node().Stats();
    response->set_reads(static_cast<std::uint64_t>(stats.reads));
    response->set_writes(static_cast<std::uint64_t>(stats.writes));
    response->set_average_response_ms(stats.average_response_time_ms);
    response->set_active_transactions(stats.active_transactions);
    response->set_committed_transactions(static_cast<std::uint64_t>(stats.committed_transactions));
    response->set_aborted_transactions(static_cast<std::uint64_t>(stats.aborted_transactions));
    const storage::EngineFigures figures = node().EngineFigures();
    if (figures.estimated_keys) response->set_estimated_keys(*figures.estimated_keys);
    if (figures.bytes_on_disk) response->set_bytes_on_disk(*figures.bytes_on_disk);
    if (figures.memory_bytes) response->set_memory_bytes(*figures.memory_bytes);
    if (figures.unflushed_bytes) response->set_unflushed_bytes(*figures.unflushed_bytes);
    if (figures.cache_hits) response->set_cache_hits(*figures.cache_hits);
    if (figures.cache_misses) response->set_cache_misses(*figures.cache_misses);
    if (figures.compaction_pending_bytes) {
      response->set_compaction_pending_bytes(*figures.compaction_pending_bytes);
    }
    return Answered(run, call, Status::Ok());
  }

  Reactor* ListMembers(Call* /*call*/, const v1::ListMembersRequest* /*request*/,
                       v1::ListMembersResponse* response) override {
    return StartListMembers(backend_, response);
  }
  Reactor* AddMember(Call* /*call*/, const v1::AddMemberRequest* request,
                     v1::ChangeMembersResponse* /*response*/) override {
    return StartAddMember(backend_, *request);
  }
  Reactor* PromoteMember(Call* /*call*/, const v1::PromoteMemberRequest* request,
                         v1::ChangeMembersResponse* /*response*/) override {
    return StartPromoteMember(backend_, *request);
  }
  Reactor* RemoveMember(Call* /*call*/, const v1::RemoveMemberRequest* request,
                        v1::ChangeMembersResponse* /*response*/) override {
    return StartRemoveMember(backend_, *request);
  }
  Reactor* ReplaceMember(Call* /*call*/, const v1::ReplaceMemberRequest* request,
                         v1::ChangeMembersResponse* /*response*/) override {
    return StartReplaceMember(backend_, *request);
  }
  Reactor* TransferLeadership(Call* /*call*/, const v1::TransferLeadershipRequest* request,
                              v1::TransferLeadershipResponse* /*response*/) override {
    return StartTransferLeadership(backend_, *request);
  }
  Reactor* TakeSnapshot(Call* /*call*/, const v1::TakeSnapshotRequest* /*request*/,
                        v1::TakeSnapshotResponse* response) override {
    return StartTakeSnapshot(backend_, response);
  }

  Reactor* Upgrade(Call* /*call*/, const v1::UpgradeRequest* request,
                   v1::UpgradeResponse* response) override {
    return StartUpgrade(backend_, *request, response);
  }
  Reactor* PrepareDigest(Call* /*call*/, const v1::PrepareDigestRequest* request,
                         v1::PrepareDigestResponse* /*response*/) override {
    return StartPrepareDigest(backend_, *request);
  }
  Reactor* GetDigest(Call* /*call*/, const v1::GetDigestRequest* request,
                     v1::GetDigestResponse* response) override {
    return StartGetDigest(backend_, *request, response);
  }
  Reactor* AdvanceLog(Call* call, const v1::AdvanceLogRequest* request,
                      v1::AdvanceLogResponse* /*response*/) override {
    return StartAdvanceLog(backend_, *call, *request);
  }
  grpc::ServerWriteReactor<v1::BackupChunk>* Backup(Call* call,
                                                    const v1::BackupRequest* request) override {
    return StartBackup(backend_, call, *request);
  }

  Reactor* SetFault(Call* call, const v1::SetFaultRequest* request,
                    v1::SetFaultResponse* /*response*/) override {
    const NodeCallRun run(backend_, NodeCall::kSetFault);
    replication::FaultRule rule;
    rule.fault_type = request->fault_name();
    // NaN is handed on, and refused.
    rule.probability = std::isnan(request->probability())
                           ? request->probability()
                           : std::clamp(request->probability(), 0.0, 1.0);
    rule.delay = std::chrono::milliseconds(request->delay_ms());
    rule.target_operation = request->target_operation();
    return Answered(run, call, node().ConfigureFault(rule));
  }

 private:
  [[nodiscard]] NodeService& node() const { return backend_->node(); }

  Reactor* Write(Call* call, const v1::WriteOptions& options, v1::WriteResponse* response,
                 kv::KvOperation operation) {
    backend_->CountCall();
    replication::RequestContext context;
    context.deadline = DeadlineOf(*call, node().clock().Now());
    if (Status status = ReadWriteOptions(options, &context); !status.ok()) {
      return Answered(call, status);
    }
    return RunUnary<kv::WriteResult>(backend_, call, std::move(context), std::move(operation),
                                     response,
                                     [](const kv::WriteResult& answer, v1::WriteResponse* to) {
                                       to->set_version(answer.version.value());
                                     });
  }

  Backend* const backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(Backend* backend) {
  return std::make_unique<AdminService>(backend);
}

}  // namespace cairn::server
