#include "src/dram/ucx/tcp_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/ucx/door_message.h"

namespace cairn::dram::ucx {
namespace {

// So much is read before others have their turn, and what is not read straight into its place
// counts for more.
constexpr std::size_t kStepBytes = 4 << 20;
constexpr std::size_t kFrameCost = 16;
// How long the kernel is left alone when it has no memory for what is to be sent.
constexpr std::chrono::milliseconds kMemoryPause{1};
// Parts of memory that one system call sends, and about how many bytes.
constexpr std::size_t kSendParts = 64;
constexpr std::size_t kPieceBytes = 128 << 10;
// More links than these are looked at by asking the kernel which of them is ready.
constexpr std::size_t kCheapLooks = 2;

// As much of something large as the kernel is given at once: whole segments, so that none but the
// last is sent half full. In one call for all of it, acknowledgements would be taken only at its
// end, and all of its memory would be new and in nobody's cache.
std::size_t PieceBytes(int fd) {
  int segment = 0;
  socklen_t size = sizeof(segment);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &size) != 0 || segment <= 0) {
    return kPieceBytes;
  }
  const auto bytes = static_cast<std::size_t>(segment);
  return std::max<std::size_t>(kPieceBytes / bytes, 1) * bytes;
}

}  // namespace

// A payload that came over a socket, or comes: `here` is what of it is here.
class TcpArrival final : public Arrival {
 public:
  TcpArrival(std::shared_ptr<TcpLink> link, std::uint64_t size, std::string_view here)
      : Arrival(size), link_(std::move(link)), here_(here) {}
  ~TcpArrival() override {
    if (link_->arriving_ == this) {
      link_->arriving_ = nullptr;
      link_->skip_ += size() - here_.size();
    } else if (late_ != nullptr && !taken_) {
      link_->SkipRest(late_);
    }
  }

  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) override {
    CAIRN_CHECK(!std::exchange(taken_, true), "a payload was received twice");
    CAIRN_CHECK(into.size == size(), "a place of the wrong size for a payload");
    if (late_ != nullptr) {
      late_->into = std::move(into);
      late_->received = std::move(received);
      // Whoever sent it is gone, as with a payload that has not come.
      if (link_->broken()) late_->status = link_->why_;
      if (late_->ended) late_->HandOver();
      return;
    }
    std::memcpy(into.data, here_.data(), here_.size());
    const std::size_t done = here_.size();
    link_->arriving_ = nullptr;
    if (done == size()) {
      received(Status());
    } else {
      link_->ReceiveRest({std::move(into), std::move(received), done});
    }
  }

  // Whose it is has not said where to put it: it comes into memory of ours, so that what is behind
  // it goes on.
  void Keep() {
    late_ = std::make_shared<Late>();
    late_->bytes.reset(new (std::nothrow) char[size()]);
    if (late_->bytes == nullptr) {
      late_->ended = true;
      link_->Break(UnavailableError("no memory for a payload of " + std::to_string(size()) +
                                    " bytes that nobody takes"));
      return;
    }
    std::memcpy(late_->bytes.get(), here_.data(), here_.size());
    if (here_.size() == size()) {
      late_->ended = true;
      return;
    }
    link_->ReceiveRest({{late_->bytes.get(), size(), late_},
                        [late = late_](Status status) {
                          late->ended = true;
                          late->status = std::move(status);
                          if (late->received) late->HandOver();
                        },
                        here_.size()});
  }

 private:
  // Comes, or has come, before its place is known.
  struct Late {
    std::unique_ptr<char[]> bytes;
    bool ended = false;
    Status status;
    MutableBuffer into;
    absl::AnyInvocable<void(Status)> received;
    void HandOver() {
      if (status.ok()) std::memcpy(into.data, bytes.get(), into.size);
      into.pin = nullptr;
      std::exchange(received, nullptr)(status);
    }
  };

  const std::shared_ptr<TcpLink> link_;
  const std::string_view here_;  // valid while the frame is handed over
  std::shared_ptr<Late> late_;
  bool taken_ = false;
};

