#include "src/server/grpc/pipeline.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/server/grpc/errors.h"
#include "src/server/grpc/requests.h"

namespace cairn::server {
namespace {

// A message of answers is closed at this size; one answer may exceed it alone.
constexpr std::size_t kMessageBytes = 64 << 10;
// What an answer has around it in its message, at most.
constexpr std::size_t kFraming = 8;

}  // namespace

class PipelineCall final
    : public grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse> {
 public:
  PipelineCall(Backend* backend, PipelineTable* pipelines, grpc::CallbackServerContext* call)
      : backend_(backend),
        pipelines_(pipelines),
        call_(call),
        deadline_(DeadlineOf(*call, backend->node().clock().Now())),
        longest_(backend->options().message_bytes) {}

  void Start() {
    if (Status status = pipelines_->Add(this); !status.ok()) {
      Finish(ToGrpc(status));
      return;
    }
    listed_ = true;
    // Both are under way as far as the lock is concerned: see the members.
    StartWrite(&outgoing_);  // the greeting
    StartRead(&incoming_);
  }

  // Begins nothing more, and ends with `status` when everything is answered.
  void End(Status status) {
    mutex_.Lock();
    if (!ending_) end_ = std::move(status);
    ending_ = true;
    const Todo todo = Next();
    mutex_.Unlock();
    Do(todo);
  }

  // Called under the table's lock: the call is alive.
  void EndIfStalled(MonotonicTime then) {
    const std::int64_t since = writing_since_.load();
    if (since != 0 && since <= then.ns) call_->TryCancel();
  }

  void Hold() { holders_.fetch_add(1); }
  void Release() {
    if (holders_.fetch_sub(1) == 1) delete this;
  }

  void OnReadDone(bool ok) override {
    {
      MutexLock lock(&mutex_);
      reading_ = false;
      next_ = 0;
      if (!ok) {
        // The client has sent all it wants to, or the call is cut.
        ending_ = true;
        incoming_.Clear();
      } else {
        TakeMessage();
      }
    }
    Pump();
  }

  void OnWriteDone(bool ok) override {
    writing_since_.store(0);
    mutex_.Lock();
    writing_ = false;
    held_ -= std::exchange(outgoing_bytes_, 0);
    outgoing_.Clear();
    if (!ok) Cut();
    const bool pump = blocked_ && MayBegin();
    const Todo todo = Next();
    mutex_.Unlock();
    Do(todo);
    if (pump) Pump();
  }

  void OnCancel() override {
    mutex_.Lock();
    Cut();
    const Todo todo = Next();
    mutex_.Unlock();
    Do(todo);
  }

  void OnDone() override {
    if (listed_) pipelines_->Remove(this);
    Release();
  }

 private:
  // What is to be done when the lock is let go.
  struct Todo {
    bool write = false;
    bool finish = false;
    bool cut = false;  // with `finish`: operations may be running
  };
  // Answers that travel together.
  struct Batch {
    v1::PipelineResponse message;
    std::size_t bytes = 0;
  };

  void TakeMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (incoming_.longest_answer() != 0) {
      longest_ = std::min<std::size_t>(longest_, incoming_.longest_answer());
    }
    if (incoming_.operations_size() <= kMaxRunning || ending_) return;
    end_ = InvalidArgumentError("a message of a pipeline holds at most " +
                                std::to_string(kMaxRunning) + " operations; this one holds " +
                                std::to_string(incoming_.operations_size()));
    ending_ = true;
  }

