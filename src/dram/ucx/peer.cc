#include "src/dram/ucx/peer.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/ucx/server.h"

namespace cairn::dram::ucx {
namespace {

class PeerRequest final : public IncomingRequest {
 public:
  PeerRequest(std::shared_ptr<Peer> peer, const Frame& frame, std::unique_ptr<Arrival> arrival)
      : peer_(std::move(peer)),
        over_shared_memory_(peer_->over_shared_memory()),
        call_(frame.call_id),
        header_(frame.header),
        payload_size_(frame.payload_size),
        arrival_(std::move(arrival)) {}
  ~PeerRequest() override {
    if (!answered_) Send(FrameKind::kDropped, {}, Buffer());
  }

  [[nodiscard]] ConnectionId connection() const override { return peer_->id(); }
  [[nodiscard]] bool over_shared_memory() const override { return over_shared_memory_; }
  [[nodiscard]] std::string_view header() const override { return header_; }
  [[nodiscard]] std::uint64_t payload_size() const override { return payload_size_; }
  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) override {
    CAIRN_CHECK(arrival_ != nullptr, "a payload was received twice");
    const std::unique_ptr<Arrival> arrival = std::move(arrival_);
    arrival->Receive(std::move(into), std::move(received));
  }
  void Reply(std::string header, Buffer payload) override {
    Send(FrameKind::kAnswer, std::move(header), std::move(payload));
  }

 private:
  void Send(FrameKind kind, std::string header, Buffer payload) {
    answered_ = true;
    Engine& engine = peer_->engine();
    if (engine.OnEngine()) {
      arrival_.reset();
      peer_->Answer(kind, call_, header, std::move(payload));
      return;
    }
    engine.Post([peer = peer_, kind, call = call_, header = std::move(header),
                 payload = std::move(payload), arrival = std::move(arrival_)]() mutable {
      arrival.reset();
      peer->Answer(kind, call, header, std::move(payload));
    });
  }

  const std::shared_ptr<Peer> peer_;
  const bool over_shared_memory_;
  const CallId call_;
  const std::string header_;
  const std::uint64_t payload_size_;
  std::unique_ptr<Arrival> arrival_;
  bool answered_ = false;
};

}  // namespace

Peer::Peer(Server* server, ConnectionId id, std::string token, std::uint16_t ucx_port)
    : server_(server),
      engine_(server->core_->engine()),
      id_(id),
      token_(std::move(token)),
      ucx_port_(ucx_port),
      watch_(&engine_, {[this] { return link_->outstanding() != 0; },
                        [this] { return std::max(door_->last_heard(), link_->last_heard()); },
                        [this] { door_->Ping(); },
                        [this] { GiveUp(UnavailableError("the client has gone silent")); }}) {}

void Peer::Open(int fd) {
  door_ = std::make_unique<Door>(&engine_, fd, this);
  handshake_timer_ = engine_.RunAt(engine_.Now() + kHandshakeLimit, [self = shared_from_this()] {
    if (self->link_ == nullptr)
      self->Break(UnavailableError("nobody came by any of the ways within 5 s"));
  });
}

void Peer::OnDoorMessage(std::string_view message) {
  if (server_ == nullptr) return;
  const auto hello = DecodeDoorHello(message);
  if (!hello.ok()) {
    OnDoorClosed(hello.status());
    return;
  }
  if (!hello->token.empty()) {
    Lend(hello->token);
    return;
  }
  if (token_.empty()) {
    server_->TurnAway();
    Break(UnavailableError("no more connections are taken for now"));
    return;
  }
  DoorWelcome welcome;
  welcome.ucx_port = ucx_port_;
  welcome.tcp = server_->core_->network != Network::kUcx;
  welcome.token = token_;
  if (server_->local_ != nullptr) {
    welcome.host = shm::HostId();
    welcome.local_name = server_->local_->name();
  }
  door_->Send(EncodeDoorMessage(welcome));
}

