#include "src/client/net/framed_connection.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

namespace cairn::client {
namespace {

constexpr std::size_t kLengthBytes = 4;
// How messages of Thrift's binary protocol begin. Other protocols' first bytes make long frames,
// too.
constexpr std::string_view kThriftMark = "\x80\x01";
constexpr std::size_t kFirstBuffer = 16 << 10;
constexpr std::size_t kPieces = 64;  // that one system call sends
constexpr std::uint32_t kAlways = EPOLLRDHUP | EPOLLET;

std::uint32_t ReadLength(const char* bytes) {
  std::uint32_t length = 0;
  std::memcpy(&length, bytes, sizeof(length));
  return __builtin_bswap32(length);
}

std::chrono::steady_clock::time_point ToSteady(MonotonicTime time) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(time.ns));
}

}  // namespace

FramedConnection::FramedConnection(int fd, std::string peer, const Options& options,
                                   std::shared_ptr<IoLoop> loop)
    : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      fd_(fd),
      peer_(std::move(peer)),
      options_(options),
      loop_(std::move(loop)) {
  in_.resize(kFirstBuffer);
}

FramedConnection::~FramedConnection() {
  close(fd_);
  if (wake_ >= 0) close(wake_);
}

std::shared_ptr<FramedConnection> FramedConnection::Make(int fd, std::string peer,
                                                         const Options& options,
                                                         std::shared_ptr<IoLoop> loop) {
  std::shared_ptr<FramedConnection> connection(
      new FramedConnection(fd, std::move(peer), options, std::move(loop)));
  {
    MutexLock lock(&connection->mutex_);
    connection->watching_ = kAlways;
  }
  connection->loop_->Add(fd, kAlways, connection);
  return connection;
}

// ---- Out

Status FramedConnection::Flush() {
  while (!out_.empty()) {
    std::array<iovec, kPieces> pieces;
    const std::size_t count = std::min(out_.size(), pieces.size());
    for (std::size_t i = 0; i < count; ++i) {
      Pending& pending = *out_[i];
      pieces[i] = {pending.frame_.data() + pending.sent_, pending.frame_.size() - pending.sent_};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Status::Ok();
      return UnavailableError(peer_ + ": " + std::strerror(errno));
    }
    auto left = static_cast<std::size_t>(sent);
    while (left > 0) {
      Pending& first = *out_.front();
      const std::size_t taken = std::min(left, first.frame_.size() - first.sent_);
      first.sent_ += taken;
      left -= taken;
      if (first.sent_ < first.frame_.size()) break;
      first.frame_ = std::string();
      out_.pop_front();
    }
  }
  return Status::Ok();
}

std::shared_ptr<FramedConnection::Pending> FramedConnection::Send(std::string* frame,
                                                                  MonotonicTime deadline,
                                                                  bool driven, Done* done) {
  MutexLock lock(&mutex_);
  if (broken_ || !usable()) return nullptr;
  auto pending = std::make_shared<Pending>(std::move(*frame), deadline, driven, std::move(*done));
  out_.push_back(pending);
  queue_.push_back(pending);
  ++waiting_;
  load_.store(waiting_, std::memory_order_relaxed);
  if (!driven) {
    pending->timer_ = loop_->AddTimer(deadline, [weak = weak_from_this(), pending] {
      if (const auto self = weak.lock()) self->Expire(pending);
    });
  }
  if (Status sent = Flush(); !sent.ok()) {
    BreakOut(sent);
    return pending;
  }
  if (!driven && reader_ == Reader::kNone && drivers_ == 0) reader_ = Reader::kLoop;
  Rearm();
  return pending;
}

void FramedConnection::Rearm() {
  if (broken_) return;
  std::uint32_t wanted = kAlways;
  if (reader_ == Reader::kLoop) wanted |= EPOLLIN;
  if (!out_.empty()) wanted |= EPOLLOUT;
  if (wanted == watching_) return;
  watching_ = wanted;
  loop_->Change(fd_, wanted);
}

// ---- In

std::string FramedConnection::Hint() const {
  return answered_ ? ""
                   : "; nothing that speaks Thrift has answered there: is it the node's gRPC port "
                     "(grpc://HOST:PORT) or its HTTP port?";
}

