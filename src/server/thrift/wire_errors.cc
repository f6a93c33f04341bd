#include "src/server/thrift/wire_errors.h"

namespace cairn::server {
namespace {

const char* BrokenCode(FailedCall call) {
  switch (call) {
    case FailedCall::kSet:
      return "PUT_FAILED";
    case FailedCall::kDelete:
      return "DELETE_FAILED";
    case FailedCall::kCommit:
      return "COMMIT_FAILED";
    case FailedCall::kOther:
      return "OPERATION_FAILED";
  }
  return "OPERATION_FAILED";
}

}  // namespace

std::string WireErrorCode(const Status& status, FailedCall call) {
  switch (status.code()) {
    case StatusCode::kInjectedFault:
      if (!status.fault_name().empty()) return status.fault_name();
      break;
    case StatusCode::kIoError:
    case StatusCode::kCorruption:
      return BrokenCode(call);
    default:
      break;
  }
  return std::string(StatusCodeName(status.code()));
}

std::string WireErrorText(const Status& status) {
  return status.message().empty() ? std::string(StatusCodeName(status.code())) : status.message();
}

}  // namespace cairn::server
