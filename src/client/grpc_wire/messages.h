// Between requests and the messages of api/cairn.proto.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_MESSAGES_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_MESSAGES_H_

#include "src/client/channel.h"

namespace cairn::v1 {
class CloseSessionRequest;
class CommitRequest;
class CommitResponse;
class CreateColumnFamilyRequest;
class DeleteRequest;
class DropColumnFamilyRequest;
class GetClusterStatusRequest;
class GetClusterStatusResponse;
class GetCommittedVersionRequest;
class GetCommittedVersionResponse;
class GetNodeStatusRequest;
class GetNodeStatusResponse;
class GetRangeRequest;
class GetRangeResponse;
class GetReadVersionRequest;
class GetReadVersionResponse;
class GetRequest;
class GetResponse;
class ListColumnFamiliesRequest;
class ListColumnFamiliesResponse;
class OpenSessionRequest;
class OpenSessionResponse;
class PingRequest;
class PingResponse;
class PipelinedAnswer;
class PipelinedOperation;
class ScanRequest;
class ScanResponse;
class SetRequest;
class SetVersionstampedKeyRequest;
class SetVersionstampedValueRequest;
class VersionstampedResponse;
class WriteResponse;
}  // namespace cairn::v1

namespace cairn::client {

// Writes a request into its message. kInvalidArgument for what protobuf can't hold: the name of a
// column family must be UTF-8.
Status Fill(const kv::Get& op, const CallContext& context, v1::GetRequest* to);
Status Fill(const kv::SnapshotRead& op, const CallContext& context, v1::GetRequest* to);
Status Fill(const kv::GetRange& op, const CallContext& context, v1::GetRangeRequest* to);
Status Fill(const kv::SnapshotGetRange& op, const CallContext& context, v1::GetRangeRequest* to);
Status Fill(const kv::GetReadVersion& op, const CallContext& context,
            v1::GetReadVersionRequest* to);
Status Fill(const kv::GetCommittedVersion& op, const CallContext& context,
            v1::GetCommittedVersionRequest* to);
Status Fill(const kv::Set& op, const CallContext& context, v1::SetRequest* to);
Status Fill(const kv::Delete& op, const CallContext& context, v1::DeleteRequest* to);
Status Fill(const kv::SetVersionstampedKey& op, const CallContext& context,
            v1::SetVersionstampedKeyRequest* to);
Status Fill(const kv::SetVersionstampedValue& op, const CallContext& context,
            v1::SetVersionstampedValueRequest* to);
Status Fill(const kv::AtomicCommit& op, const CallContext& context, v1::CommitRequest* to);
Status Fill(const kv::OpenSession& op, const CallContext& context, v1::OpenSessionRequest* to);
Status Fill(const kv::CloseSession& op, const CallContext& context, v1::CloseSessionRequest* to);
Status Fill(const kv::CreateColumnFamily& op, const CallContext& context,
            v1::CreateColumnFamilyRequest* to);
Status Fill(const kv::DropColumnFamily& op, const CallContext& context,
            v1::DropColumnFamilyRequest* to);
Status Fill(const ListFamilies& request, const CallContext& context,
            v1::ListColumnFamiliesRequest* to);
Status Fill(const Ping& request, const CallContext& context, v1::PingRequest* to);
Status Fill(const GetClusterInfo& request, const CallContext& context,
            v1::GetClusterStatusRequest* to);
Status Fill(const GetNodeInfo& request, const CallContext& context, v1::GetNodeStatusRequest* to);
Status Fill(const StreamRequest& request, const CallContext& context, v1::ScanRequest* to);

// Whether a request is one of those that a pipeline carries.
bool IsPointOperation(const Request& request);
// One of those. As above, but for its id and its time.
Status Fill(const Request& request, const CallContext& context, v1::PipelinedOperation* to);

// Takes an answer out of its message.
Answer Take(v1::GetResponse* from);
Answer Take(v1::GetRangeResponse* from);
Answer Take(v1::GetReadVersionResponse* from);
Answer Take(v1::GetCommittedVersionResponse* from);
Answer Take(v1::WriteResponse* from);
Answer Take(v1::VersionstampedResponse* from);
Answer Take(v1::CommitResponse* from);
Answer Take(v1::OpenSessionResponse* from);
Answer Take(v1::ListColumnFamiliesResponse* from);
Answer Take(v1::PingResponse* from);
// One that is no error, and set.
Answer Take(v1::PipelinedAnswer* from);
Answer Take(v1::GetClusterStatusResponse* from);
Answer Take(v1::GetNodeStatusResponse* from);
RangeStream::Batch Take(v1::ScanResponse* from);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_MESSAGES_H_
