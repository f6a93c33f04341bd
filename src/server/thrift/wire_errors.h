// How a Status stands in a response of the Thrift wire.
//
//   status                     error_code
//   OK                         `error` and `error_code` unset
//   an injected fault          the fault's own name, verbatim
//   IO_ERROR, CORRUPTION       what the old clients know for "it broke": PUT_FAILED from setKey,
//                              DELETE_FAILED from deleteKey, COMMIT_FAILED from atomicCommit,
//                              OPERATION_FAILED from every other call
//   everything else            StatusCodeName: CONFLICT, TIMEOUT and INVALID_OPERATION as the old
//                              clients know them; NOT_LEADER, UNAVAILABLE, INVALID_ARGUMENT,
//                              TRANSACTION_TOO_OLD, ... beside them
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_THRIFT_WIRE_ERRORS_H_
#define CAIRN_SRC_SERVER_THRIFT_WIRE_ERRORS_H_

#include <cstdint>
#include <string>

#include "cairn/status.h"

namespace cairn::server {

// The calls whose unexpected failures have a code of their own.
enum class FailedCall : std::uint8_t { kSet, kDelete, kCommit, kOther };

// For a status that is not OK.
std::string WireErrorCode(const Status& status, FailedCall call);
// The text of `error`; never empty, since clients take any text as a failure and show it.
std::string WireErrorText(const Status& status);

// Fills in what the response has of: error, error_code, leader_hint, maybe_applied.
template <class Response>
void FillError(const Status& status, FailedCall call, Response* response) {
  response->__set_error(WireErrorText(status));
  if constexpr (requires { response->error_code; }) {
    response->__set_error_code(WireErrorCode(status, call));
  }
  if constexpr (requires { response->leader_hint; }) {
    if (status.code() == StatusCode::kNotLeader && !status.leader_hint().empty()) {
      response->__set_leader_hint(status.leader_hint());
    }
  }
  if constexpr (requires { response->maybe_applied; }) {
    if (status.maybe_applied()) response->__set_maybe_applied(true);
  }
}

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_WIRE_ERRORS_H_
