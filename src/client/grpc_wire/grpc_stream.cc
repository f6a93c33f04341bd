#include "src/client/grpc_wire/grpc_stream.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <utility>

#include "api/cairn.grpc.pb.h"
#include "src/client/grpc_wire/errors.h"
#include "src/client/grpc_wire/messages.h"

namespace cairn::client {
namespace {

// The part that gRPC calls back. It keeps itself alive until OnDone.
class Reader final : public grpc::ClientReadReactor<v1::ScanResponse>,
                     public std::enable_shared_from_this<Reader> {
 public:
  Reader(const std::shared_ptr<grpc::ChannelInterface>& channel,
         std::shared_ptr<RunningCalls> running, v1::ScanRequest request, std::string node)
      : stub_(channel),
        running_(std::move(running)),
        request_(std::move(request)),
        node_(std::move(node)) {}

  void Start() {
    if (!running_->Add(Context())) {
      MutexLock lock(&mutex_);
      done_ = true;
      status_ = grpc::Status(grpc::StatusCode::CANCELLED, "the client is closed");
      return;
    }
    self_ = shared_from_this();
    stub_.async()->Scan(&context_, &request_, this);
    // The taker begins the later reads, outside of gRPC's callbacks; the hold says so. It is let go
    // when there will be no more of them.
    AddHold();
    StartRead(&message_);
    StartCall();
  }

  // The taker leaves.
  void Leave() {
    {
      MutexLock lock(&mutex_);
      if (done_) return;
    }
    context_.TryCancel();
    LetGo();
  }

  // Whoever takes leaves soon, which ends the call.
  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    changed_.SignalAll();
  }

  RangeStream::Next Take(MonotonicTime deadline) {
    mutex_.Lock();
    while (!ready_ && !done_ && !cancelled_) {
      if (!WaitUntil(deadline)) break;
    }
    if (cancelled_) {
      mutex_.Unlock();
      return {CancelledError("cancelled"), false};
    }
    if (ready_) {
      RangeStream::Batch batch = client::Take(&message_);
      ready_ = false;
      message_.Clear();
      mutex_.Unlock();
      if (batch.last) {
        LetGo();
      } else {
        StartRead(&message_);
      }
      return {std::move(batch), true};
    }
    const bool ended = done_;
    const grpc::Status status = status_;
    mutex_.Unlock();
    if (!ended) {
      return {TimeoutError(node_ + ": no batch of the scan came in time"), false};
    }
    if (status.ok()) {
      return {UnavailableError(node_ + ": the scan ended before its last batch"), false};
    }
    CallError error = FromGrpc(status, /*is_write=*/false, node_, running_->closed());
    return {std::move(error.status), error.answered};
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      LetGo();
      return;
    }
    MutexLock lock(&mutex_);
    ready_ = true;
    changed_.SignalAll();
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Reader> self = std::move(self_);
    {
      MutexLock lock(&mutex_);
      done_ = true;
      status_ = status;
      changed_.SignalAll();
    }
    running_->Remove(Context());
  }

 private:
  // Shares the life of this object.
  std::shared_ptr<grpc::ClientContext> Context() { return {shared_from_this(), &context_}; }

  bool WaitUntil(MonotonicTime deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (deadline == MonotonicTime::Max()) {
      changed_.Wait(&mutex_);
      return true;
    }
    return changed_.WaitUntil(
        &mutex_, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline.ns)));
  }
  void LetGo() {
    {
      MutexLock lock(&mutex_);
      if (std::exchange(let_go_, true)) return;
    }
    RemoveHold();
  }

  v1::KV::Stub stub_;
  const std::shared_ptr<RunningCalls> running_;
  const v1::ScanRequest request_;
  const std::string node_;
  grpc::ClientContext context_;
  std::shared_ptr<Reader> self_;  // from Start to OnDone

  Mutex mutex_;
  CondVar changed_;
  // gRPC's from StartRead until OnReadDone, the taker's while `ready_`.
  v1::ScanResponse message_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
};

class GrpcStream final : public RangeStream {
 public:
  explicit GrpcStream(std::shared_ptr<Reader> reader) : reader_(std::move(reader)) {}
  ~GrpcStream() override { reader_->Leave(); }
  Next Take(MonotonicTime deadline) override { return reader_->Take(deadline); }
  [[nodiscard]] std::function<void()> Canceller() const override {
    return [weak = std::weak_ptr<Reader>(reader_)] {
      if (const std::shared_ptr<Reader> reader = weak.lock()) reader->Cancel();
    };
  }

 private:
  const std::shared_ptr<Reader> reader_;
};

class BrokenStream final : public RangeStream {
 public:
  explicit BrokenStream(Status status) : status_(std::move(status)) {}
  Next Take(MonotonicTime) override { return {status_, true}; }
  [[nodiscard]] std::function<void()> Canceller() const override {
    return [] {};
  }

 private:
  const Status status_;
};

}  // namespace

std::unique_ptr<RangeStream> OpenGrpcStream(const std::shared_ptr<grpc::ChannelInterface>& channel,
                                            std::shared_ptr<RunningCalls> running,
                                            v1::ScanRequest request, const std::string& node) {
  auto reader = std::make_shared<Reader>(channel, std::move(running), std::move(request), node);
  reader->Start();
  return std::make_unique<GrpcStream>(std::move(reader));
}

std::unique_ptr<RangeStream> FailedStream(Status status) {
  return std::make_unique<BrokenStream>(std::move(status));
}

}  // namespace cairn::client
