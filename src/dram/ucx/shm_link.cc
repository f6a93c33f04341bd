#include "src/dram/ucx/shm_link.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"

namespace cairn::dram::ucx {
namespace {

// Kinds of messages in a ring; 0 is the ring's own. docs/formats/dram_shm.md
constexpr std::uint32_t kInlineFrame = 1;
constexpr std::uint32_t kOfferedFrame = 2;
constexpr std::uint32_t kTransferDone = 3;
constexpr std::uint32_t kAttach = 4;

// Larger payloads are copied from process to process, which costs a system call but one copy less.
constexpr std::size_t kInlineBytes = 8 << 10;
// So much is copied before others have their turn.
constexpr std::size_t kStepBytes = 4 << 20;
constexpr unsigned kMessagesAtOnce = 64;
// Links that are looked at in a turn without having rung.
constexpr std::size_t kLooksAtOnce = 64;

template <class T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

// In front of a frame. The frame's own bytes follow, then, if it was not offered, the payload.
struct FrameHead {
  std::uint32_t frame_bytes = 0;
  std::uint32_t slot = 0;
  std::uint64_t address = 0;
};

}  // namespace

struct ShmLink::Outgoing {
  std::uint32_t kind = kInlineFrame;
  std::string wire;  // a frame, a token or a slot
  Buffer payload;
  absl::AnyInvocable<void(Status)> sent;
};

struct ShmLink::Pull {
  MutableBuffer place;
  absl::AnyInvocable<void(Status)> received;
  std::uint64_t address = 0;
  std::uint32_t slot = 0;
  std::size_t done = 0;
};

// A payload that came over shared memory: here already, or offered by its sender.
class ShmArrival final : public Arrival {
 public:
  ShmArrival(std::shared_ptr<ShmLink> link, std::string bytes)
      : Arrival(bytes.size()), link_(std::move(link)), bytes_(std::move(bytes)) {}
  ShmArrival(std::shared_ptr<ShmLink> link, const FrameHead& head, std::uint64_t size)
      : Arrival(size), link_(std::move(link)), offer_(head), offered_(true) {}
  ~ShmArrival() override {
    if (offered_ && !link_->broken()) link_->SayDone(offer_.slot);
  }
  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) override {
    CAIRN_CHECK(into.size == size(), "a place of the wrong size for a payload");
    if (!std::exchange(offered_, false)) {
      CAIRN_CHECK(bytes_.size() == size(), "a payload was received twice");
      std::memcpy(into.data, bytes_.data(), bytes_.size());
      bytes_.clear();
      received(Status());
      return;
    }
    auto pull = std::make_shared<ShmLink::Pull>();
    *pull = {std::move(into), std::move(received), offer_.address, offer_.slot, 0};
    ++link_->outstanding_;
    link_->Step(pull);
  }

 private:
  const std::shared_ptr<ShmLink> link_;
  std::string bytes_;
  const FrameHead offer_;
  bool offered_ = false;
};

ShmLink::ShmLink(ShmSet* set, ShmParts parts, LinkUser* user)
    : Link(user),
      set_(set),
      parts_(std::move(parts)),
      in_(parts_.server ? parts_.segment->layout().to_server : parts_.segment->layout().to_client),
      out_(parts_.server ? parts_.segment->layout().to_client : parts_.segment->layout().to_server),
      reader_(&in_),
      writer_(&out_) {
  last_heard_ = set_->engine_->Now();
}

ShmLink::~ShmLink() {
  ::close(parts_.own_bell);
  ::close(parts_.peer_bell);
}

void ShmLink::Ring() const {
  const std::uint64_t one = 1;
  (void)!::write(parts_.peer_bell, &one, sizeof(one));
}

void ShmLink::Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
                   absl::AnyInvocable<void(Status)> sent) {
  Outgoing message;
  message.kind = payload.size() <= kInlineBytes ? kInlineFrame : kOfferedFrame;
  AppendFrame({kind, call_id, payload.size(), header}, &message.wire);
  message.payload = std::move(payload);
  message.sent = std::move(sent);
  Enqueue(std::move(message));
}

void ShmLink::SendAttach(std::string_view token) {
  Enqueue({kAttach, std::string(token), Buffer(), nullptr});
}

void ShmLink::SendRaw(std::string_view bytes) {
  Enqueue({kInlineFrame, std::string(bytes), Buffer(), nullptr});
}

void ShmLink::SayDone(std::uint32_t slot) {
  in_.transfers[slot].store(static_cast<std::uint32_t>(shm::TransferState::kDone));
  Enqueue({kTransferDone, std::string(BytesOf(slot)), Buffer(), nullptr});
}

void ShmLink::Enqueue(Outgoing message) {
  if (broken()) {
    if (message.sent) {
      set_->engine_->Post([sent = std::move(message.sent), why = why_]() mutable { sent(why); });
    }
    return;
  }
  if (queue_.empty() && TrySend(&message)) return;
  ++outstanding_;
  queue_.push_back(std::move(message));
  // An awake link sends what waits at each turn; the peer rings when there is room.
  set_->Awake(this);
}

