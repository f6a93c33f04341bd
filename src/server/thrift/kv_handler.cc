#include "src/server/thrift/kv_handler.h"

#include <string>

namespace cairn::server {
namespace {

std::int64_t ToWire(Version version) { return static_cast<std::int64_t>(version.value()); }

// For responses of point reads.
template <class Response>
Status FillPointRead(kv::GetResult answer, Response* response) {
  CAIRN_RETURN_IF_ERROR(AnswerScope::Hold(answer.value.size()));
  response->found = answer.found;
  if (!answer.found) return Status::Ok();
  response->value = std::move(answer.value);
  response->__set_version(ToWire(answer.version));
  return Status::Ok();
}

template <class Response>
Status FillRange(kv::RangeResult answer, Response* response) {
  std::size_t bytes = answer.key_values.size() * sizeof(thrift_api::KeyValue);
  for (const kv::KeyValue& pair : answer.key_values) bytes += pair.key.size() + pair.value.size();
  CAIRN_RETURN_IF_ERROR(AnswerScope::Hold(bytes));
  response->key_values.resize(answer.key_values.size());
  for (std::size_t i = 0; i < answer.key_values.size(); ++i) {
    response->key_values[i].key = std::move(answer.key_values[i].key);
    response->key_values[i].value = std::move(answer.key_values[i].value);
  }
  response->has_more = answer.has_more;
  response->__set_version(ToWire(answer.read_version));
  response->success = true;
  return Status::Ok();
}

// For responses of writes that carry nothing but a version.
template <class Response>
void FillWrite(const kv::WriteResult& answer, Response* response) {
  response->__set_version(ToWire(answer.version));
  response->success = true;
}

}  // namespace

// ---- Reads

void KvHandler::get(thrift_api::GetResponse& response, const thrift_api::GetRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(
        kv::GetResult answer,
        Run<kv::GetResult>(request, kv::Get{Take(request.key), Take(request.column_family)}));
    return FillPointRead(std::move(answer), &response);
  });
}

void KvHandler::getRange(thrift_api::GetRangeResponse& response,
                         const thrift_api::GetRangeRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(
        kv::RangeResult answer,
        Run<kv::RangeResult>(request, kv::GetRange{MakeRangeQuery(request, node_->limits()),
                                                   Take(request.column_family)}));
    return FillRange(std::move(answer), &response);
  });
}

void KvHandler::snapshotRead(thrift_api::SnapshotReadResponse& response,
                             const thrift_api::SnapshotReadRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const Version at, WireVersion("read_version", request.read_version));
    CAIRN_ASSIGN_OR_RETURN(
        kv::GetResult answer,
        Run<kv::GetResult>(request,
                           kv::SnapshotRead{Take(request.key), at, Take(request.column_family)}));
    return FillPointRead(std::move(answer), &response);
  });
}

void KvHandler::snapshotGet(thrift_api::SnapshotGetResponse& response,
                            const thrift_api::SnapshotGetRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const Version at, WireVersion("read_version", request.read_version));
    CAIRN_ASSIGN_OR_RETURN(
        kv::GetResult answer,
        Run<kv::GetResult>(request,
                           kv::SnapshotRead{Take(request.key), at, Take(request.column_family)}));
    return FillPointRead(std::move(answer), &response);
  });
}

void KvHandler::snapshotGetRange(thrift_api::SnapshotGetRangeResponse& response,
                                 const thrift_api::SnapshotGetRangeRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const Version at, WireVersion("read_version", request.read_version));
    CAIRN_ASSIGN_OR_RETURN(
        kv::RangeResult answer,
        Run<kv::RangeResult>(request, kv::SnapshotGetRange{MakeRangeQuery(request, node_->limits()),
                                                           at, Take(request.column_family)}));
    return FillRange(std::move(answer), &response);
  });
}

void KvHandler::getReadVersion(thrift_api::GetReadVersionResponse& response,
                               const thrift_api::GetReadVersionRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const kv::VersionResult answer,
                           Run<kv::VersionResult>(request, kv::GetReadVersion{}));
    response.read_version = ToWire(answer.version);
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::getCommittedVersion(thrift_api::GetCommittedVersionResponse& response,
                                    const thrift_api::GetCommittedVersionRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const kv::VersionResult answer,
                           Run<kv::VersionResult>(request, kv::GetCommittedVersion{}));
    response.version = ToWire(answer.version);
    response.success = true;
    return Status::Ok();
  });
}

// ---- Writes

void KvHandler::setKey(thrift_api::SetResponse& response, const thrift_api::SetRequest& request) {
  InBand(FailedCall::kSet, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(
        const kv::WriteResult answer,
        Run<kv::WriteResult>(
            request, kv::Set{Take(request.key), Take(request.value), Take(request.column_family)}));
    FillWrite(answer, &response);
    return Status::Ok();
  });
}

void KvHandler::deleteKey(thrift_api::DeleteResponse& response,
                          const thrift_api::DeleteRequest& request) {
  InBand(FailedCall::kDelete, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(
        const kv::WriteResult answer,
        Run<kv::WriteResult>(request, kv::Delete{Take(request.key), Take(request.column_family)}));
    FillWrite(answer, &response);
    return Status::Ok();
  });
}

void KvHandler::atomicCommit(thrift_api::AtomicCommitResponse& response,
                             const thrift_api::AtomicCommitRequest& request) {
  InBand(FailedCall::kCommit, &response, [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(kv::AtomicCommit commit, MakeAtomicCommit(request));
    CAIRN_ASSIGN_OR_RETURN(const kv::WriteResult answer,
                           Run<kv::WriteResult>(request, std::move(commit)));
    response.__set_committed_version(ToWire(answer.version));
    response.success = true;
    return Status::Ok();
  });
}

void KvHandler::setVersionstampedKey(thrift_api::SetVersionstampedKeyResponse& response,
                                     const thrift_api::SetVersionstampedKeyRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_RETURN_IF_ERROR(AnswerScope::Hold(request.key_prefix.size()));
    CAIRN_ASSIGN_OR_RETURN(
        kv::WriteResult answer,
        Run<kv::WriteResult>(request,
                             kv::SetVersionstampedKey{Take(request.key_prefix), Take(request.value),
                                                      Take(request.column_family)}));
    response.generated_key = std::move(answer.generated);
    FillWrite(answer, &response);
    return Status::Ok();
  });
}

void KvHandler::setVersionstampedValue(thrift_api::SetVersionstampedValueResponse& response,
                                       const thrift_api::SetVersionstampedValueRequest& request) {
  InBand(FailedCall::kOther, &response, [&]() -> Status {
    CAIRN_RETURN_IF_ERROR(AnswerScope::Hold(request.value_prefix.size()));
    CAIRN_ASSIGN_OR_RETURN(
        kv::WriteResult answer,
        Run<kv::WriteResult>(
            request, kv::SetVersionstampedValue{Take(request.key), Take(request.value_prefix),
                                                Take(request.column_family)}));
    response.generated_value = std::move(answer.generated);
    FillWrite(answer, &response);
    return Status::Ok();
  });
}

}  // namespace cairn::server