  // The client is gone, or will be: nobody wants answers.
  void Cut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ending_ = cut_ = true;
    for (const Batch& batch : waiting_) held_ -= batch.bytes;
    waiting_.clear();
  }

  [[nodiscard]] bool MayBegin() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !ending_ && !reading_ && next_ < incoming_.operations_size() && running_ < kMaxRunning &&
           reads_ < kMaxReads && held_ < kMaxHeldBytes;
  }

  // What can be done now. While a thread begins operations, answers wait for it to be through, or
  // for a message to be full.
  Todo Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || writing_) return {};
    if (waiting_.size() > (pumping_ ? 1U : 0U)) {
      outgoing_.Swap(&waiting_.front().message);
      outgoing_bytes_ = waiting_.front().bytes;
      waiting_.pop_front();
      writing_ = true;
      writing_since_.store(backend_->node().clock().Now().ns);
      return {.write = true, .finish = false, .cut = false};
    }
    if (!ending_ || pumping_) return {};
    finished_ = cut_ || (running_ == 0 && waiting_.empty());
    return {.write = false, .finish = finished_, .cut = cut_};
  }
  // The lock is not held: gRPC may call back.
  void Do(Todo todo) {
    if (todo.write) StartWrite(&outgoing_);
    if (!todo.finish) return;
    // An ErrorDetail would say that nothing is running.
    Finish(todo.cut ? grpc::Status(grpc::StatusCode::CANCELLED, "the client went away")
                    : ToGrpc(backend_->Translate(end_)));
  }

  // Begins what may be begun, and reads on when all of a message is.
  void Pump() {
    mutex_.Lock();
    if (pumping_) {
      // That thread looks again, under the lock, before it is through.
      mutex_.Unlock();
      return;
    }
    pumping_ = true;
    blocked_ = false;
    for (;;) {
      while (MayBegin()) {
        v1::PipelinedOperation* const operation = incoming_.mutable_operations(next_++);
        mutex_.Unlock();
        Begin(*operation);
        mutex_.Lock();
      }
      if (ending_ || reading_ || next_ < incoming_.operations_size()) break;
      reading_ = true;
      mutex_.Unlock();
      StartRead(&incoming_);
      mutex_.Lock();
    }
    pumping_ = false;
    blocked_ = !ending_ && !reading_;
    const Todo todo = Next();
    mutex_.Unlock();
    Do(todo);
  }

  void Begin(const v1::PipelinedOperation& operation) {
    backend_->CountCall();
    switch (operation.operation_case()) {
      case v1::PipelinedOperation::kGet:
        return Run<kv::GetResult>(operation, operation.get(), &v1::PipelinedAnswer::mutable_get);
      case v1::PipelinedOperation::kGetReadVersion:
        return Run<kv::VersionResult>(operation, operation.get_read_version(),
                                      &v1::PipelinedAnswer::mutable_get_read_version);
      case v1::PipelinedOperation::kSet:
        return Run<kv::WriteResult>(operation, operation.set(),
                                    &v1::PipelinedAnswer::mutable_write);
      case v1::PipelinedOperation::kDelete:
        return Run<kv::WriteResult>(operation, operation.delete_(),
                                    &v1::PipelinedAnswer::mutable_write);
      case v1::PipelinedOperation::kSetVersionstampedKey:
        return Run<kv::WriteResult>(operation, operation.set_versionstamped_key(),
                                    &v1::PipelinedAnswer::mutable_versionstamped);
      case v1::PipelinedOperation::kSetVersionstampedValue:
        return Run<kv::WriteResult>(operation, operation.set_versionstamped_value(),
                                    &v1::PipelinedAnswer::mutable_versionstamped);
      case v1::PipelinedOperation::kCommit:
        return Run<kv::WriteResult>(operation, operation.commit(),
                                    &v1::PipelinedAnswer::mutable_write);
      case v1::PipelinedOperation::OPERATION_NOT_SET:
        break;
    }
    Started(/*read=*/false);
    Answer(Failed(operation.id(),
                  InvalidArgumentError("the operation is none that this node knows; set one of the "
                                       "fields get to commit of PipelinedOperation")),
           /*read=*/false);
  }

  template <class Result_, class Request, class Response>
  void Run(const v1::PipelinedOperation& from, const Request& request,
           Response* (v1::PipelinedAnswer::*place)()) {
    constexpr bool kRead = !std::is_same_v<Result_, kv::WriteResult>;
    Started(kRead);
    replication::RequestContext context;
    context.deadline = DeadlineOfOperation(from.timeout_ms());
    Status status = ReadOptionsOf(request, &context);
    Result<kv::KvOperation> operation = TakeOperation(request);
    if (status.ok()) status = operation.status();
    if (!status.ok()) return Answer(Failed(from.id(), status), kRead);
    Hold();
    backend_->Execute(std::move(context), *std::move(operation),
                      [this, id = from.id(), place](Result<kv::OperationResult> result) {
                        if (result.ok()) {
                          v1::PipelinedAnswer answer;
                          answer.set_id(id);
                          FillAnswer(std::get<Result_>(*std::move(result)), (answer.*place)());
                          Answer(std::move(answer), kRead);
                        } else {
                          Answer(Failed(id, result.status()), kRead);
                        }
                        Release();
                      });
  }

  [[nodiscard]] MonotonicTime DeadlineOfOperation(std::uint64_t timeout_ms) const {
    if (timeout_ms == 0) return deadline_;
    constexpr std::uint64_t kYearMs = std::uint64_t{365} * 24 * 3600 * 1000;
    const std::chrono::milliseconds left(std::min(timeout_ms, kYearMs));
    return std::min(deadline_, DeadlineAfter(left, backend_->node().clock().Now()));
  }

  v1::PipelinedAnswer Failed(std::uint64_t id, const Status& status) const {
    v1::PipelinedAnswer answer;
    answer.set_id(id);
    FillError(backend_->Translate(status), answer.mutable_error());
    return answer;
  }

  void Started(bool read) {
    MutexLock lock(&mutex_);
    ++running_;
    if (read) ++reads_;
  }

  // An operation that was begun is done.
  void Answer(v1::PipelinedAnswer answer, bool read) {
    std::size_t bytes = answer.ByteSizeLong() + kFraming;
    mutex_.Lock();
    if (bytes > longest_) {
      Status unsaid = InvalidArgumentError("the answer takes " + std::to_string(bytes) +
                                           " bytes, larger than max (" + std::to_string(longest_) +
                                           " bytes, which the client or the node allows)");
      // The answer is lost, not the write.
      if (!read) unsaid = std::move(unsaid).WithMaybeApplied();
      answer = Failed(answer.id(), unsaid);
      bytes = answer.ByteSizeLong() + kFraming;
    }
    --running_;
    if (read) --reads_;
    if (!cut_) {
      if (waiting_.empty() || waiting_.back().bytes + bytes > std::min(kMessageBytes, longest_)) {
        waiting_.emplace_back();
      }
      *waiting_.back().message.add_answers() = std::move(answer);
      waiting_.back().bytes += bytes;
      held_ += bytes;
    }
    const bool pump = blocked_ && MayBegin();
    if (pump) {
      blocked_ = false;
      Hold();
    }
    const Todo todo = Next();
    mutex_.Unlock();
    Do(todo);
    // Elsewhere: whoever brings an answer, the apply thread say, has other things to do.
    if (pump) {
      backend_->Worker()->Post([this] {
        Pump();
        Release();
      });
    }
  }

  Backend* const backend_;
  PipelineTable* const pipelines_;
  grpc::CallbackServerContext* const call_;
  const MonotonicTime deadline_;
  bool listed_ = false;

  std::atomic<int> holders_{1};  // gRPC, each operation that is running, and a posted Pump
  std::atomic<std::int64_t> writing_since_{0};  // 0: no write is running

  // gRPC's while reading_ and writing_: from before StartRead (StartWrite) until OnReadDone
  // (OnWriteDone). Else incoming_ is of the thread that pumps, outgoing_ of nobody.
  v1::PipelineRequest incoming_;
  v1::PipelineResponse outgoing_;

  Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;
  bool writing_ ABSL_GUARDED_BY(mutex_) = true;
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;  // a thread is in Pump
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;  // Pump stopped within a message
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;   // nothing more is begun or read
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;      // and nothing is written
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  Status end_;                            // written before `ending_` is set, read after
  int next_ ABSL_GUARDED_BY(mutex_) = 0;  // of incoming_'s operations, to begin
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;  // of running_
  std::deque<Batch> waiting_ ABSL_GUARDED_BY(mutex_);
  std::size_t outgoing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t held_ ABSL_GUARDED_BY(mutex_) = 0;  // bytes of waiting_ and outgoing_
  std::size_t longest_ ABSL_GUARDED_BY(mutex_);   // message that the client takes
};

