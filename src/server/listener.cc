#include "src/server/listener.h"

#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

namespace cairn::server {
namespace {

// Connections that wait to be accepted; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;

std::string WithoutBrackets(const std::string& host) {
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const std::string name = WithoutBrackets(host);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name == "*" ? nullptr : name.c_str(), "0", &hints, &found);
  if (error != 0) {
    return IoError("cannot listen on '" + host + "': " + gai_strerror(error));
  }
  return Addresses(found);
}

void SetPort(sockaddr* address, std::uint16_t port) {
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  }
}

std::uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

// An invalid result leaves the reason in errno.
OwnedFd ListenOn(const addrinfo& address) {
  OwnedFd fd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.ai_family == AF_INET6) {
    // So that the IPv4 wildcard can be bound beside the IPv6 one.
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    fd.Close();
    errno = error;
  }
  return fd;
}

// This machine lacks the address family or the address: no reason to give up the others.
bool IsMissingFamily(int error) {
  return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

void OwnedFd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<Listener> Listen(const std::string& host, std::uint16_t port) {
  CAIRN_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(host));
  Listener listener;
  listener.port = port;
  int last_error = 0;
  for (addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    if (address->ai_family != AF_INET && address->ai_family != AF_INET6) continue;
    SetPort(address->ai_addr, listener.port);
    OwnedFd fd = ListenOn(*address);
    if (!fd.valid()) {
      last_error = errno;
      if (IsMissingFamily(last_error)) continue;
      break;
    }
    last_error = 0;
    if (listener.port == 0) listener.port = PortOf(fd.get());
    listener.sockets.push_back(std::move(fd));
  }
  if (listener.sockets.empty() || (last_error != 0 && !IsMissingFamily(last_error))) {
    return IoError(
        "cannot listen on " + host + " port " + std::to_string(port) + ": " +
        std::strerror(last_error) +
        (last_error == EADDRINUSE ? "; another program has it, choose another port" : ""));
  }
  return listener;
}

std::uint64_t ConnectionsAt(std::uint16_t port) {
  DIR* const descriptors = opendir("/proc/self/fd");
  if (descriptors == nullptr) return 0;
  std::uint64_t count = 0;
  while (const dirent* const entry = readdir(descriptors)) {
    int fd = -1;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, fd).ptr != end) continue;  // "." and ".."
    if (PortOf(fd) != port) continue;
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    // A socket that listens has no other side.
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) ++count;
  }
  closedir(descriptors);
  return count;
}

std::string PeerName(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* peer = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(fd, peer, &size) != 0) return {};
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  if (getnameinfo(peer, size, host, sizeof(host), service, sizeof(service),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  const bool v6 = address.ss_family == AF_INET6;
  return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + service;
}

}  // namespace cairn::server