TcpLink::TcpLink(TcpLinks* set, int fd, bool connecting, LinkUser* user)
    : Link(user), set_(set), fd_(fd), writes_(connecting) {
  const int on = 1;
  (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  last_heard_ = set_->engine_->Now();
}

TcpLink::~TcpLink() {
  CAIRN_CHECK(broken() || !opened_, "a link was dropped while in use");
  if (fd_ >= 0) ::close(fd_);
}

void TcpLink::Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
                   absl::AnyInvocable<void(Status)> sent) {
  if (kind == FrameKind::kCancel && TakeBack(call_id)) return;
  Outgoing message;
  if (kind == FrameKind::kRequest) message.request = call_id;
  AppendFrame({kind, call_id, payload.size(), header}, &message.wire);
  message.payload = std::move(payload);
  message.sent = std::move(sent);
  Enqueue(std::move(message));
}

void TcpLink::SendAttach(std::string_view token) {
  if (token.empty()) {
    Send(FrameKind::kHeartbeat, 0, {}, Buffer(), nullptr);
    return;
  }
  awaits_acceptance_ = true;
  SendRaw(EncodeDoorMessage(DoorHello{std::string(token)}));
}

void TcpLink::SendRaw(std::string_view bytes) {
  Outgoing message;
  message.wire = bytes;
  Enqueue(std::move(message));
}

// It may stand behind something large, and would keep its payload for as long as that takes.
bool TcpLink::TakeBack(CallId call) {
  // In there, what has not been sent may have been by now.
  if (flushing_ || broken()) return false;
  const auto it = std::find_if(queue_.begin(), queue_.end(), [call](const Outgoing& message) {
    return message.request == call && message.done == 0;
  });
  if (it == queue_.end()) return false;
  set_->engine_->Post([taken = std::move(*it)]() mutable {
    taken.payload = Buffer();
    if (taken.sent) taken.sent(CancelledError("the request was taken back before it was sent"));
  });
  queue_.erase(it);
  --outstanding_;
  return true;
}

void TcpLink::Enqueue(Outgoing message) {
  if (message.size() == 0) return;
  if (broken()) {
    if (message.sent) {
      set_->engine_->Post([sent = std::move(message.sent), why = why_]() mutable { sent(why); });
    }
    return;
  }
  ++outstanding_;
  queue_.push_back(std::move(message));
  if (writes_ || flushing_) return;
  if (set_->engine_->InBatch()) {
    if (!std::exchange(put_off_, true)) set_->PutOff(shared_from_this());
  } else {
    Flush();
  }
}

// What is sent by a callback in here joins the queue.
void TcpLink::Flush() {
  flushing_ = true;
  const bool all = TryFlush();
  flushing_ = false;
  AwaitRoom(!all);
}

bool TcpLink::TryFlush() {
  std::size_t piece = kPieceBytes;
  if (!queue_.empty() && queue_.front().size() > kPieceBytes) piece = PieceBytes(fd_);
  while (!broken() && !queue_.empty()) {
    std::array<iovec, kSendParts> parts;
    std::size_t count = 0;
    std::size_t bytes = 0;
    const auto add = [&](std::string_view part, std::size_t done) {
      if (done >= part.size() || bytes == piece) return;
      const std::size_t taken = std::min(part.size() - done, piece - bytes);
      parts[count++] = {const_cast<char*>(part.data()) + done, taken};
      bytes += taken;
    };
    for (const Outgoing& message : queue_) {
      if (count + 2 > parts.size() || bytes == piece) break;
      add(message.wire, message.done);
      add(message.payload.view(),
          std::max(message.done, message.wire.size()) - message.wire.size());
    }
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = count;
    const ssize_t n = ::sendmsg(fd_, &header, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOBUFS || errno == ENOMEM)) {
      // The socket would say that it has room.
      set_->engine_->RunAt(set_->engine_->Now() + kMemoryPause, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Flush();
      });
      return true;
    }
    if (n < 0 && errno != EAGAIN) {
      Break(UnavailableError(std::string("the connection broke: ") + std::strerror(errno)));
      return false;
    }
    if (n > 0) Sent(static_cast<std::size_t>(n));
    // The kernel has no more room, and says when it has.
    if (n < static_cast<ssize_t>(bytes)) return false;
  }
  return true;
}

