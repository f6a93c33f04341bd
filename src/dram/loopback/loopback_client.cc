#include <cstring>
#include <future>

#include "src/base/log.h"
#include "src/dram/loopback/loopback_peers.h"

namespace cairn::dram {

void LoopbackProcess::RunAndWait(Task task) {
  std::promise<void> done;
  // The promise is kept, or broken if the thread has ended and drops the task; both end the wait.
  auto future = done.get_future();
  executor_.Post([task = std::move(task), done = std::move(done)]() mutable {
    task();
    done.set_value();
  });
  future.wait();
}

Status LoopbackPayload::MoveTo(const MutableBuffer& place) {
  MutexLock lock(&mutex_);
  if (gone_) return UnavailableError("the payload was taken back by its sender");
  if (place.size != size_) {
    return InvalidArgumentError("a place of " + std::to_string(place.size) +
                                " bytes for a payload of " + std::to_string(size_));
  }
  std::memcpy(place.data, buffer_.data(), buffer_.size());
  gone_ = true;
  buffer_ = Buffer();
  return {};
}

void LoopbackPayload::TakeBack() {
  MutexLock lock(&mutex_);
  gone_ = true;
  buffer_ = Buffer();
}

void LoopbackClient::Connect(const std::shared_ptr<LoopbackNetwork>& network) {
  process_->executor().Post([self = shared_from_this(), network] {
    if (!self->broken_.ok()) return;
    self->listener_ = network->Find(self->address_);
    if (self->listener_ == nullptr) {
      self->Break(UnavailableError("nobody listens at " + self->address_.ToString()));
      return;
    }
    self->connection_ = self->listener_->Accept(self);
  });
}

CallId LoopbackClient::Start(Call call) {
  const CallId id = next_id_.fetch_add(1);
  process_->executor().Post([self = shared_from_this(), id, call = std::move(call)]() mutable {
    self->DoStart(id, std::move(call));
  });
  return id;
}

void LoopbackClient::Cancel(CallId id) {
  process_->executor().Post([self = shared_from_this(), id] {
    self->Finish(id, CancelledError("the call to " + self->address_.ToString() +
                                    " was cancelled by its caller"));
  });
}

void LoopbackClient::Close(Status reason) {
  process_->executor().Post(
      [self = shared_from_this(), reason = std::move(reason)] { self->Break(reason); });
}

void LoopbackClient::CloseAndWait() {
  process_->RunAndWait([self = shared_from_this()] {
    self->Break(UnavailableError("the connection to " + self->address_.ToString() +
                                 " was closed on this side"));
  });
}

void LoopbackClient::Receive(LoopbackMessage message) {
  process_->executor().Post(
      [self = shared_from_this(), message = std::move(message)] { self->OnMessage(message); });
}

void LoopbackClient::PeerGone(Status reason) { Close(std::move(reason)); }

void LoopbackClient::DoStart(CallId id, Call call) {
  if (!broken_.ok()) {
    call.done(broken_);
    return;
  }
  if (call.header.size() > kMaxHeaderBytes || call.payload.size() > kMaxPayloadBytes) {
    call.done(InvalidArgumentError("a header of " + std::to_string(call.header.size()) +
                                   " and a payload of " + std::to_string(call.payload.size()) +
                                   " bytes: at most " + std::to_string(kMaxHeaderBytes) + " and " +
                                   std::to_string(kMaxPayloadBytes)));
    return;
  }
  LoopbackMessage message;
  AppendFrame({FrameKind::kRequest, id, call.payload.size(), call.header}, &message.frame);
  message.payload = std::make_shared<LoopbackPayload>(std::move(call.payload));
  sent_[id].payload = message.payload;
  calls_.Add(id, std::move(call));
  ArmTimer();
  listener_->Deliver(connection_, std::move(message));
}

void LoopbackClient::OnMessage(const LoopbackMessage& message) {
  if (!broken_.ok()) return;
  const auto frame = DecodeFrame(message.frame);
  if (!frame.ok() || frame->call_id >= next_id_.load()) {
    CAIRN_LOG(kWarn, "dram: a bad frame from {}", address_.ToString());
    Break(UnavailableError("a bad frame from " + address_.ToString()));
    return;
  }
  // A call that has ended already: the answer comes too late.
  Call* call = calls_.Find(frame->call_id);
  if (call == nullptr) return;
  if (frame->kind == FrameKind::kDropped) {
    Finish(frame->call_id,
           UnavailableError(address_.ToString() + " dropped the request").WithMaybeApplied());
    return;
  }
  Finish(frame->call_id, TakeAnswer(call, *frame, message));
}

Result<Answer> LoopbackClient::TakeAnswer(Call* call, const Frame& frame,
                                          const LoopbackMessage& message) {
  Answer answer{std::string(frame.header), Buffer()};
  if (frame.payload_size == 0) return answer;
  MutableBuffer place;
  if (call->allocate) {
    CAIRN_ASSIGN_OR_RETURN(place, call->allocate(answer.header, frame.payload_size));
  } else {
    std::shared_ptr<char[]> memory(new char[frame.payload_size]);
    place = {memory.get(), frame.payload_size, memory};
  }
  CAIRN_RETURN_IF_ERROR(message.payload->MoveTo(place));
  answer.payload = Buffer(place.data, place.size, std::move(place.pin));
  return answer;
}

void LoopbackClient::Finish(CallId id, Result<Answer> result) {
  std::optional<Call> call = calls_.Take(id);
  if (!call.has_value()) return;
  if (const auto sent = sent_.find(id); sent != sent_.end()) {
    sent->second.payload->TakeBack();
    sent_.erase(sent);
  }
  if (result.ok()) {
    call->done(std::move(result));
  } else {
    call->done(std::move(result).status().WithMaybeApplied());
  }
}

void LoopbackClient::Break(const Status& reason) {
  if (!broken_.ok()) return;
  broken_ = reason;
  for (auto& [id, call] : calls_.TakeAll()) {
    sent_[id].payload->TakeBack();
    call.done(Status(reason).WithMaybeApplied());
  }
  sent_.clear();
  if (listener_ != nullptr) listener_->ClientGone(connection_);
  listener_ = nullptr;
  if (on_closed_) on_closed_(reason);
  on_closed_ = nullptr;
}

void LoopbackClient::ArmTimer() {
  const MonotonicTime next = calls_.NextDeadline();
  if (next >= armed_) return;
  armed_ = next;
  process_->executor().PostAt(next, [self = shared_from_this()] { self->OnTimer(); });
}

void LoopbackClient::OnTimer() {
  armed_ = MonotonicTime::Max();
  for (auto& [id, call] : calls_.TakeExpired(process_->clock().Now())) {
    sent_[id].payload->TakeBack();
    sent_.erase(id);
    call.done(
        TimeoutError("no answer from " + address_.ToString() + " in time").WithMaybeApplied());
  }
  ArmTimer();
}

}  // namespace cairn::dram
