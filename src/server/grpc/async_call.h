// Calls with one request and one response that something else than an operation answers.
//
// Heavy: includes gRPC's headers. For the service files of this folder alone.
#ifndef CAIRN_SRC_SERVER_GRPC_ASYNC_CALL_H_
#define CAIRN_SRC_SERVER_GRPC_ASYNC_CALL_H_

#include <utility>

#include "src/server/grpc/unary_call.h"

namespace cairn::server {

// Starts a call that `run` answers by calling what it is handed, once, with a Result or a Status.
// `fill` puts what it brought into the response; it is called only while that exists. The call is
// counted with what it was answered, be the client there or not.
template <class Value, class Run, class Fill>
grpc::ServerUnaryReactor* StartAsync(Backend* backend, NodeCall what, Run run, Fill fill) {
  const NodeCallRun counted(backend, what);
  backend->Began();
  auto* const call = new UnaryCall(2);
  run([backend, counted, call, fill = std::move(fill)](Result<Value> result) mutable {
    counted.End(result.status().code());
    if (call->Claim()) {
      if (result.ok()) fill(*result);
      call->Finish(ToGrpc(backend->Translate(std::move(result).status())));
    }
    call->Release();
    backend->Ended();
  });
  return call;
}

struct Nothing {};

// The same of a call that brings nothing.
template <class Run>
grpc::ServerUnaryReactor* StartChange(Backend* backend, NodeCall what, Run run) {
  return StartAsync<Nothing>(
      backend, what,
      [&](auto answer) {
        run([answer = std::move(answer)](Status status) mutable {
          if (!status.ok()) return answer(std::move(status));
          answer(Nothing{});
        });
      },
      [](const Nothing&) {});
}

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_ASYNC_CALL_H_
