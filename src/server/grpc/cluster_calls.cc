#include "src/server/grpc/cluster_calls.h"

#include <chrono>
#include <optional>
#include <utility>

#include "api/cairn.pb.h"
#include "src/server/grpc/async_call.h"

namespace cairn::server {
namespace {

using consensus::Membership;
using Kind = v1::Member::Kind;

std::uint64_t Milliseconds(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return ms < 0 ? 0 : static_cast<std::uint64_t>(ms);
}

Kind KindOf(const Membership::Member& member) {
  if (member.leaving) return v1::Member::KIND_LEAVING;
  if (member.joining) return v1::Member::KIND_JOINING;
  return member.voter ? v1::Member::KIND_VOTER : v1::Member::KIND_LEARNER;
}

void FillMember(const MemberSight& sight, MonotonicTime now, v1::Member* to) {
  to->set_node_id(sight.member.node.value());
  to->set_incarnation(sight.member.incarnation.value());
  to->set_kind(KindOf(sight.member));
  to->set_peer_endpoint(sight.member.endpoint);
  to->set_is_leader(sight.leads);
  if (sight.progress) {
    to->set_answers(sight.progress->answers);
    to->set_match_slot(sight.progress->match.value());
    to->set_last_contact_ms(Milliseconds(now - sight.progress->last_heard));
    to->set_needs_snapshot(sight.progress->needs_snapshot);
    to->set_honours_lease(sight.progress->honours_lease);
  }
  if (!sight.report) return;
  to->set_thrift_endpoint(sight.report->endpoints.thrift);
  to->set_grpc_endpoint(sight.report->endpoints.grpc);
  to->set_applied_slot(sight.report->applied_slot.value());
  to->set_applied_version(sight.report->applied_version.value());
  to->set_report_age_ms(Milliseconds(sight.report_age));
  to->set_problem(sight.report->problem);
  to->set_known_features(sight.report->known_features);
}

// The answering node says of itself what it knows better than any report.
void FillSelf(NodeService& node, v1::Member* to) {
  const replication::ReplicaStatus status = node.Replica();
  const Endpoints endpoints = node.endpoints();
  to->set_thrift_endpoint(endpoints.thrift);
  to->set_grpc_endpoint(endpoints.grpc);
  to->set_applied_slot(status.applied_slot.value());
  to->set_applied_version(status.applied_version.value());
  to->set_report_age_ms(0);
  if (const Status why = replication::WhyWritesWait(status); !why.ok()) {
    to->set_problem(why.ToString());
  }
  to->set_known_features(node.known_features());
}

void FillMembers(NodeService& node, const MembersSight& sight, v1::ListMembersResponse* to) {
  const replication::GroupView& view = sight.view;
  to->set_answered_by(view.self.value());
  if (view.leadership.leader) to->set_leader_id(view.leadership.leader->value());
  to->set_epoch(view.leadership.epoch.value());
  to->set_last_slot(view.last_slot.value());
  to->set_committed_slot(view.committed_slot.value());
  bool changing = view.membership.IsJoint();
  for (const MemberSight& member : sight.members) {
    v1::Member* const wire = to->add_members();
    FillMember(member, view.now, wire);
    if (member.is_self) FillSelf(node, wire);
    changing = changing || member.member.joining || member.member.leaving;
  }
  to->set_changing(changing);
}

}  // namespace

grpc::ServerUnaryReactor* StartListMembers(Backend* backend, v1::ListMembersResponse* response) {
  NodeService& node = backend->node();
  return StartAsync<MembersSight>(
      backend, NodeCall::kListMembers,
      [&](auto answer) { node.admin().Members(std::move(answer)); },
      [&node, response](const MembersSight& sight) { FillMembers(node, sight, response); });
}

grpc::ServerUnaryReactor* StartAddMember(Backend* backend, const v1::AddMemberRequest& request) {
  return StartChange(backend, NodeCall::kAddMember, [&](auto answer) {
    backend->node().admin().Add(NodeId(request.node_id()), request.peer_endpoint(),
                                std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartPromoteMember(Backend* backend,
                                             const v1::PromoteMemberRequest& request) {
  return StartChange(backend, NodeCall::kPromoteMember, [&](auto answer) {
    backend->node().admin().Promote(NodeId(request.node_id()), std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartRemoveMember(Backend* backend,
                                            const v1::RemoveMemberRequest& request) {
  return StartChange(backend, NodeCall::kRemoveMember, [&](auto answer) {
    backend->node().admin().Remove(NodeId(request.node_id()), request.force(), std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartReplaceMember(Backend* backend,
                                             const v1::ReplaceMemberRequest& request) {
  return StartChange(backend, NodeCall::kReplaceMember, [&](auto answer) {
    backend->node().admin().Replace(NodeId(request.old_node_id()), NodeId(request.node_id()),
                                    request.peer_endpoint(), request.force(), std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartTransferLeadership(Backend* backend,
                                                  const v1::TransferLeadershipRequest& request) {
  std::optional<NodeId> to;
  if (request.has_to_node_id()) to = NodeId(request.to_node_id());
  return StartChange(backend, NodeCall::kTransferLeadership, [&](auto answer) {
    backend->node().admin().TransferLeadership(to, std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartUpgrade(Backend* backend, const v1::UpgradeRequest& request,
                                       v1::UpgradeResponse* response) {
  return StartAsync<FeatureSight>(
      backend, NodeCall::kUpgrade,
      [&](auto answer) { backend->node().admin().Upgrade(request.check(), std::move(answer)); },
      [response](const FeatureSight& features) {
        response->set_active(features.active);
        response->set_known_by_all(features.known_by_all);
        response->set_known_by_leader(features.known_here);
        for (const NodeId node : features.older) response->add_older_nodes(node.value());
      });
}

grpc::ServerUnaryReactor* StartTakeSnapshot(Backend* backend, v1::TakeSnapshotResponse* response) {
  return StartAsync<Slot>(
      backend, NodeCall::kTakeSnapshot,
      [&](auto answer) { backend->node().admin().Snapshot(std::move(answer)); },
      [response](Slot slot) { response->set_slot(slot.value()); });
}

}  // namespace cairn::server
