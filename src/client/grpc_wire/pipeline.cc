#include "src/client/grpc_wire/pipeline.h"

#include <absl/container/flat_hash_map.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "api/cairn.grpc.pb.h"
#include "src/client/grpc_wire/errors.h"
#include "src/client/grpc_wire/messages.h"

namespace cairn::client {
namespace {

// Of one message of requests. A larger operation makes a call of its own, so that it holds up
// nobody.
constexpr std::size_t kMessageBytes = 64 << 10;
constexpr int kMessageOperations = 1024;  // as many as nodes take
// Between two attempts to open a pipeline.
constexpr auto kReopen = std::chrono::milliseconds(100);

// Somebody who waits for an answer.
struct Waiting {
  NodeChannel::Done done;
  MonotonicTime deadline;
  v1::PipelinedAnswer::AnswerCase expects = v1::PipelinedAnswer::ANSWER_NOT_SET;
  bool is_write = false;
};

v1::PipelinedAnswer::AnswerCase AnswerOf(v1::PipelinedOperation::OperationCase operation) {
  switch (operation) {
    case v1::PipelinedOperation::kGet:
      return v1::PipelinedAnswer::kGet;
    case v1::PipelinedOperation::kGetReadVersion:
      return v1::PipelinedAnswer::kGetReadVersion;
    case v1::PipelinedOperation::kSetVersionstampedKey:
    case v1::PipelinedOperation::kSetVersionstampedValue:
      return v1::PipelinedAnswer::kVersionstamped;
    default:
      return v1::PipelinedAnswer::kWrite;
  }
}

}  // namespace

// One call of KV.Pipeline. It keeps itself alive until OnDone.
class PipelineStream final
    : public grpc::ClientBidiReactor<v1::PipelineRequest, v1::PipelineResponse>,
      public std::enable_shared_from_this<PipelineStream> {
 public:
  explicit PipelineStream(const PipelineOptions& options)
      : stub_(options.channel),
        running_(options.running),
        scheduler_(options.scheduler),
        node_(options.node) {
    outgoing_.set_longest_answer(options.max_message_bytes);
  }

  void Open() {
    if (!running_->Add(Context())) {
      MutexLock lock(&mutex_);
      over_ = true;
      return;
    }
    self_ = shared_from_this();
    stub_.async()->Pipeline(&context_, this);
    // Writes begin outside of gRPC's callbacks, while there is no end of the reads in sight: the
    // hold says so.
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  [[nodiscard]] bool open() const {
    MutexLock lock(&mutex_);
    return open_;
  }
  [[nodiscard]] bool over() const {
    MutexLock lock(&mutex_);
    return over_;
  }
  // Of one that is over: the node does not know this method.
  [[nodiscard]] bool unimplemented() const {
    MutexLock lock(&mutex_);
    return unimplemented_;
  }

  // Takes both, and gives the operation's number; nothing if the call is not open.
  std::optional<std::uint64_t> Send(v1::PipelinedOperation* operation, Waiting* waiting) {
    const MonotonicTime deadline = waiting->deadline;
    mutex_.Lock();
    if (!open_) {
      mutex_.Unlock();
      return std::nullopt;
    }
    const std::uint64_t id = ++last_id_;
    operation->set_id(id);
    queue_.push_back(std::move(*operation));
    waiting_.emplace(id, std::move(*waiting));
    const bool write = !writing_ && TakeMessage();
    const bool arm = deadline < armed_;
    if (arm) armed_ = deadline;
    mutex_.Unlock();
    if (write) StartWrite(&outgoing_);
    if (arm) SetTimer(deadline);
    return id;
  }

  void Forget(std::uint64_t id) {
    NodeChannel::Done unwanted;  // destroyed without the lock
    MutexLock lock(&mutex_);
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return;
    unwanted = std::move(found->second.done);
    waiting_.erase(found);
    if (id <= sent_) return;
    const auto queued =
        std::lower_bound(queue_.begin(), queue_.end(), id,
                         [](const auto& one, std::uint64_t wanted) { return one.id() < wanted; });
    if (queued != queue_.end() && queued->id() == id) queue_.erase(queued);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      mutex_.Lock();
      open_ = false;
      reads_over_ = true;
      const bool last = !writing_;
      mutex_.Unlock();
      if (last) RemoveHold();
      return;
    }
    {
      MutexLock lock(&mutex_);
      open_ = true;  // that was the greeting, if it was not before
    }
    Deliver();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    mutex_.Lock();
    writing_ = false;
    if (!ok) open_ = false;
    const bool write = open_ && TakeMessage();
    const bool last = !write && reads_over_;
    mutex_.Unlock();
    if (write) StartWrite(&outgoing_);
    if (last) RemoveHold();
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<PipelineStream> self = std::move(self_);
    absl::flat_hash_map<std::uint64_t, Waiting> waiting;
    std::uint64_t sent = 0;
    {
      MutexLock lock(&mutex_);
      open_ = false;
      over_ = true;
      unimplemented_ = status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
      waiting.swap(waiting_);
      queue_.clear();
      sent = sent_;
    }
    for (auto& [id, one] : waiting) one.done(OfEnd(status, one.is_write && id <= sent));
    running_->Remove(Context());
  }

 private:
  // Shares the life of this object.
  std::shared_ptr<grpc::ClientContext> Context() { return {shared_from_this(), &context_}; }

  // What the end of the call means for an operation without an answer. If the node made it, it was
  // not begun, as api/cairn.proto says.
  NodeChannel::Outcome OfEnd(const grpc::Status& status, bool in_doubt) const {
    if (!status.ok()) {
      CallError error = FromGrpc(status, in_doubt, node_, running_->closed());
      return {std::move(error.status), error.answered};
    }
    Status cut = UnavailableError(node_ + ": the pipeline ended before the answer");
    if (in_doubt) cut = std::move(cut).WithMaybeApplied();
    return {std::move(cut), false};
  }

  // Moves what is queued into outgoing_, as much as a message holds. False: nothing is.
  bool TakeMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (queue_.empty()) return false;
    if (sent_ != 0) outgoing_.Clear();
    std::size_t bytes = 0;
    do {
      bytes += queue_.front().ByteSizeLong();
      sent_ = queue_.front().id();
      *outgoing_.add_operations() = std::move(queue_.front());
      queue_.pop_front();
    } while (!queue_.empty() && outgoing_.operations_size() < kMessageOperations &&
             bytes + queue_.front().ByteSizeLong() <= kMessageBytes);
    writing_ = true;
    return true;
  }

