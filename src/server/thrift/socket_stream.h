// The byte stream of a TCP connection: blocking calls with bounds on how slow the other side may
// be.
//
// Thread safety: one thread at a time, but for the file descriptor itself: another thread may call
// shutdown(2) on it to wake this one.
#ifndef CAIRN_SRC_SERVER_THRIFT_SOCKET_STREAM_H_
#define CAIRN_SRC_SERVER_THRIFT_SOCKET_STREAM_H_

#include "src/base/clock.h"
#include "src/server/thrift/byte_stream.h"

namespace cairn::server {

struct SocketLimits {
  // How long a connection may be silent between two messages. Max: for ever.
  Duration idle = Duration::max();
  // A message must arrive, and an answer be taken, within this and a second for every
  // kSlowestBytesPerSecond. Not for idling: it runs from the first byte on.
  Duration message = std::chrono::seconds(30);
};

class SocketStream final : public ByteStream {
 public:
  static constexpr std::int64_t kSlowestBytesPerSecond = 64 << 10;

  // Does not own `fd`, a connected blocking socket. Sets its time-outs. `clock` must be the
  // machine's.
  SocketStream(int fd, const SocketLimits& limits, const Clock* clock);

  std::size_t Read(std::uint8_t* out, std::size_t size, bool idle) override;
  void BeginMessage() override { in_message_ = false; }
  void Write(std::string_view head, std::string_view tail) override;

  // Sends the end of the stream, then drops what arrives until the other side closes. For use when
  // not all of its bytes were read: closing at once would reset the connection, and what was sent
  // last could be lost before it is read. Ends after a second without a byte: who is silent has
  // sent what it had, and a reset takes nothing away. One that still sends may be slow, or this
  // machine busy, so that goes on for as long as a message may take, up to kLongestDropped bytes.
  void Linger();
  static constexpr std::int64_t kLongestDropped = 64 << 20;

 private:
  // Throws if a transfer that began at `begun` is too slow.
  void CheckPace(MonotonicTime begun, std::int64_t bytes, const char* what) const;

  const int fd_;
  const SocketLimits limits_;
  const Clock* const clock_;
  // Of the message that is being read; only kept for one that did not come in one piece.
  bool in_message_ = false;
  MonotonicTime message_begun_;
  std::int64_t message_bytes_ = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_SOCKET_STREAM_H_