void TcpLink::Sent(std::size_t bytes) {
  while (bytes > 0) {
    Outgoing& first = queue_.front();
    const std::size_t part = std::min(bytes, first.size() - first.done);
    first.done += part;
    bytes -= part;
    if (first.done < first.size()) return;
    auto sent = std::move(first.sent);
    set_->engine_->Drop(first.payload.pin());
    queue_.pop_front();
    --outstanding_;
    if (sent) sent(Status());
  }
}

void TcpLink::AwaitRoom(bool wanted) {
  if (broken() || wanted == writes_) return;
  writes_ = wanted;
  set_->writers_ += wanted ? 1 : -1;
  const Status watched = set_->engine_->ModifyFd(fd_, EPOLLIN | (wanted ? EPOLLOUT : 0U));
  if (!watched.ok()) Break(watched);
}

void TcpLink::OnReady(std::uint32_t events) {
  const auto self = shared_from_this();
  if ((events & EPOLLOUT) != 0) Flush();
  if ((events & ~std::uint32_t{EPOLLOUT}) != 0) (void)Read();
}

unsigned TcpLink::Read() {
  const auto self = shared_from_this();
  unsigned count = 0;
  for (std::size_t step = 0; !broken() && step < kStepBytes;) {
    std::array<iovec, 2> parts;
    std::size_t used = 0;
    std::size_t asked = set_->buffer_.size();
    if (incoming_.has_value()) {
      const std::size_t left = incoming_->place.size - incoming_->done;
      parts[used++] = {incoming_->place.data + incoming_->done, left};
      asked += left;
    }
    parts[used++] = {set_->buffer_.data(), set_->buffer_.size()};
    const ssize_t n = ::readv(fd_, parts.data(), static_cast<int>(used));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      if (n == 0 && InFrame()) {
        CAIRN_LOG(kInfo, "dram: a peer's connection is closed for a bad frame: it has no end");
      }
      Break(UnavailableError(n == 0
                                 ? std::string("the peer hung up")
                                 : std::string("the connection broke: ") + std::strerror(errno)));
      break;
    }
    ++count;
    last_heard_ = set_->engine_->Now();
    auto bytes = static_cast<std::size_t>(n);
    step += bytes;
    if (incoming_.has_value()) {
      const std::size_t part = std::min(bytes, incoming_->place.size - incoming_->done);
      incoming_->done += part;
      bytes -= part;
      if (incoming_->done == incoming_->place.size) EndIncoming(Status());
    }
    // Small frames take longer than their bytes.
    step += kFrameCost * bytes;
    if (bytes > 0) Take({set_->buffer_.data(), bytes});
    // The kernel had no more.
    if (static_cast<std::size_t>(n) < asked) break;
  }
  return count;
}

bool TcpLink::InFrame() const { return !partial_.empty() || incoming_.has_value() || skip_ > 0; }

void TcpLink::Take(std::string_view bytes) {
  if (partial_.empty()) {
    partial_ = TakeFrames(bytes);
    return;
  }
  const std::string whole = std::exchange(partial_, {}).append(bytes);
  partial_ = TakeFrames(whole);
}

std::string_view TcpLink::TakeFrames(std::string_view bytes) {
  while (!bytes.empty() && !broken()) {
    const std::size_t passed = std::min<std::uint64_t>(skip_, bytes.size());
    skip_ -= passed;
    bytes.remove_prefix(passed);
    const std::size_t head_bytes = FrameHeadBytes(bytes);
    if (head_bytes == 0) break;
    bytes = TakeFrame(bytes, head_bytes);
  }
  return bytes;
}