Status FramedConnection::RefuseLong(std::size_t length) {
  const std::string what = peer_ + " sent an answer of " + std::to_string(length) +
                           " bytes; this client takes " + std::to_string(options_.max_frame) +
                           " (max_message_bytes)";
  const std::string_view begins(in_.data() + in_done_ + kLengthBytes, kThriftMark.size());
  const bool is_answer = answered_ || begins == kThriftMark;
  if (!is_answer || queue_.empty() || queue_.front()->sent_ == 0) {
    return UnavailableError(what + Hint());
  }
  const std::shared_ptr<Pending> pending = std::move(queue_.front());
  queue_.pop_front();
  Deliver(pending,
          InvalidArgumentError(what + "; ask for less at once, or raise it").WithMaybeApplied());
  return UnavailableError(peer_ + ": the answer to an earlier call was over max_message_bytes");
}

Status FramedConnection::TakeFrames() {
  while (in_size_ - in_done_ >= kLengthBytes) {
    const std::size_t length = ReadLength(in_.data() + in_done_);
    if (length > options_.max_frame) {
      if (in_size_ - in_done_ < kLengthBytes + kThriftMark.size()) break;
      return RefuseLong(length);
    }
    if (in_size_ - in_done_ < kLengthBytes + length) break;
    if (queue_.empty() || queue_.front()->sent_ == 0) {
      return UnavailableError(peer_ + " answered what it was not asked");
    }
    std::string frame(in_.data() + in_done_ + kLengthBytes, length);
    in_done_ += kLengthBytes + length;
    answered_ = true;
    const std::shared_ptr<Pending> pending = std::move(queue_.front());
    queue_.pop_front();
    const bool last = options_.is_last != nullptr && options_.is_last(frame);
    // Before its caller knows, who may send the next call at once.
    if (last) usable_.store(false, std::memory_order_release);
    Deliver(pending, std::move(frame));
    if (last) return UnavailableError(peer_ + " ended the connection with an earlier answer");
  }
  if (in_done_ == in_size_) {
    in_done_ = in_size_ = 0;
    if (in_.size() > (kFirstBuffer << 6)) {  // a rare long answer keeps no memory
      in_.resize(kFirstBuffer);
      in_.shrink_to_fit();
    }
  } else if (in_size_ == in_.size()) {
    std::memmove(in_.data(), in_.data() + in_done_, in_size_ - in_done_);
    in_size_ -= in_done_;
    in_done_ = 0;
    if (in_size_ > in_.size() / 2) in_.resize(in_.size() * 2);
  }
  return Status::Ok();
}

Status FramedConnection::ReadAll() {
  for (;;) {
    const std::size_t room = in_.size() - in_size_;
    const ssize_t got = recv(fd_, in_.data() + in_size_, room, MSG_DONTWAIT);
    if (got == 0) return UnavailableError(peer_ + " closed the connection" + Hint());
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Status::Ok();
      return UnavailableError(peer_ + ": " + std::strerror(errno));
    }
    in_size_ += static_cast<std::size_t>(got);
    CAIRN_RETURN_IF_ERROR(TakeFrames());
    if (static_cast<std::size_t>(got) < room && !hung_up_) return Status::Ok();
  }
}

void FramedConnection::Read() {
  if (broken_) return;
  if (Status read = ReadAll(); !read.ok()) Break(read);
}

void FramedConnection::OnEvents(std::uint32_t events) {
  MutexLock lock(&mutex_);
  if (broken_) return;
  if ((events & EPOLLOUT) != 0) {
    if (Status sent = Flush(); !sent.ok()) return BreakOut(sent);
  }
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
  // A driver that reads finds out by itself.
  if (reader_ != Reader::kDriver && (hung_up_ || (events & EPOLLIN) != 0)) Read();
  if (reader_ == Reader::kLoop && waiting_ == 0) reader_ = Reader::kNone;
  Rearm();
}