Status PipelineTable::Add(PipelineCall* call) {
  MutexLock lock(&mutex_);
  if (closing_) return UnavailableError("this node is stopping");
  if (calls_.size() >= max_) {
    return ResourceExhaustedError("there are " + std::to_string(max_) +
                                  " pipelines already, as many as the node takes; make single "
                                  "calls, or try again when one has ended");
  }
  calls_.insert(call);
  return Status::Ok();
}

void PipelineTable::Remove(PipelineCall* call) {
  MutexLock lock(&mutex_);
  calls_.erase(call);
}

void PipelineTable::EndStalled(MonotonicTime then) {
  MutexLock lock(&mutex_);
  for (PipelineCall* call : calls_) call->EndIfStalled(then);
}

void PipelineTable::EndAll() {
  std::vector<PipelineCall*> calls;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    calls.assign(calls_.begin(), calls_.end());
    // They are alive while they are listed, and from here on until Release.
    for (PipelineCall* call : calls) call->Hold();
  }
  for (PipelineCall* call : calls) {
    call->End(UnavailableError("this node is stopping; what has no answer was not begun"));
    call->Release();
  }
}

std::uint64_t PipelineTable::open() const {
  MutexLock lock(&mutex_);
  return calls_.size();
}

grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* StartPipeline(
    Backend* backend, PipelineTable* pipelines, grpc::CallbackServerContext* call) {
  auto* pipeline = new PipelineCall(backend, pipelines, call);
  pipeline->Start();
  return pipeline;
}

}  // namespace cairn::server
