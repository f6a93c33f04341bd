// The way of a command to service Admin (api/cairn.proto). Of a Thrift service that
// --endpoints names, the node says where its gRPC service is. What the leader alone can do is sent
// on to it: a node that does not lead says who does.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_ADMIN_CHANNEL_H_
#define CAIRN_APPS_CAIRN_ADMIN_CHANNEL_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apps/cairn/context.h"
#include "cairn/status.h"

namespace cairn::v1 {
class AddMemberRequest;
class GetDigestResponse;
class GetNodeStatusResponse;
class ListMembersResponse;
class PromoteMemberRequest;
class RemoveMemberRequest;
class ReplaceMemberRequest;
class TakeSnapshotResponse;
class TransferLeadershipRequest;
class UpgradeRequest;
class UpgradeResponse;
}  // namespace cairn::v1

namespace cairn::cli {

// The Thrift endpoint of the node whose gRPC service is at `grpc`.
Result<Endpoint> ThriftEndpointOf(const Endpoint& grpc, std::chrono::milliseconds timeout);

// An endpoint that a node reached at `reached` names of itself; a wildcard stands for the same
// host.
std::string ReachableAt(const std::string& named, const Endpoint& reached);

class AdminChannel {
 public:
  // `context` must outlive the channel. Nothing is asked yet.
  explicit AdminChannel(Context* context);
  ~AdminChannel();

  // Each returns what went wrong; within --timeout-ms.
  // Of the leader, which knows most; of any node if nobody leads.
  MaybeFailure ListMembers(v1::ListMembersResponse* response);
  // On the leader, found by asking.
  MaybeFailure Add(const v1::AddMemberRequest& request);
  MaybeFailure Promote(const v1::PromoteMemberRequest& request);
  MaybeFailure Remove(const v1::RemoveMemberRequest& request);
  MaybeFailure Replace(const v1::ReplaceMemberRequest& request);
  MaybeFailure TransferLeadership(const v1::TransferLeadershipRequest& request);
  MaybeFailure Upgrade(const v1::UpgradeRequest& request, v1::UpgradeResponse* response);
  MaybeFailure AdvanceLog(std::uint64_t slot);
  // On the node whose gRPC service is at `endpoint`.
  MaybeFailure PrepareDigest(const std::string& endpoint, std::uint64_t slot, std::uint64_t token);
  MaybeFailure GetDigest(const std::string& endpoint, std::uint64_t token,
                         std::chrono::milliseconds patience, v1::GetDigestResponse* response);
  // Within half a second, so that one that hangs does not hold up the others.
  MaybeFailure NodeStatus(const std::string& endpoint, v1::GetNodeStatusResponse* response);
  MaybeFailure TakeSnapshot(const std::string& endpoint, v1::TakeSnapshotResponse* response);

  // The backup of the first node of --endpoints, piece by piece; empty at its end. All of it within
  // `patience`. Must not outlive the channel.
  using Chunks = std::function<Result<std::string>()>;
  MaybeFailure Backup(bool local, std::chrono::milliseconds patience, Chunks* chunks);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_ADMIN_CHANNEL_H_
