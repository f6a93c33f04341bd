// The calls of service Admin about the members of the cluster (src/server/cluster_admin.h).
//
// Thread safety: pure functions; the calls run on.
#ifndef CAIRN_SRC_SERVER_GRPC_CLUSTER_CALLS_H_
#define CAIRN_SRC_SERVER_GRPC_CLUSTER_CALLS_H_

namespace grpc {
class ServerUnaryReactor;
}
namespace cairn::v1 {
class AddMemberRequest;
class ListMembersResponse;
class PromoteMemberRequest;
class RemoveMemberRequest;
class ReplaceMemberRequest;
class TakeSnapshotResponse;
class TransferLeadershipRequest;
class UpgradeRequest;
class UpgradeResponse;
}  // namespace cairn::v1

namespace cairn::server {

class Backend;

grpc::ServerUnaryReactor* StartListMembers(Backend* backend, v1::ListMembersResponse* response);
grpc::ServerUnaryReactor* StartAddMember(Backend* backend, const v1::AddMemberRequest& request);
grpc::ServerUnaryReactor* StartPromoteMember(Backend* backend,
                                             const v1::PromoteMemberRequest& request);
grpc::ServerUnaryReactor* StartRemoveMember(Backend* backend,
                                            const v1::RemoveMemberRequest& request);
grpc::ServerUnaryReactor* StartReplaceMember(Backend* backend,
                                             const v1::ReplaceMemberRequest& request);
grpc::ServerUnaryReactor* StartTransferLeadership(Backend* backend,
                                                  const v1::TransferLeadershipRequest& request);
grpc::ServerUnaryReactor* StartUpgrade(Backend* backend, const v1::UpgradeRequest& request,
                                       v1::UpgradeResponse* response);
grpc::ServerUnaryReactor* StartTakeSnapshot(Backend* backend, v1::TakeSnapshotResponse* response);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_CLUSTER_CALLS_H_