bool ShmLink::TrySend(Outgoing* message) {
  bool written = false;
  if (message->kind == kInlineFrame) {
    const FrameHead head{static_cast<std::uint32_t>(message->wire.size()), 0, 0};
    written = writer_.Write(kInlineFrame, {BytesOf(head), message->wire, message->payload.view()});
    if (written) message->payload = Buffer();
  } else if (message->kind == kOfferedFrame) {
    const auto free = std::find_if(offered_.begin(), offered_.end(),
                                   [](const Offered& one) { return !one.used; });
    if (free == offered_.end()) return false;
    const auto slot = static_cast<std::uint32_t>(free - offered_.begin());
    const FrameHead head{static_cast<std::uint32_t>(message->wire.size()), slot,
                         reinterpret_cast<std::uintptr_t>(message->payload.data())};
    out_.transfers[slot].store(static_cast<std::uint32_t>(shm::TransferState::kOffered));
    written = writer_.Write(kOfferedFrame, {BytesOf(head), message->wire});
    if (written) {
      *free = {true, std::move(message->payload), std::move(message->sent)};
      ++outstanding_;
    }
  } else {
    written = writer_.Write(message->kind, {message->wire});
  }
  if (!written) return false;
  if (writer_.MustRing()) set_->Ring(this);
  if (message->sent) std::exchange(message->sent, nullptr)(Status());
  return true;
}

void ShmLink::Flush() {
  while (!broken() && !queue_.empty() && TrySend(&queue_.front())) {
    queue_.pop_front();
    --outstanding_;
  }
}

unsigned ShmLink::Poll() {
  const auto self = shared_from_this();
  unsigned count = 0;
  while (!broken() && count < kMessagesAtOnce) {
    const auto message = reader_.Next();
    if (!message.ok()) {
      Corrupt(message.status().message());
      break;
    }
    if (!message->has_value()) break;
    ++count;
    last_heard_ = set_->engine_->Now();
    Handle(**message);
    if (reader_.Pop()) set_->Ring(this);
  }
  if (count > 0) set_->Awake(this);
  if (!queue_.empty()) Flush();
  return count;
}

bool ShmLink::FallAsleep() {
  if (!reader_.FallAsleep()) return false;
  asleep_ = true;
  return true;
}

void ShmLink::Corrupt(const std::string& what) {
  CAIRN_LOG(kWarn, "dram: a peer's connection over shared memory is closed: {}", what);
  Break(UnavailableError("the peer broke the shared memory: " + what));
}

void ShmLink::Handle(const shm::RingMessage& message) {
  switch (message.kind) {
    case kInlineFrame:
    case kOfferedFrame:
      OnFrame(message.bytes, message.kind == kOfferedFrame);
      return;
    case kTransferDone:
      OnDone(message.bytes);
      return;
    case kAttach: {
      // Padded to a multiple of 8, as a token is anyway.
      const std::string token(message.bytes);
      if (user_ != nullptr) user_->OnAttach(this, token);
      return;
    }
    default:
      Corrupt("a message of kind " + std::to_string(message.kind));
  }
}

void ShmLink::OnFrame(std::string_view bytes, bool offered) {
  FrameHead head;
  if (bytes.size() < sizeof(head)) {
    Corrupt("a frame of " + std::to_string(bytes.size()) + " bytes");
    return;
  }
  std::memcpy(&head, bytes.data(), sizeof(head));
  std::atomic_signal_fence(std::memory_order_seq_cst);
  bytes.remove_prefix(sizeof(head));
  if (head.frame_bytes > bytes.size() || (offered && head.slot >= shm::kTransfers)) {
    Corrupt("a frame of " + std::to_string(head.frame_bytes) + " bytes, offered at " +
            std::to_string(head.slot));
    return;
  }
  // A copy, which the peer can't change any more.
  const std::string wire(bytes.substr(0, head.frame_bytes));
  bytes.remove_prefix(head.frame_bytes);
  const auto frame = DecodeFrame(wire);
  const std::uint64_t size = frame.ok() ? frame->payload_size : 0;
  std::unique_ptr<Arrival> arrival;
  if (offered && size > 0) {
    arrival = std::make_unique<ShmArrival>(shared_from_this(), head, size);
  } else if (size > 0 && size <= bytes.size()) {
    arrival = std::make_unique<ShmArrival>(shared_from_this(), std::string(bytes.substr(0, size)));
  }
  Dispatch(wire, std::move(arrival));
}

void ShmLink::OnDone(std::string_view bytes) {
  std::uint32_t slot = shm::kTransfers;
  if (bytes.size() >= sizeof(slot)) std::memcpy(&slot, bytes.data(), sizeof(slot));
  if (slot >= shm::kTransfers || !offered_[slot].used) {
    Corrupt("a transfer that was never offered is done");
    return;
  }
  Offered done = std::exchange(offered_[slot], {});
  --outstanding_;
  done.payload = Buffer();
  if (done.sent) done.sent(Status());
  Flush();
}

