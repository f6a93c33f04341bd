#include "src/server/http/http_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace cairn::server {
namespace {

constexpr std::size_t kReadBytes = 4096;
constexpr Duration kDrainTime = std::chrono::seconds(1);
constexpr std::size_t kDrainBytes = 256 << 10;

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

HttpConnection::HttpConnection(std::uint64_t id, OwnedFd fd, MonotonicTime now,
                               const HttpServerOptions* options)
    : id_(id), options_(options), fd_(std::move(fd)), deadline_(now + options->idle_timeout) {}

short HttpConnection::events() const {
  switch (state_) {
    case State::kReading:
    case State::kDraining:
      return POLLIN;
    case State::kWriting:
      return POLLOUT;
    case State::kWaiting:
    case State::kClosed:
      return 0;  // Errors are told all the same.
  }
  return 0;
}

void HttpConnection::OnReady(MonotonicTime now) {
  switch (state_) {
    case State::kReading:
      return Read(now);
    case State::kWaiting:
      return Close();  // Broken: nobody would read the answer.
    case State::kWriting:
      return Write(now);
    case State::kDraining:
      return Drain();
    case State::kClosed:
      return;
  }
}

void HttpConnection::OnDeadline(MonotonicTime now) {
  if (state_ == State::kWaiting) {
    return Refuse(503, "the page was not made in time; the node may hang", now);
  }
  if (state_ == State::kReading && !in_.empty()) {
    return Refuse(408, "the request did not arrive in time", now);
  }
  Close();
}

void HttpConnection::Read(MonotonicTime now) {
  std::array<char, kReadBytes> buffer;
  const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) {
    if (errno != EINTR && !WouldBlock(errno)) Close();
    return;
  }
  if (got == 0) {
    ended_ = true;
    if (!in_.empty()) return Refuse(400, "the connection ended within the request", now);
    return Close();
  }
  if (in_.empty()) deadline_ = now + options_->request_timeout;
  in_.append(buffer.data(), static_cast<std::size_t>(got));
  LookForHead(now);
}

void HttpConnection::LookForHead(MonotonicTime now) {
  const std::size_t length = HttpHeadLength(in_);
  if (length > options_->head_bytes || (length == 0 && in_.size() > options_->head_bytes)) {
    return Refuse(
        431,
        "a request's head may have " + std::to_string(options_->head_bytes) + " bytes on this port",
        now);
  }
  if (length == 0) return;
  head_.assign(in_, 0, length);
  in_.erase(0, length);
  ++requests_;
  state_ = State::kWaiting;
  deadline_ = now + options_->page_timeout;
}

std::string HttpConnection::TakeHead() { return std::exchange(head_, {}); }

void HttpConnection::Refuse(int status, std::string_view reason, MonotonicTime now) {
  refused_ = true;
  in_.clear();
  state_ = State::kWaiting;
  Answer({ClosingAnswer(status, reason), true, true}, now);
}

void HttpConnection::Answer(HttpAnswer answer, MonotonicTime now) {
  if (state_ != State::kWaiting) return;  // It is late: the client is gone, or was told.
  out_ = std::move(answer.bytes);
  written_ = 0;
  close_after_ = answer.close;
  state_ = State::kWriting;
  deadline_ = now + options_->response_timeout +
              std::chrono::seconds(out_.size() / options_->response_bytes_per_second);
  Write(now);
}

void HttpConnection::Write(MonotonicTime now) {
  while (written_ < out_.size()) {
    const std::string_view rest = std::string_view(out_).substr(written_);
    const ssize_t sent = send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && WouldBlock(errno)) return;
    if (sent < 0) return Close();
    written_ += static_cast<std::size_t>(sent);
  }
  AfterAnswer(now);
}

void HttpConnection::AfterAnswer(MonotonicTime now) {
  out_ = {};
  if (!close_after_) {
    state_ = State::kReading;
    deadline_ = now + (in_.empty() ? options_->idle_timeout : options_->request_timeout);
    if (!in_.empty()) LookForHead(now);
    return;
  }
  if (ended_) return Close();
  shutdown(fd_.get(), SHUT_WR);
  state_ = State::kDraining;
  deadline_ = now + kDrainTime;
  Drain();
}

void HttpConnection::Drain() {
  std::array<char, kReadBytes> buffer;
  while (true) {
    const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && WouldBlock(errno)) return;
    if (got <= 0) return Close();
    drained_ += static_cast<std::size_t>(got);
    if (drained_ > kDrainBytes) return Close();
  }
}

void HttpConnection::Close() {
  fd_.Close();
  state_ = State::kClosed;
}

}  // namespace cairn::server
