#include "src/server/thrift/socket_stream.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <thrift/transport/TTransportException.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>

namespace cairn::server {
namespace {

using apache::thrift::transport::TTransportException;

// How often a waiting call looks at its bound. Idle connections wake up this seldom.
constexpr Duration kLongestWait = std::chrono::seconds(60);

void SetTimeout(int fd, int option, Duration wait) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(wait).count();
  timeval value{};
  value.tv_sec = us / 1'000'000;
  value.tv_usec = us % 1'000'000;
  setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

bool IsTimeout(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

[[noreturn]] void ThrowErrno(const char* what, int error) {
  throw TTransportException(TTransportException::NOT_OPEN, what, error);
}

}  // namespace

SocketStream::SocketStream(int fd, const SocketLimits& limits, const Clock* clock)
    : fd_(fd), limits_(limits), clock_(clock) {
  SetTimeout(fd, SO_RCVTIMEO, std::min({kLongestWait, limits.idle, limits.message}));
  SetTimeout(fd, SO_SNDTIMEO, std::min(kLongestWait, limits.message));
}

std::size_t SocketStream::Read(std::uint8_t* out, std::size_t size, bool idle) {
  MonotonicTime idle_since;
  if (idle) {
    in_message_ = false;
    if (limits_.idle != Duration::max()) idle_since = clock_->Now();
  } else if (!in_message_) {
    in_message_ = true;
    message_begun_ = clock_->Now();
    message_bytes_ = 0;
  }
  for (;;) {
    const ssize_t got = recv(fd_, out, size, 0);
    if (got >= 0) {
      if (!idle) {
        message_bytes_ += got;
        CheckPace(message_begun_, message_bytes_, "a message arrived too slowly");
      }
      return static_cast<std::size_t>(got);
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (!IsTimeout(error)) ThrowErrno("recv", error);
    if (!idle) {
      CheckPace(message_begun_, message_bytes_, "a message arrived too slowly");
    } else if (limits_.idle != Duration::max() && clock_->Now() - idle_since >= limits_.idle) {
      throw TTransportException(TTransportException::TIMED_OUT, "no message came in time");
    }
  }
}

void SocketStream::Write(std::string_view head, std::string_view tail) {
  std::array<iovec, 2> parts = {iovec{const_cast<char*>(head.data()), head.size()},
                                iovec{const_cast<char*>(tail.data()), tail.size()}};
  std::size_t first = head.empty() ? 1 : 0;
  std::size_t left = head.size() + tail.size();
  std::int64_t sent_bytes = 0;
  MonotonicTime begun;
  while (left > 0) {
    msghdr message{};
    message.msg_iov = &parts[first];
    message.msg_iovlen = parts.size() - first;
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (!IsTimeout(error)) ThrowErrno("send", error);
      throw TTransportException(TTransportException::TIMED_OUT, "an answer was taken too slowly");
    }
    left -= static_cast<std::size_t>(sent);
    if (left == 0) return;
    // The rest of a large answer: the clock is only read for those.
    if (sent_bytes == 0) begun = clock_->Now();
    sent_bytes += sent;
    CheckPace(begun, sent_bytes, "an answer was taken too slowly");
    auto skip = static_cast<std::size_t>(sent);
    for (; skip >= parts[first].iov_len && skip > 0; ++first) skip -= parts[first].iov_len;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + skip;
    parts[first].iov_len -= skip;
  }
}

void SocketStream::Linger() {
  constexpr Duration kSilence = std::chrono::seconds(1);
  if (shutdown(fd_, SHUT_WR) != 0) return;
  SetTimeout(fd_, SO_RCVTIMEO, kSilence);
  const MonotonicTime begun = clock_->Now();
  std::array<char, 4096> buffer;
  std::int64_t dropped = 0;
  while (dropped < kLongestDropped && clock_->Now() - begun < limits_.message) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
    dropped += std::max<ssize_t>(got, 0);
  }
}

void SocketStream::CheckPace(MonotonicTime begun, std::int64_t bytes, const char* what) const {
  const Duration allowed = limits_.message + std::chrono::seconds(bytes / kSlowestBytesPerSecond);
  if (clock_->Now() - begun < allowed) return;
  throw TTransportException(TTransportException::TIMED_OUT, what);
}

}  // namespace cairn::server