  // Hands the answers of incoming_ to those who wait for them.
  void Deliver() {
    std::vector<std::pair<Waiting, v1::PipelinedAnswer*>> answered;
    answered.reserve(static_cast<std::size_t>(incoming_.answers_size()));
    {
      MutexLock lock(&mutex_);
      for (v1::PipelinedAnswer& answer : *incoming_.mutable_answers()) {
        const auto found = waiting_.find(answer.id());
        // Else: forgotten, or too late.
        if (found == waiting_.end()) continue;
        answered.emplace_back(std::move(found->second), &answer);
        waiting_.erase(found);
      }
    }
    for (auto& [one, answer] : answered) {
      if (answer->answer_case() == one.expects) {
        one.done({Take(answer), true});
      } else if (answer->has_error()) {
        CallError error = FromGrpc(answer->error(), one.is_write, node_);
        one.done({std::move(error.status), error.answered});
      } else {
        Status wrong = UnavailableError(node_ + ": the answer is that of another operation");
        if (one.is_write) wrong = std::move(wrong).WithMaybeApplied();
        one.done({std::move(wrong), false});
      }
    }
  }

  void SetTimer(MonotonicTime when) {
    scheduler_->AddTimer(when, [weak = weak_from_this(), when] {
      if (const std::shared_ptr<PipelineStream> self = weak.lock()) self->OnTimer(when);
    });
  }

