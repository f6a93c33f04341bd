#include "bench/dram/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cairn::bench {
namespace {

Status Errno(const std::string& what) { return UnavailableError(what + ": " + strerror(errno)); }

Result<int> ConnectTcp(const Endpoint& endpoint) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  const int on = 1;
  if (fd < 0 || ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr) != 1 ||
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
    const Status status = Errno("no connection to " + endpoint.ToString());
    if (fd >= 0) ::close(fd);
    return status;
  }
  return fd;
}

Result<int> ConnectUnix(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const Status status = Errno("no connection to " + path);
    if (fd >= 0) ::close(fd);
    return status;
  }
  return fd;
}

iovec Part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

}  // namespace

Result<int> ConnectTo(const SocketPeer& peer) {
  return peer.unix_path.empty() ? ConnectTcp(peer.endpoint) : ConnectUnix(peer.unix_path);
}

Result<std::unique_ptr<Socket>> Socket::Connect(const SocketPeer& peer) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, ConnectTo(peer));
  return std::unique_ptr<Socket>(new Socket(fd));
}

Socket::~Socket() { ::close(fd_); }

Status Socket::Send(std::string_view command, std::string_view value, std::string_view end) {
  std::array<iovec, 3> parts = {Part(command), Part(value), Part(end)};
  std::size_t first = 0;
  while (first < parts.size()) {
    ssize_t n = ::writev(fd_, &parts[first], static_cast<int>(parts.size() - first));
    if (n < 0) return Errno("send");
    while (first < parts.size() && static_cast<std::size_t>(n) >= parts[first].iov_len) {
      n -= static_cast<ssize_t>(parts[first++].iov_len);
    }
    if (first == parts.size()) break;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + n;
    parts[first].iov_len -= static_cast<std::size_t>(n);
  }
  return {};
}

Status Socket::Fill() {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + begin_, buffer_.begin() + end_, buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) return CorruptionError("an answer's line is too long");
  const ssize_t n = ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, 0);
  if (n == 0) return UnavailableError("the server hung up");
  if (n < 0) return Errno("receive");
  end_ += static_cast<std::size_t>(n);
  return {};
}

Result<std::string_view> Socket::Line() {
  std::size_t seen = begin_;
  while (true) {
    const auto* const found = std::find(buffer_.begin() + seen, buffer_.begin() + end_, '\n');
    if (found != buffer_.begin() + end_) {
      const char* const start = buffer_.data() + begin_;
      const auto size = static_cast<std::size_t>(&*found - start);
      begin_ += size + 1;
      return std::string_view(start, size == 0 ? 0 : size - 1);
    }
    seen = end_ - begin_;
    CAIRN_RETURN_IF_ERROR(Fill());
  }
}

Status Socket::Read(char* into, std::size_t size) {
  const std::size_t here = std::min(size, end_ - begin_);
  std::memcpy(into, buffer_.data() + begin_, here);
  begin_ += here;
  for (std::size_t done = here; done < size;) {
    const ssize_t n = ::recv(fd_, into + done, size - done, 0);
    if (n == 0) return UnavailableError("the server hung up");
    if (n < 0) return Errno("receive");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace cairn::bench
