// A blocking socket with a buffer for short answers: what the drivers of Redis and memcached share.
// A value goes out in the same call as its command, and comes in straight to where it is wanted.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_BENCH_DRAM_SOCKET_H_
#define CAIRN_BENCH_DRAM_SOCKET_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "bench/dram/drivers.h"
#include "cairn/status.h"

namespace cairn::bench {

// A connected, blocking socket, which the caller closes.
Result<int> ConnectTo(const SocketPeer& peer);

class Socket {
 public:
  static Result<std::unique_ptr<Socket>> Connect(const SocketPeer& peer);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Sends the three parts, in one system call if the socket takes them.
  Status Send(std::string_view command, std::string_view value, std::string_view end);
  // A line without its CR LF. Valid until the next call.
  Result<std::string_view> Line();
  // Exactly `size` bytes.
  Status Read(char* into, std::size_t size);

 private:
  explicit Socket(int fd) : fd_(fd) {}
  Status Fill();

  const int fd_;
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_DRAM_SOCKET_H_
