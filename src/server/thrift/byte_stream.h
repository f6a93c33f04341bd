// Where the bytes of one Thrift connection come from and go to: a socket in the server, memory in
// tests and fuzzers.
//
// Thread safety: one thread at a time, the connection's.
#ifndef CAIRN_SRC_SERVER_THRIFT_BYTE_STREAM_H_
#define CAIRN_SRC_SERVER_THRIFT_BYTE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cairn::server {

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Waits for bytes and copies up to `size` (at least 1) of them to `out`. 0: the other side will
  // send no more. With `idle` (no message has begun) it may wait for ever; without, a sender that
  // is too slow is a fault. Throws TTransportException.
  virtual std::size_t Read(std::uint8_t* out, std::size_t size, bool idle) = 0;

  // Says that a message begins with bytes that were read already: what is read from here on counts
  // for its pace, and not for that of the message before. (A Read with `idle` says so by itself.)
  virtual void BeginMessage() {}

  // Sends all of `head`, then all of `tail`, as one piece if it can. Throws TTransportException.
  virtual void Write(std::string_view head, std::string_view tail) = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_BYTE_STREAM_H_
