// Cairn's errors as gRPC statuses: the table at the head of api/cairn.proto.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_GRPC_ERRORS_H_
#define CAIRN_SRC_SERVER_GRPC_ERRORS_H_

#include <string>

#include "cairn/status.h"

namespace grpc {
class Status;
}

namespace cairn::v1 {
class RpcStatus;
}

namespace cairn::server {

// The status of a call that ended with `status`: code, message, and an ErrorDetail with the reason
// in its details. OK for OK.
grpc::Status ToGrpc(const Status& status);
// The same as a message, of a status that is not OK.
void FillError(const Status& status, v1::RpcStatus* to);

// The text of kvstore.KVStore's `error` fields: "CODE: what was wrong".
std::string LegacyErrorText(const Status& status);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_ERRORS_H_
