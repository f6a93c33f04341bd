#include "src/dram/ucx/client.h"

#include <utility>

#include "src/base/log.h"

namespace cairn::dram::ucx {

Client::Client(Core* core, Endpoint address, absl::AnyInvocable<void(Status)> on_closed)
    : core_(core),
      address_(std::move(address)),
      on_closed_(std::move(on_closed)),
      watch_(&core_->engine(),
             {[this] { return calls_.size() != 0 || !held_.empty(); },
              [this] { return std::max(door_->last_heard(), link_->last_heard()); },
              [this] { door_->Ping(); },
              [this] { Break(UnavailableError(address_.ToString() + " has gone silent")); }}) {}

Status Client::Unavailable(const Status& why) const {
  return UnavailableError(address_.ToString() + ": " + why.message());
}

void Client::Connect() {
  core_->engine().Post([self = shared_from_this()] {
    self->handshake_timer_ =
        self->core_->engine().RunAt(self->core_->engine().Now() + kHandshakeLimit, [self] {
          self->handshake_timer_.reset();
          self->Break(UnavailableError("no connection to " + self->address_.ToString() +
                                       " came about within 5 s"));
        });
    auto numeric = self->core_->resolve(self->address_, true);
    if (numeric.ok()) {
      self->ConnectTo(std::move(numeric));
      return;
    }
    self->core_->resolver.Lookup(self->address_, [self](NameResolver::Addresses found) {
      self->core_->engine().Post([self, found = std::move(found)] { self->ConnectTo(found); });
    });
  });
}

void Client::ConnectTo(Result<std::vector<SocketAddress>> addresses) {
  if (!broken_.ok()) return;
  if (!addresses.ok()) {
    Break(addresses.status());
    return;
  }
  addresses_ = *std::move(addresses);
  TryNextAddress();
}

void Client::TryNextAddress() {
  if (next_address_ == addresses_.size()) {
    Break(Unavailable(UnavailableError(tried_)));
    return;
  }
  server_ = addresses_[next_address_++];
  const Result<int> fd = Door::Connect(server_);
  if (!fd.ok()) {
    GiveUpAddress(fd.status());
    return;
  }
  door_ = std::make_unique<Door>(&core_->engine(), *fd, this);
  door_->Send(EncodeDoorMessage(DoorHello{}));
  if (next_address_ == addresses_.size()) return;
  address_timer_ =
      core_->engine().RunAt(core_->engine().Now() + kAddressLimit, [self = shared_from_this()] {
        self->address_timer_.reset();
        self->GiveUpAddress(UnavailableError("no answer within 1.5 s"));
      });
}

void Client::GiveUpAddress(const Status& why) {
  CloseDoor();
  if (!tried_.empty()) tried_ += "; ";
  // The usual name has one address, which needs no telling.
  if (addresses_.size() > 1) tried_ += server_.host() + ": ";
  tried_ += why.message();
  TryNextAddress();
}

// May be inside one of the door's calls: it goes afterwards.
void Client::CloseDoor() {
  if (address_timer_.has_value()) core_->engine().Cancel(*address_timer_);
  address_timer_.reset();
  if (door_ == nullptr) return;
  door_->Retire();
  core_->engine().Post([door = std::shared_ptr<Door>(std::move(door_))] {});
}

void Client::OnDoorMessage(std::string_view message) {
  const auto welcome = DecodeDoorWelcome(message);
  if (!welcome.ok()) {
    GiveUpAddress(welcome.status());
    return;
  }
  if (!welcome->status.ok()) {
    Break(Unavailable(welcome->status));
    return;
  }
  welcomed_ = true;
  if (address_timer_.has_value()) core_->engine().Cancel(*address_timer_);
  address_timer_.reset();
  if (core_->use_shared_memory && !welcome->local_name.empty() && welcome->host == shm::HostId()) {
    auto dialer = LocalDialer::Dial(core_, welcome->local_name, welcome->token, this,
                                    [this, again = *welcome](Result<std::shared_ptr<Link>> link) {
                                      core_->engine().Post([gone = std::move(dialer_)] {});
                                      if (!link.ok()) {
                                        SayWhyNotLocally(link.status());
                                        ConnectOverNetwork(again);
                                      } else {
                                        link_ = std::move(*link);
                                      }
                                    });
    if (dialer.ok()) {
      dialer_ = std::move(*dialer);
      return;
    }
    SayWhyNotLocally(dialer.status());
  }
  ConnectOverNetwork(*welcome);
}

void Client::SayWhyNotLocally(const Status& why) const {
  CAIRN_LOG(kInfo, "dram: to {} over TCP instead of shared memory: {}", address_.ToString(),
            why.message());
}

void Client::ConnectOverNetwork(const DoorWelcome& welcome) {
  if (!welcome.tcp || core_->network == Network::kUcx) {
    ConnectOverUcx(welcome);
    return;
  }
  auto link = core_->tcp.Connect(server_, this);
  if (!link.ok()) {
    OnBroken(link.status());
    return;
  }
  link_ = std::move(*link);
  link_->SendAttach(welcome.token);
}

void Client::ConnectOverUcx(const DoorWelcome& welcome) {
  if (core_->network == Network::kTcp) {
    welcomed_ = false;
    GiveUpAddress(UnavailableError(
        R"(the server talks over UCX only: leave out "transport" on one of both sides)"));
    return;
  }
  if (welcome.ucx_port == 0 && server_.storage.ss_family == AF_INET) {
    welcomed_ = false;
    GiveUpAddress(UnavailableError(
        R"(the server does not talk over UCX: leave out "transport" on one of both sides)"));
    return;
  }
  // See UcxAddress in server.cc.
  if (welcome.ucx_port == 0 || server_.storage.ss_family != AF_INET) {
    welcomed_ = false;
    GiveUpAddress(
        UnavailableError("UCX reaches IPv4 addresses only: have the server listen on one, or leave "
                         R"(out "transport": "ucx")"));
    return;
  }
  SocketAddress address = server_;
  address.set_port(welcome.ucx_port);
  auto link = core_->links.Connect(address.get(), address.size, this);
  if (!link.ok()) {
    OnBroken(link.status());
    return;
  }
  link_ = std::move(*link);
  link_->SendAttach(welcome.token);
}

void Client::OnAttach(Link*, std::string_view) {
  if (!broken_.ok() || ready_) return;
  ready_ = true;
  if (handshake_timer_.has_value()) core_->engine().Cancel(*handshake_timer_);
  handshake_timer_.reset();
  for (const CallId id : std::exchange(waiting_, {})) Submit(id);
}

void Client::OnDoorClosed(const Status& why) {
  if (welcomed_) {
    OnBroken(why);
  } else {
    GiveUpAddress(why);
  }
}

// UCX can't connect to every address at which a door answers (docs/adr/0011-ucx.md).
void Client::OnBroken(const Status& why) {
  if (ready_ || next_address_ == addresses_.size()) {
    Break(Unavailable(why));
    return;
  }
  if (link_ != nullptr) {
    link_->SetUser(nullptr);
    link_->Break(why);
  }
  link_ = nullptr;
  dialer_ = nullptr;
  welcomed_ = false;
  GiveUpAddress(why);
}

CallId Client::Start(Call call) {
  const CallId id = next_id_.fetch_add(1);
  // Without the way over the thread, where nobody's callback can come of it.
  bool begun = false;
  (void)core_->engine().RunInline([this, id, &call, &begun] {
    begun = ready_ && broken_.ok() && WithinBounds(call);
    if (begun) DoStart(id, std::move(call));
  });
  if (begun) return id;
  core_->engine().Post([self = shared_from_this(), id, call = std::move(call)]() mutable {
    self->DoStart(id, std::move(call));
  });
  return id;
}

bool Client::WithinBounds(const Call& call) {
  return call.header.size() <= kMaxHeaderBytes && call.payload.size() <= kMaxPayloadBytes;
}

void Client::CountCalls() {
  core_->engine().CountCalls(static_cast<std::int64_t>(calls_.size()) -
                             static_cast<std::int64_t>(counted_calls_));
  counted_calls_ = calls_.size();
}

void Client::DoStart(CallId id, Call call) {
  if (!broken_.ok()) {
    call.done(broken_);
    return;
  }
  if (!WithinBounds(call)) {
    call.done(InvalidArgumentError("a header of " + std::to_string(call.header.size()) +
                                   " and a payload of " + std::to_string(call.payload.size()) +
                                   " bytes: at most " + std::to_string(kMaxHeaderBytes) + " and " +
                                   std::to_string(kMaxPayloadBytes)));
    return;
  }
  calls_.Add(id, std::move(call));
  CountCalls();
  ArmDeadline();
  if (ready_) {
    Submit(id);
  } else {
    waiting_.push_back(id);
  }
}

void Client::Submit(CallId id) {
  Call* call = calls_.Find(id);
  if (call == nullptr) return;
  held_[id].sending = true;
  watch_.Wake();
  link_->Send(FrameKind::kRequest, id, call->header, std::move(call->payload),
              [self = shared_from_this(), id](const Status&) { self->LetGo(id, &Held::sending); });
}

void Client::LetGo(CallId id, bool Held::*what) {
  const auto it = held_.find(id);
  if (it == held_.end()) return;
  it->second.*what = false;
  if (!it->second.sending && !it->second.receiving) held_.erase(it);
}

void Client::OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) {
  if (!broken_.ok()) return;
  const bool known_kind = frame.kind == FrameKind::kAnswer || frame.kind == FrameKind::kDropped;
  if (!known_kind || frame.call_id >= next_id_.load()) {
    CAIRN_LOG(kWarn, "dram: {} sent a frame of kind {} for call {}", address_.ToString(),
              static_cast<int>(frame.kind), frame.call_id);
    Break(UnavailableError("a bad frame from " + address_.ToString()));
    return;
  }
  if (frame.kind == FrameKind::kDropped) {
    Finish(frame.call_id,
           UnavailableError(address_.ToString() + " dropped the request").WithMaybeApplied());
    return;
  }
  TakeAnswer(frame.call_id, std::string(frame.header), std::move(arrival));
}

