// From the messages of api/cairn.proto to what NodeService takes.
//
// Requests are taken apart: their strings are moved from. gRPC hands them to a handler as const,
// but makes them for this call alone and reads nothing of them afterwards.
//
// Thread safety: pure functions, but for what they take from the request.
#ifndef CAIRN_SRC_SERVER_GRPC_REQUESTS_H_
#define CAIRN_SRC_SERVER_GRPC_REQUESTS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/replication/routing_manager.h"

namespace grpc {
class ServerContextBase;
}

namespace cairn::v1 {
class CommitRequest;
class CommitResponse;
class DeleteRequest;
class GetReadVersionRequest;
class GetReadVersionResponse;
class GetRequest;
class GetResponse;
class KeySelector;
class Range;
class ReadOptions;
class SessionStamp;
class SetRequest;
class SetVersionstampedKeyRequest;
class SetVersionstampedValueRequest;
class VersionstampedResponse;
class WriteOptions;
class WriteResponse;
}  // namespace cairn::v1

namespace cairn::server {

// Moves a string out of a request (see the head of this file).
inline std::string&& Take(const std::string& field) {
  return std::move(const_cast<std::string&>(field));
}

// By when a call must be answered, on our clock: up to 20 ms before its deadline, so that the
// client still hears the answer; Max() for a call without one.
MonotonicTime DeadlineOf(const grpc::ServerContextBase& call, MonotonicTime now);
// The same of an operation that its client gives `left` from `now`.
MonotonicTime DeadlineAfter(Duration left, MonotonicTime now);

// Adds what the options ask for. kInvalidArgument names the field that is wrong.
Status ReadReadOptions(const v1::ReadOptions& options, replication::RequestContext* context);
Status ReadWriteOptions(const v1::WriteOptions& options, replication::RequestContext* context);

// Whichever of the two the request has.
template <class Request>
Status ReadOptionsOf(const Request& request, replication::RequestContext* context) {
  if constexpr (requires { request.read(); }) {
    return ReadReadOptions(request.read(), context);
  } else {
    return ReadWriteOptions(request.write(), context);
  }
}

kv::KeySelector TakeSelector(const v1::KeySelector& selector);
// Without limit and max_bytes, which are not the range's own.
kv::RangeQuery TakeRange(const v1::Range& range);
// kInvalidOperation for a mutation without a type.
Result<kv::AtomicCommit> TakeCommit(const v1::CommitRequest& request);

// Point operations, by whichever method they come. kInvalidOperation as TakeCommit;
// kInvalidArgument for a template that does not end in zeros for a versionstamp.
Result<kv::KvOperation> TakeOperation(const v1::GetRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::GetReadVersionRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::SetRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::DeleteRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::SetVersionstampedKeyRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::SetVersionstampedValueRequest& request);
Result<kv::KvOperation> TakeOperation(const v1::CommitRequest& request);
// And their answers.
void FillAnswer(kv::GetResult answer, v1::GetResponse* to);
void FillAnswer(const kv::VersionResult& answer, v1::GetReadVersionResponse* to);
void FillAnswer(const kv::WriteResult& answer, v1::WriteResponse* to);
void FillAnswer(const kv::WriteResult& answer, v1::CommitResponse* to);
void FillAnswer(kv::WriteResult answer, v1::VersionstampedResponse* to);

// A Get or, at a version that is not 0, a SnapshotRead.
kv::KvOperation MakeGet(std::string key, std::string column_family, Version at);
// A GetRange or, at a version that is not 0, a SnapshotGetRange.
kv::KvOperation MakeGetRange(kv::RangeQuery range, std::string column_family, Version at);

// The one key that a selector stands for, as a range of at most one key: found if there is one;
// otherwise the selector ran off the end (`forward`) or the front.
struct SingleKeyQuery {
  kv::RangeQuery range;
  bool forward = true;
};
SingleKeyQuery MakeSingleKeyQuery(kv::KeySelector selector);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_REQUESTS_H_