  void OnTimer(MonotonicTime when) {
    const MonotonicTime now = std::max(scheduler_->Now(), when);
    std::vector<std::pair<Waiting, bool>> late;  // and whether the node may have it
    MonotonicTime next = MonotonicTime::Max();
    bool unsent = false;
    std::deque<v1::PipelinedOperation> kept;
    mutex_.Lock();
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const auto one = at++;
      if (one->second.deadline > now) {
        next = std::min(next, one->second.deadline);
        continue;
      }
      const bool sent = one->first <= sent_;
      unsent |= !sent;
      late.emplace_back(std::move(one->second), sent);
      waiting_.erase(one);
    }
    // What is told to be not applied must not be sent later.
    if (unsent) {
      for (v1::PipelinedOperation& one : queue_) {
        if (waiting_.contains(one.id())) kept.push_back(std::move(one));
      }
      queue_.swap(kept);
    }
    // Another timer was set for an earlier deadline meanwhile: it looks after the rest.
    const bool arm = armed_ == when && next != MonotonicTime::Max();
    if (armed_ == when) armed_ = next;
    mutex_.Unlock();
    if (arm) SetTimer(next);
    for (auto& [one, sent] : late) {
      Status status = TimeoutError(node_ + ": no answer by the deadline");
      if (one.is_write && sent) status = std::move(status).WithMaybeApplied();
      one.done({std::move(status), false});
    }
  }

  v1::KV::Stub stub_;
  const std::shared_ptr<RunningCalls> running_;
  const std::shared_ptr<Scheduler> scheduler_;
  const std::string node_;
  grpc::ClientContext context_;
  std::shared_ptr<PipelineStream> self_;  // from Open to OnDone

  // gRPC's: the one always but in OnReadDone, the other from before StartWrite until OnWriteDone.
  v1::PipelineResponse incoming_;
  v1::PipelineRequest outgoing_;

  mutable Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;  // from the greeting until something fails
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool unimplemented_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;                      // up to this id
  MonotonicTime armed_ ABSL_GUARDED_BY(mutex_) = MonotonicTime::Max();  // when the timer runs
  // Not yet given to gRPC, by id. Somebody waits for each.
  std::deque<v1::PipelinedOperation> queue_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

namespace {

class PipelinedCall final : public Call {
 public:
  PipelinedCall(std::shared_ptr<PipelineStream> stream, std::uint64_t id)
      : stream_(std::move(stream)), id_(id) {}
  void Abandon() override { stream_->Forget(id_); }
  // gRPC brings answers on threads of its own.
  bool Drive() override { return false; }

 private:
  const std::shared_ptr<PipelineStream> stream_;
  const std::uint64_t id_;
};

}  // namespace

Pipeline::Pipeline(PipelineOptions options) : options_(std::move(options)) {}
Pipeline::~Pipeline() = default;

std::shared_ptr<Call> Pipeline::TryStart(const Request& request, const CallContext& context,
                                         NodeChannel::Done* done) {
  if (!IsPointOperation(request)) return nullptr;
  const std::shared_ptr<PipelineStream> stream = Current();
  if (stream == nullptr) return nullptr;
  v1::PipelinedOperation operation;
  // A single call says what is wrong.
  if (!Fill(request, context, &operation).ok()) return nullptr;
  if (operation.ByteSizeLong() > kMessageBytes) return nullptr;
  if (context.deadline != MonotonicTime::Max()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(context.deadline - options_.scheduler->Now());
    operation.set_timeout_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 1)));
  }
  Waiting waiting{std::move(*done), context.deadline, AnswerOf(operation.operation_case()),
                  IsWrite(request)};
  const auto id = stream->Send(&operation, &waiting);
  if (!id) {
    *done = std::move(waiting.done);
    return nullptr;
  }
  return std::make_shared<PipelinedCall>(stream, *id);
}

std::shared_ptr<PipelineStream> Pipeline::Current() {
  std::shared_ptr<PipelineStream> opening;
  {
    MutexLock lock(&mutex_);
    if (unsupported_) return nullptr;
    if (stream_ != nullptr && !stream_->over()) return stream_->open() ? stream_ : nullptr;
    unsupported_ = stream_ != nullptr && stream_->unimplemented();
    const MonotonicTime now = options_.scheduler->Now();
    if (unsupported_ || now < next_open_) return nullptr;
    next_open_ = now + kReopen;
    opening = stream_ = std::make_shared<PipelineStream>(options_);
  }
  opening->Open();
  return nullptr;
}

}  // namespace cairn::client
