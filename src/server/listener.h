// Listening TCP sockets for an address given as text.
//
// Thread safety: the functions from any thread; a Listener belongs to one thread at a time.
#ifndef CAIRN_SRC_SERVER_LISTENER_H_
#define CAIRN_SRC_SERVER_LISTENER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cairn/status.h"

namespace cairn::server {

// A file descriptor that is closed with it.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { Close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Close();

 private:
  int fd_ = -1;
};

struct Listener {
  std::vector<OwnedFd> sockets;  // non-blocking, at least one
  std::uint16_t port = 0;        // the same for all
};

// Listens on every address that `host` means: a name ("localhost" is 127.0.0.1 and ::1), an IPv4 or
// IPv6 address (in brackets or not), or "*" for all. Port 0 takes a free one. kIoError, with
// address, port and the system's words, if none of the addresses can be listened on.
Result<Listener> Listen(const std::string& host, std::uint16_t port);

// How many connections this process holds that came in at `port` of its own. By its descriptors,
// for a library that does not tell: a system call or two for each of them, a millisecond for
// thousands.
std::uint64_t ConnectionsAt(std::uint16_t port);

// "127.0.0.1:40312" or "[::1]:40312" of the other side of a connected socket; empty if unknown.
std::string PeerName(int fd);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_LISTENER_H_