void Client::TakeAnswer(CallId id, std::string header, std::unique_ptr<Arrival> arrival) {
  // A call that has ended already: the answer comes too late.
  Call* call = calls_.Find(id);
  if (call == nullptr) return;
  if (arrival == nullptr) {
    Finish(id, Answer{std::move(header), Buffer()});
    return;
  }
  MutableBuffer place;
  if (call->allocate) {
    auto allocate = std::move(call->allocate);
    auto given = allocate(header, arrival->size());
    if (!given.ok()) {
      Finish(id, given.status());
      return;
    }
    place = std::move(*given);
  } else {
    place = core_->places.Get(arrival->size());
  }
  if (place.size != arrival->size()) {
    Finish(id, InvalidArgumentError("a place of " + std::to_string(place.size) +
                                    " bytes for a payload of " + std::to_string(arrival->size())));
    return;
  }
  held_[id].receiving = true;
  arrival->Receive(place, [self = shared_from_this(), id, place,
                           header = std::move(header)](Status status) mutable {
    self->LetGo(id, &Held::receiving);
    if (!status.ok()) {
      self->Finish(id, self->Unavailable(status).WithMaybeApplied());
    } else {
      self->Finish(id,
                   Answer{std::move(header), Buffer(place.data, place.size, std::move(place.pin))});
    }
  });
}

