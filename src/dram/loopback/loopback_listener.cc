#include <utility>
#include <vector>

#include "src/base/log.h"
#include "src/dram/loopback/loopback_peers.h"

namespace cairn::dram {
namespace {

class LoopbackRequest final : public IncomingRequest {
 public:
  LoopbackRequest(ConnectionId connection, std::shared_ptr<LoopbackConnectionState> state,
                  const Frame& frame, LoopbackMessage message)
      : connection_(connection),
        state_(std::move(state)),
        call_id_(frame.call_id),
        message_(std::move(message)),
        header_(std::string_view(message_.frame).substr(kFrameFixedBytes)) {
    state_->unanswered.fetch_add(1);
  }
  ~LoopbackRequest() override {
    if (!answered_) Send(FrameKind::kDropped, {}, Buffer());
  }

  [[nodiscard]] ConnectionId connection() const override { return connection_; }
  [[nodiscard]] std::string_view header() const override { return header_; }
  [[nodiscard]] std::uint64_t payload_size() const override { return message_.payload->size(); }
  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) override {
    const std::shared_ptr<LoopbackPayload> payload = message_.payload;
    received(payload->MoveTo(into));
  }
  void Reply(std::string header, Buffer payload) override {
    Send(FrameKind::kAnswer, header, std::move(payload));
  }

 private:
  void Send(FrameKind kind, std::string_view header, Buffer payload) {
    answered_ = true;
    message_.payload->TakeBack();
    state_->unanswered.fetch_sub(1);
    const std::shared_ptr<LoopbackClient> client = state_->client.lock();
    if (client == nullptr) return;
    LoopbackMessage answer;
    AppendFrame({kind, call_id_, payload.size(), header}, &answer.frame);
    answer.payload = std::make_shared<LoopbackPayload>(std::move(payload));
    client->Receive(std::move(answer));
  }

  const ConnectionId connection_;
  const std::shared_ptr<LoopbackConnectionState> state_;
  const CallId call_id_;
  const LoopbackMessage message_;
  const std::string_view header_;
  bool answered_ = false;
};

}  // namespace

Status LoopbackListener::Claim(const Endpoint& address) {
  CAIRN_ASSIGN_OR_RETURN(address_, network_->Claim(address, weak_from_this()));
  return {};
}

ConnectionId LoopbackListener::Accept(std::weak_ptr<LoopbackClient> client) {
  const ConnectionId id = next_connection_.fetch_add(1);
  process_->executor().Post([self = shared_from_this(), id, client = std::move(client)] {
    if (self->handler_ == nullptr) {
      if (const auto peer = client.lock()) peer->PeerGone(UnavailableError("the listener closed"));
      return;
    }
    auto state = std::make_shared<LoopbackConnectionState>();
    state->client = client;
    self->connections_.emplace(id, std::move(state));
    self->open_.fetch_add(1);
  });
  return id;
}

void LoopbackListener::Deliver(ConnectionId connection, LoopbackMessage message) {
  process_->executor().Post(
      [self = shared_from_this(), connection, message = std::move(message)]() mutable {
        self->OnMessage(connection, std::move(message));
      });
}

void LoopbackListener::ClientGone(ConnectionId connection) {
  process_->executor().Post([self = shared_from_this(), connection] {
    self->Disconnect(connection, UnavailableError("closed by the client"));
  });
}

void LoopbackListener::CloseAndWait() {
  network_->Release(address_);
  process_->RunAndWait([self = shared_from_this()] {
    std::vector<ConnectionId> ids;
    for (const auto& [id, state] : self->connections_) ids.push_back(id);
    for (const ConnectionId id : ids) {
      self->Disconnect(id, UnavailableError(self->address_.ToString() + " closed the connection"));
    }
    self->handler_ = nullptr;
  });
}

void LoopbackListener::OnMessage(ConnectionId id, LoopbackMessage message) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const std::shared_ptr<LoopbackConnectionState> state = found->second;
  const auto frame = DecodeFrame(message.frame);
  const bool request = frame.ok() && frame->kind == FrameKind::kRequest;
  if (frame.ok() && (frame->kind == FrameKind::kHeartbeat || frame->kind == FrameKind::kCancel)) {
    return;
  }
  if (!request || message.payload == nullptr || message.payload->size() != frame->payload_size) {
    const std::string why = frame.ok() ? "not a request" : frame.status().message();
    CAIRN_LOG(kWarn, "dram: {} drops connection {}: {}", address_.ToString(), id, why);
    Disconnect(id, UnavailableError(address_.ToString() + " refused a frame: " + why));
    return;
  }
  if (state->unanswered.load() >= kMaxUnansweredRequests) {
    CAIRN_LOG(kWarn, "dram: {} drops connection {}: too many unanswered requests",
              address_.ToString(), id);
    Disconnect(id, UnavailableError("more than " + std::to_string(kMaxUnansweredRequests) +
                                    " requests unanswered at " + address_.ToString()));
    return;
  }
  state->had_requests = true;
  handler_->OnRequest(std::make_unique<LoopbackRequest>(id, state, *frame, std::move(message)));
}

void LoopbackListener::Disconnect(ConnectionId id, const Status& reason) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const std::shared_ptr<LoopbackConnectionState> state = found->second;
  connections_.erase(found);
  open_.fetch_sub(1);
  if (const auto client = state->client.lock()) client->PeerGone(reason);
  if (state->had_requests) handler_->OnDisconnect(id);
}

}  // namespace cairn::dram