void Peer::OnDoorClosed(const Status& why) {
  if (why.code() == StatusCode::kCorruption) {
    CAIRN_LOG(kWarn, "dram: a connection to {} is closed: {}",
              server_ == nullptr ? "a listener" : server_->address_.ToString(), why.message());
  }
  Break(why);
}

// Over TCP this is also how a client that closes shows; over shared memory something is wrong.
void Peer::OnBroken(const Status& why) {
  if (over_shared_memory()) {
    GiveUp(why);
  } else {
    Break(why);
  }
}

void Peer::GiveUp(const Status& why) {
  if (server_ == nullptr) return;
  CAIRN_LOG(kWarn, "dram: {} gives up a client: {}", server_->address_.ToString(), why.message());
  Break(why);
}

void Peer::OnAttach(Link*, std::string_view) { GiveUp(UnavailableError("it attached twice")); }

void Peer::Attach(std::shared_ptr<Link> link) {
  link_ = std::move(link);
  link_->SetUser(this);
  engine_.Cancel(handshake_timer_);
  // An empty token: accepted.
  link_->SendAttach({});
}

void Peer::OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) {
  if (server_ == nullptr) return;
  // A hint that costs more to follow than to ignore: the client drops what comes too late.
  if (frame.kind == FrameKind::kCancel || frame.kind == FrameKind::kHeartbeat) return;
  if (frame.kind != FrameKind::kRequest) {
    CAIRN_LOG(kWarn, "dram: a client of {} is cut off: it sent a frame of kind {}",
              server_->address_.ToString(), static_cast<int>(frame.kind));
    Break(UnavailableError("a frame that no client sends"));
    return;
  }
  if (++unanswered_ > kMaxUnansweredRequests) {
    CAIRN_LOG(kWarn, "dram: a client of {} is cut off: more than {} requests unanswered",
              server_->address_.ToString(), kMaxUnansweredRequests);
    Break(UnavailableError("too many requests unanswered"));
    return;
  }
  had_requests_ = true;
  server_->handler_->OnRequest(
      std::make_unique<PeerRequest>(shared_from_this(), frame, std::move(arrival)));
  // A payload may be on its way from now on.
  if (server_ != nullptr && (link_->outstanding() != 0 || frame.payload_size > 0)) watch_.Wake();
}

void Peer::Answer(FrameKind kind, CallId call, std::string_view header, Buffer payload) {
  if (server_ == nullptr) return;
  // Counts until it is on its way: a client that takes no answers is cut off as well.
  link_->Send(kind, call, header, std::move(payload), [weak = weak_from_this()](const Status&) {
    if (const std::shared_ptr<Peer> self = weak.lock()) --self->unanswered_;
  });
  if (link_->outstanding() != 0) watch_.Wake();
}

void Peer::Lend(const std::string& token) {
  const std::shared_ptr<Peer> self = shared_from_this();
  if (server_->core_->network == Network::kUcx) {
    OnDoorClosed(
        Status(StatusCode::kCorruption, "door: a socket for frames, which is not offered"));
    return;
  }
  const auto fd = door_->Release();
  if (!fd.ok()) {
    OnDoorClosed(fd.status());
    return;
  }
  lent_ = true;
  Leave()->OnSocket(token, *fd);
}

void Peer::Break(const Status& why) {
  if (server_ == nullptr) return;
  const std::shared_ptr<Peer> self = shared_from_this();
  if (link_ != nullptr) {
    link_->SetUser(nullptr);
    link_->Break(why);
  }
  Leave();
}

Server* Peer::Leave() {
  Server* const server = std::exchange(server_, nullptr);
  watch_.Stop();
  engine_.Cancel(handshake_timer_);
  // May be inside one of the door's calls: it goes afterwards.
  door_->Retire();
  engine_.Post([self = shared_from_this(), door = std::shared_ptr<Door>(std::move(door_))] {});
  server->Forget(this, link_ != nullptr, had_requests_);
  return server;
}

}  // namespace cairn::dram::ucx