void ShmLink::Step(const std::shared_ptr<Pull>& pull) {
  auto& state = in_.transfers[pull->slot];
  auto expected = static_cast<std::uint32_t>(shm::TransferState::kOffered);
  const auto reading = static_cast<std::uint32_t>(shm::TransferState::kReading);
  Status status = why_;
  if (status.ok() && pull->done == 0 && !state.compare_exchange_strong(expected, reading)) {
    status = UnavailableError("the peer has taken a payload back");
  }
  if (status.ok()) {
    const std::size_t part = std::min(kStepBytes, pull->place.size - pull->done);
    status = parts_.peer->Read(pull->address + pull->done, pull->place.data + pull->done, part,
                               &set_->copy_team_);
    pull->done += part;
    if (status.ok() && pull->done < pull->place.size) {
      set_->engine_->Post([self = shared_from_this(), pull] { self->Step(pull); });
      return;
    }
  }
  expected = reading;
  const auto done = static_cast<std::uint32_t>(shm::TransferState::kDone);
  if (status.ok() && !state.compare_exchange_strong(expected, done)) {
    status = UnavailableError("the peer has taken a payload back while it was copied");
  }
  --outstanding_;
  if (status.ok()) {
    Enqueue({kTransferDone, std::string(BytesOf(pull->slot)), Buffer(), nullptr});
  } else if (!broken()) {
    Break(status);
  }
  auto received = std::move(pull->received);
  pull->place.pin = nullptr;
  received(std::move(status));
}

void ShmLink::Break(const Status& why) {
  if (broken()) return;
  why_ = why;
  set_->engine_->Post([self = shared_from_this()] {
    self->set_->Remove(self.get());
    self->GiveEverythingBack();
    if (self->user_ != nullptr) self->user_->OnBroken(self->why_);
  });
}

void ShmLink::GiveEverythingBack() {
  for (std::size_t i = 0; i < offered_.size(); ++i) {
    if (!offered_[i].used) continue;
    // A peer that copies it finds this when it has done so.
    out_.transfers[i].store(static_cast<std::uint32_t>(shm::TransferState::kWithdrawn));
    Offered taken = std::exchange(offered_[i], {});
    taken.payload = Buffer();
    if (taken.sent) taken.sent(why_);
  }
  for (Outgoing& message : std::exchange(queue_, {})) {
    message.payload = Buffer();
    if (message.sent) message.sent(why_);
  }
}

Result<std::shared_ptr<Link>> ShmSet::Open(ShmParts parts, LinkUser* user) {
  auto link = std::make_shared<ShmLink>(this, std::move(parts), user);
  // Edge-triggered: what rings need not be silenced.
  CAIRN_RETURN_IF_ERROR(engine_->AddFd(link->parts_.own_bell, EPOLLIN | EPOLLET,
                                       [this, weak = std::weak_ptr<ShmLink>(link)](std::uint32_t) {
                                         const auto rung = weak.lock();
                                         if (rung == nullptr || rung->broken()) return;
                                         Awake(rung.get());
                                         (void)rung->Poll();
                                       }));
  links_.push_back(link.get());
  awake_.push_back(link.get());
  return std::shared_ptr<Link>(std::move(link));
}

void ShmSet::Awake(ShmLink* link) {
  if (!link->asleep_) return;
  link->asleep_ = false;
  link->reader_.WakeUp();
  awake_.push_back(link);
}

void ShmSet::Remove(ShmLink* link) {
  engine_->RemoveFd(link->parts_.own_bell);
  std::erase(links_, link);
  std::erase(awake_, link);
}

void ShmSet::Ring(ShmLink* link) {
  if (polling_) {
    to_ring_.push_back(link);
  } else {
    link->Ring();
  }
}

unsigned ShmSet::Poll() {
  unsigned count = 0;
  polling_ = true;
  const std::size_t looks = std::min(links_.size(), kLooksAtOnce);
  // A link leaves the list only by a task, never in here.
  for (std::size_t i = 0; i < looks; ++i) {
    cursor_ = cursor_ + 1 < links_.size() ? cursor_ + 1 : 0;
    ShmLink* const link = links_[cursor_];
    if (!link->reader_.Empty() || !link->queue_.empty()) count += link->Poll();
  }
  polling_ = false;
  for (ShmLink* const link : to_ring_) link->Ring();
  to_ring_.clear();
  return count;
}

bool ShmSet::FallAsleep() {
  while (!awake_.empty()) {
    ShmLink* const link = awake_.back();
    if (!link->broken() && !link->FallAsleep()) return false;
    awake_.pop_back();
  }
  return true;
}

}  // namespace cairn::dram::ucx