std::string_view TcpLink::TakeFrame(std::string_view bytes, std::size_t head_bytes) {
  const std::string_view head = bytes.substr(0, head_bytes);
  bytes.remove_prefix(head_bytes);
  const auto frame = DecodeFrame(head);
  if (!frame.ok()) {
    Dispatch(head, nullptr);
    return {};
  }
  if (std::exchange(awaits_acceptance_, false)) {
    if (frame->kind != FrameKind::kHeartbeat) {
      Break(UnavailableError("the peer sent a frame before it accepted the connection"));
    } else if (user_ != nullptr) {
      user_->OnAttach(this, {});
    }
    return bytes;
  }
  if (user_ == nullptr) return {};
  if (frame->payload_size == 0) {
    user_->OnFrame(*frame, nullptr);
    return bytes;
  }
  const std::string_view here = bytes.substr(0, frame->payload_size);
  bytes.remove_prefix(here.size());
  auto arrival = std::make_unique<TcpArrival>(shared_from_this(), frame->payload_size, here);
  arriving_ = arrival.get();
  user_->OnFrame(*frame, std::move(arrival));
  if (TcpArrival* const kept = std::exchange(arriving_, nullptr); kept != nullptr) kept->Keep();
  return bytes;
}

void TcpLink::ReceiveRest(Incoming incoming) {
  if (broken()) {
    incoming.place.pin = nullptr;
    incoming.received(why_);
    return;
  }
  ++outstanding_;
  ++set_->transfers_;
  incoming_ = std::move(incoming);
}

void TcpLink::EndIncoming(Status status) {
  Incoming ended = *std::exchange(incoming_, std::nullopt);
  --outstanding_;
  --set_->transfers_;
  ended.place.pin = nullptr;
  ended.received(std::move(status));
}

void TcpLink::SkipRest(const std::shared_ptr<void>& pin) {
  if (!incoming_.has_value() || incoming_->place.pin != pin) return;
  skip_ += incoming_->place.size - incoming_->done;
  incoming_.reset();
  --outstanding_;
  --set_->transfers_;
}

void TcpLink::Break(const Status& why) {
  if (broken()) return;
  why_ = why;
  if (writes_) --set_->writers_;
  set_->engine_->Post([self = shared_from_this()] {
    self->set_->Remove(self.get());
    self->GiveEverythingBack();
    if (self->user_ != nullptr) self->user_->OnBroken(self->why_);
  });
}

void TcpLink::GiveEverythingBack() {
  if (incoming_.has_value()) EndIncoming(why_);
  for (Outgoing& message : std::exchange(queue_, {})) {
    --outstanding_;
    message.payload = Buffer();
    if (message.sent) message.sent(why_);
  }
}

Result<std::shared_ptr<Link>> TcpLinks::Connect(const SocketAddress& address, LinkUser* user) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, Door::Connect(address));
  return Open(std::make_shared<TcpLink>(this, fd, true, user));
}

Result<std::shared_ptr<Link>> TcpLinks::Accept(int fd, LinkUser* user) {
  return Open(std::make_shared<TcpLink>(this, fd, false, user));
}

Result<std::shared_ptr<Link>> TcpLinks::Open(std::shared_ptr<TcpLink> link) {
  CAIRN_RETURN_IF_ERROR(engine_->AddFd(link->fd_, EPOLLIN | (link->writes_ ? EPOLLOUT : 0U),
                                       [link = link.get()](std::uint32_t events) {
                                         // Removed before it goes.
                                         if (!link->broken()) link->OnReady(events);
                                       }));
  if (link->writes_) ++writers_;
  link->opened_ = true;
  links_.push_back(link.get());
  return std::shared_ptr<Link>(std::move(link));
}

unsigned TcpLinks::Look() {
  unsigned count = 0;
  // A link leaves the list only by a task, never in here.
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (!links_[i]->broken()) count += links_[i]->Read();
  }
  return count;
}

bool TcpLinks::LooksCheaply() const { return links_.size() <= kCheapLooks && writers_ == 0; }

void TcpLinks::PutOff(std::shared_ptr<TcpLink> link) { put_off_.push_back(std::move(link)); }

void TcpLinks::Flush() {
  for (const auto& link : std::exchange(put_off_, {})) {
    link->put_off_ = false;
    link->Flush();
  }
}

void TcpLinks::Remove(TcpLink* link) {
  engine_->RemoveFd(link->fd_);
  // Also if a child of this process holds the descriptor too.
  (void)::shutdown(link->fd_, SHUT_RDWR);
  ::close(std::exchange(link->fd_, -1));
  std::erase(links_, link);
}

}  // namespace cairn::dram::ucx
