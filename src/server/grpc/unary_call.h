// A call with one request and one response: from the operation it asks for to its answer.
//
// Two parties may end a call: the operation's answer, and a client that went away (its
// cancellation, its deadline, a lost connection). The first one wins and alone touches the
// response, which gRPC frees soon after; the object lives until both are through with it.
//
// Heavy: includes gRPC's headers. For the service files of this folder alone.
#ifndef CAIRN_SRC_SERVER_GRPC_UNARY_CALL_H_
#define CAIRN_SRC_SERVER_GRPC_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <utility>

#include "cairn/status.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/server/grpc/backend.h"
#include "src/server/grpc/errors.h"
#include "src/server/grpc/requests.h"

namespace cairn::server {

class UnaryCall final : public grpc::ServerUnaryReactor, public AnswerHolder {
 public:
  // `holders`: 1 for gRPC, and 1 if an operation will answer. Without `answers`, the answer is
  // small whatever was asked, and Hold is not called.
  explicit UnaryCall(int holders) : UnaryCall(nullptr, nullptr, holders) {}
  UnaryCall(AnswerTable* answers, grpc::CallbackServerContext* call, int holders)
      : answers_(answers), call_(call), holders_(holders) {}

  // True if the caller may fill in the response and must Finish; at most once a call.
  bool Claim() { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  void Release() {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // Makes room for an answer of so many bytes, until the client has taken it. After Claim, before
  // Finish. kResourceExhausted: it must not be sent.
  Status Hold(std::size_t bytes, MonotonicTime now) {
    if (bytes < AnswerTable::kSmall) return Status::Ok();
    Status status = answers_->Add(this, bytes, now);
    if (status.ok()) held_.store(true);
    return status;
  }
  void Cut() override { call_->TryCancel(); }

  void OnCancel() override {
    if (Claim()) Finish({grpc::StatusCode::CANCELLED, "the client went away"});
  }
  void OnDone() override {
    if (held_.load()) answers_->Remove(this);
    Release();
  }

  // What happens here waits for nothing, so gRPC runs it where the call ends, and wakes no thread
  // of its executor for it: with small calls that costs as much as the call. But an answer that is
  // held may be cut, which may end the call within the table's lock: OnDone runs elsewhere then.
  bool InternalInlineable() override { return !held_.load(); }

 private:
  AnswerTable* const answers_;
  grpc::CallbackServerContext* const call_;
  std::atomic<bool> held_{false};
  std::atomic<bool> claimed_{false};
  std::atomic<int> holders_;
};

// A call that is answered at once.
inline grpc::ServerUnaryReactor* Answered(grpc::CallbackServerContext* call, const Status& status) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

inline grpc::ServerUnaryReactor* Answered(const NodeCallRun& run, grpc::CallbackServerContext* call,
                                          const Status& status) {
  run.End(status.code());
  return Answered(call, status);
}

// The same of one whose answer has `bytes` that the client chose or asked for.
inline grpc::ServerUnaryReactor* Answered(const NodeCallRun& run, Backend* backend,
                                          grpc::CallbackServerContext* call, std::size_t bytes) {
  auto* unary = new UnaryCall(&backend->answers(), call, 1);
  // gRPC has not got the call yet: nobody else ends it.
  (void)unary->Claim();
  const Status room = unary->Hold(bytes, backend->node().clock().Now());
  run.End(room.code());
  unary->Finish(ToGrpc(room));
  return unary;
}

// How many bytes of keys and values an answer carries, which is about what it takes to hold it.
template <class Answer>
std::size_t BytesOf(const Answer&) {
  return 0;  // a few numbers
}
inline std::size_t BytesOf(const kv::GetResult& answer) { return answer.value.size(); }
inline std::size_t BytesOf(const kv::RangeResult& answer) {
  std::size_t bytes = 0;
  for (const kv::KeyValue& pair : answer.key_values) bytes += pair.key.size() + pair.value.size();
  return bytes;
}

// The same of an answer that gives back what was asked for: known before anything is done.
inline std::size_t BytesGivenBack(const kv::KvOperation& operation) {
  if (const auto* set = std::get_if<kv::SetVersionstampedKey>(&operation))
    return set->key_template.size();
  if (const auto* set = std::get_if<kv::SetVersionstampedValue>(&operation)) {
    return set->value_template.size();
  }
  return 0;
}

// Runs `operation` and answers with what `fill` makes of its result, an Answer (one of the types of
// kv::OperationResult). `fill(Answer, Response*)` may return nothing, or a Status.
template <class Answer, class Response, class Fill>
grpc::ServerUnaryReactor* RunUnary(Backend* backend, grpc::CallbackServerContext* server_call,
                                   replication::RequestContext context, kv::KvOperation operation,
                                   Response* response, Fill fill, CountAs as = CountAs::kItself) {
  auto* call = new UnaryCall(&backend->answers(), server_call, 2);
  // gRPC has not got the call yet: nobody ends it meanwhile.
  if (Status room = call->Hold(BytesGivenBack(operation), backend->node().clock().Now());
      !room.ok()) {
    if (call->Claim()) call->Finish(ToGrpc(room));
    call->Release();
    return call;
  }
  backend->Execute(
      std::move(context), std::move(operation),
      [backend, call, response, fill = std::move(fill)](Result<kv::OperationResult> result) {
        if (call->Claim()) {
          Status status;
          if (result.ok()) {
            status = call->Hold(BytesOf(std::get<Answer>(*result)), backend->node().clock().Now());
          }
          if (!status.ok()) {
            // Nothing of the answer goes out.
          } else if (result.ok()) {
            Answer& answer = std::get<Answer>(*result);
            if constexpr (std::is_void_v<decltype(fill(std::move(answer), response))>) {
              fill(std::move(answer), response);
            } else {
              status = fill(std::move(answer), response);
            }
          } else {
            status = backend->Translate(std::move(result).status());
          }
          call->Finish(ToGrpc(status));
        }
        call->Release();
      },
      as);
  return call;
}

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_UNARY_CALL_H_