void FramedConnection::Deliver(const std::shared_ptr<Pending>& pending,
                               Result<std::string> result) {
  if (pending->ended_) return CloseIfDone();
  pending->ended_ = true;
  --waiting_;
  load_.store(waiting_, std::memory_order_relaxed);
  if (pending->driven_) {
    pending->result_.emplace(std::move(result));
    changed_.SignalAll();
  } else {
    if (pending->timer_ != 0) loop_->CancelTimer(pending->timer_);
    loop_->Post([done = std::move(pending->done_), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }
  CloseIfDone();
}

void FramedConnection::CloseIfDone() {
  if (!broken_ && !usable() && waiting_ == 0) Break(CancelledError("retired"));
}

void FramedConnection::Break(const Status& why) {
  if (std::exchange(broken_, true)) return;
  usable_.store(false, std::memory_order_release);
  std::deque<std::shared_ptr<Pending>> queue;
  queue.swap(queue_);
  out_.clear();
  for (const std::shared_ptr<Pending>& pending : queue) {
    if (!pending->ended_) {
      Deliver(pending, pending->all_sent() ? Status(why).WithMaybeApplied() : why);
    }
  }
  loop_->Remove(fd_);
  shutdown(fd_, SHUT_RDWR);
  changed_.SignalAll();
}

void FramedConnection::BreakOut(const Status& why) {
  hung_up_ = true;
  Read();
  Break(why);
}

void FramedConnection::Close(const Status& why) {
  const std::shared_ptr<FramedConnection> self = shared_from_this();
  MutexLock lock(&mutex_);
  Break(why);
}

// ---- Waiting and giving up

void FramedConnection::PassReading() {
  if (broken_ || reader_ != Reader::kNone) return;
  if (hung_up_) Read();
  if (broken_ || waiting_ == 0) return;
  if (drivers_ > 0) {
    changed_.SignalAll();
  } else {
    reader_ = Reader::kLoop;
    Rearm();
  }
}

void FramedConnection::Drive(const std::shared_ptr<Pending>& pending) {
  mutex_.Lock();
  ++drivers_;
  while (!pending->ended_) {
    const MonotonicTime now = loop_->Now();
    if (now >= pending->deadline_) {
      GiveUp(pending);
      break;
    }
    if (reader_ != Reader::kNone) {
      (void)changed_.WaitUntil(&mutex_, ToSteady(pending->deadline_));
      continue;
    }
    reader_ = Reader::kDriver;
    mutex_.Unlock();
    const std::int64_t wait_ms = (pending->deadline_ - now).count() / 1'000'000 + 1;
    // poll leaves out a descriptor below 0.
    std::array<pollfd, 2> waits = {pollfd{fd_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
    (void)poll(waits.data(), waits.size(),
               static_cast<int>(std::min<std::int64_t>(wait_ms, INT_MAX)));
    mutex_.Lock();
    reader_ = Reader::kNone;
    if (waits[1].revents != 0) {
      std::uint64_t count = 0;
      (void)!read(wake_, &count, sizeof(count));
    }
    if (waits[0].revents != 0) Read();
  }
  --drivers_;
  PassReading();
  std::optional<Result<std::string>> result = std::move(pending->result_);
  pending->result_.reset();
  Done done = std::move(pending->done_);
  mutex_.Unlock();
  if (result && done) done(std::move(*result));
}

void FramedConnection::TakeBack(const std::shared_ptr<Pending>& pending) {
  // What was begun must be sent to its end, and its answer awaited: the peer counts on both.
  if (pending->sent_ > 0) return;
  for (auto* line : {&out_, &queue_}) {
    line->erase(std::remove(line->begin(), line->end(), pending), line->end());
  }
}

void FramedConnection::GiveUp(const std::shared_ptr<Pending>& pending) {
  // Later calls would wait behind this one.
  usable_.store(false, std::memory_order_release);
  Status late = TimeoutError("no answer from " + peer_ + " in time");
  if (pending->sent_ > 0) late = std::move(late).WithMaybeApplied();
  TakeBack(pending);
  Deliver(pending, std::move(late));
}

void FramedConnection::Expire(const std::shared_ptr<Pending>& pending) {
  MutexLock lock(&mutex_);
  if (!pending->ended_) GiveUp(pending);
}

void FramedConnection::Abandon(const std::shared_ptr<Pending>& pending) {
  Done unwanted;  // destroyed without the lock
  MutexLock lock(&mutex_);
  if (pending->ended_) return;
  // Later calls would wait behind it: the node goes on with it.
  usable_.store(false, std::memory_order_release);
  pending->ended_ = true;
  --waiting_;
  load_.store(waiting_, std::memory_order_relaxed);
  if (pending->timer_ != 0) loop_->CancelTimer(pending->timer_);
  unwanted = std::move(pending->done_);
  TakeBack(pending);
  changed_.SignalAll();
  // It may be the call of the thread that reads. Another one reads on.
  if (pending->driven_ && reader_ == Reader::kDriver) {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof(one));
  }
  CloseIfDone();
}

}  // namespace cairn::client
