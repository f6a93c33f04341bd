#include "src/server/grpc/errors.h"

#include <grpcpp/support/status.h>

#include "api/cairn.pb.h"

namespace cairn::server {
namespace {

grpc::StatusCode CodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return grpc::StatusCode::OK;
    case StatusCode::kInvalidArgument:
    case StatusCode::kInvalidOperation:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case StatusCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case StatusCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case StatusCode::kConflict:
    case StatusCode::kTransactionTooOld:
      return grpc::StatusCode::ABORTED;
    case StatusCode::kTimeout:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case StatusCode::kUnavailable:
    case StatusCode::kStale:
      return grpc::StatusCode::UNAVAILABLE;
    case StatusCode::kNotLeader:
    case StatusCode::kSessionExpired:
    case StatusCode::kConditionFailed:
    case StatusCode::kAlreadyAnswered:
    case StatusCode::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case StatusCode::kOutOfRange:
      return grpc::StatusCode::OUT_OF_RANGE;
    case StatusCode::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case StatusCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case StatusCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case StatusCode::kUnimplemented:
      return grpc::StatusCode::UNIMPLEMENTED;
    case StatusCode::kCorruption:
      return grpc::StatusCode::DATA_LOSS;
    case StatusCode::kIoError:
      return grpc::StatusCode::INTERNAL;
    case StatusCode::kInjectedFault:
      return grpc::StatusCode::UNKNOWN;
  }
  return grpc::StatusCode::UNKNOWN;
}

}  // namespace

void FillError(const Status& status, v1::RpcStatus* to) {
  v1::ErrorDetail detail;
  detail.set_reason(static_cast<v1::Reason>(status.code()));
  if (status.code() == StatusCode::kNotLeader) detail.set_leader_endpoint(status.leader_hint());
  if (status.code() == StatusCode::kInjectedFault) detail.set_fault_name(status.fault_name());
  detail.set_maybe_applied(status.maybe_applied());
  to->set_code(static_cast<int>(CodeOf(status.code())));
  to->set_message(status.message());
  to->add_details()->PackFrom(detail);
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  v1::RpcStatus wire;
  FillError(status, &wire);
  return {CodeOf(status.code()), status.message(), wire.SerializeAsString()};
}

std::string LegacyErrorText(const Status& status) {
  // Faults go by the name that the test gave them, as on the Thrift wire.
  const std::string name =
      status.code() == StatusCode::kInjectedFault && !status.fault_name().empty()
          ? status.fault_name()
          : std::string(StatusCodeName(status.code()));
  return status.message().empty() ? name : name + ": " + status.message();
}

}  // namespace cairn::server