void Client::Finish(CallId id, Result<Answer> result) {
  std::optional<Call> call = calls_.Take(id);
  CountCalls();
  if (call.has_value()) call->done(std::move(result));
}

void Client::EndEarly(CallId id, Call call, Status why) {
  if (!ready_) {
    call.done(std::move(why));
    return;
  }
  link_->Send(FrameKind::kCancel, id, {}, Buffer(), nullptr);
  if (held_.contains(id)) {
    // Rule 4: what the network does not give back in time is taken by force.
    core_->engine().RunAt(core_->engine().Now() + kReleaseGrace, [self = shared_from_this(), id] {
      if (!self->held_.contains(id)) return;
      self->Break(UnavailableError("the connection to " + self->address_.ToString() +
                                   " was closed to take back the payload of a call that ended"));
    });
  }
  call.done(std::move(why).WithMaybeApplied());
}

void Client::Cancel(CallId id) {
  core_->engine().Post([self = shared_from_this(), id] {
    std::optional<Call> call = self->calls_.Take(id);
    self->CountCalls();
    if (!call.has_value()) return;
    self->EndEarly(id, std::move(*call),
                   CancelledError("the call to " + self->address_.ToString() +
                                  " was cancelled by its caller"));
  });
}

void Client::Close(Status reason) {
  core_->engine().Post(
      [self = shared_from_this(), reason = std::move(reason)] { self->Break(reason); });
}

void Client::CloseAndWait() {
  core_->engine().RunAndWait([this] {
    Break(
        UnavailableError("the connection to " + address_.ToString() + " was closed on this side"));
  });
}

void Client::Break(const Status& reason) {
  if (!broken_.ok()) return;
  const std::shared_ptr<Client> self = shared_from_this();
  broken_ = reason;
  watch_.Stop();
  if (armed_ != MonotonicTime::Max()) core_->engine().Cancel(deadline_timer_);
  if (handshake_timer_.has_value()) core_->engine().Cancel(*handshake_timer_);
  handshake_timer_.reset();
  if (link_ != nullptr) {
    link_->SetUser(nullptr);
    link_->Break(reason);
  }
  dialer_ = nullptr;
  CloseDoor();
  auto calls = calls_.TakeAll();
  CountCalls();
  for (auto& [id, call] : calls) {
    call.done(ready_ ? Status(reason).WithMaybeApplied() : reason);
  }
  if (on_closed_) std::exchange(on_closed_, nullptr)(reason);
}

void Client::ArmDeadline() {
  const MonotonicTime next = calls_.NextDeadline();
  if (next >= armed_) return;
  if (armed_ != MonotonicTime::Max()) core_->engine().Cancel(deadline_timer_);
  armed_ = next;
  deadline_timer_ =
      core_->engine().RunAt(next, [self = shared_from_this()] { self->OnDeadline(); });
}

void Client::OnDeadline() {
  armed_ = MonotonicTime::Max();
  auto expired = calls_.TakeExpired(core_->engine().Now());
  CountCalls();
  for (auto& [id, call] : expired) {
    EndEarly(id, std::move(call),
             TimeoutError("no answer from " + address_.ToString() + " in time"));
  }
  if (broken_.ok()) ArmDeadline();
}

}  // namespace cairn::dram::ucx
