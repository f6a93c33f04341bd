// What the end of a gRPC call says: the table at the head of api/cairn.proto, read from the other
// side.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_ERRORS_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_ERRORS_H_

#include <cstddef>
#include <string>

#include "cairn/status.h"

namespace grpc {
class Status;
}

namespace cairn::v1 {
class RpcStatus;
}

namespace cairn::client {

// An error of a call, which is not OK. `answered`: the node said it, in an ErrorDetail or by a code
// that gRPC makes of the request alone; else gRPC did, of a call that was cut. A write that was cut
// may have been applied, unless gRPC says that there was no connection; so may one with a message
// over a limit, unless that was its request. `node` names the other side in messages.
struct CallError {
  Status status;
  bool answered = false;
};
// gRPC refuses a message over a limit in the same words at both ends. If it was the answer, the
// write was applied: these sizes tell, of a call that has one request and one answer.
struct MessageSizes {
  std::size_t request = 0;         // 0: not known
  std::size_t longest_answer = 0;  // that this client takes
  bool long_answer = false;        // the answer holds data of the request
};
// A call that was cancelled was cut by the node, which stops, unless this client is `closed`.
CallError FromGrpc(const grpc::Status& status, bool is_write, const std::string& node,
                   bool closed = false, const MessageSizes& sizes = {});
// The same of an error that the node has put into an answer.
CallError FromGrpc(const v1::RpcStatus& error, bool is_write, const std::string& node);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_ERRORS_H_
