#include "src/dram/ucx/door.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "src/base/codec.h"
#include "src/base/log.h"
#include "src/dram/ucx/door_message.h"

namespace cairn::dram::ucx {
namespace {

// What the kernel notices of a peer that says nothing while nobody waits for it: 10 s + 3 x 2 s.
void SetKeepAlive(int fd) {
  const int on = 1;
  const int idle_s = 10;
  const int interval_s = 2;
  const int probes = 3;
  (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

std::string ErrnoText(int error) { return std::strerror(error); }

}  // namespace

std::uint16_t SocketAddress::port() const {
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

// The port stands at the same place for IPv4 and IPv6.
void SocketAddress::set_port(std::uint16_t port) {
  reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
}

std::string SocketAddress::host() const {
  std::array<char, NI_MAXHOST> text{};
  const int error =
      ::getnameinfo(get(), size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? text.data() : ::gai_strerror(error);
}

Result<std::vector<SocketAddress>> Resolve(const Endpoint& endpoint, bool numeric_only) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0);
  const bool any = endpoint.host.empty() || endpoint.host == "*";
  if (any) {
    hints.ai_flags |= AI_PASSIVE;
    hints.ai_family = AF_INET;
  }
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(any ? nullptr : endpoint.host.c_str(),
                                  std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) {
    return UnavailableError("the address " + endpoint.ToString() +
                            " is not known: " + ::gai_strerror(error));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  // UCX carries data over IPv4 wherever an interface has it.
  std::stable_partition(addresses.begin(), addresses.end(), [](const SocketAddress& address) {
    return address.storage.ss_family == AF_INET;
  });
  return addresses;
}

Result<int> OpenListeningSocket(const SocketAddress& address, const std::string& name) {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(fd, address.get(), address.size) != 0 || ::listen(fd, 1024) != 0) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    const std::string what = "can't listen on " + name + ": " + ErrnoText(error);
    const bool foreign = error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
    return foreign ? NotFoundError(what) : IoError(what);
  }
  return fd;
}

SocketAddress LocalAddress(int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  (void)::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  return address;
}

const char Door::kPing = kDoorPing;

Result<int> Door::Connect(const SocketAddress& address) {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return UnavailableError("no socket: " + ErrnoText(errno));
  if (::connect(fd, address.get(), address.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    return UnavailableError(ErrnoText(error));
  }
  return fd;
}

Door::Door(Engine* engine, int fd, DoorUser* user) : engine_(engine), fd_(fd), user_(user) {
  SetKeepAlive(fd_);
  last_heard_ = engine_->Now();
  const Status watched =
      engine_->AddFd(fd_, EPOLLIN | EPOLLOUT, [this](std::uint32_t events) { OnReady(events); });
  if (!watched.ok()) FailSoon(watched);
}

void Door::FailSoon(const Status& why) {
  CAIRN_LOG(kWarn, "dram: a connection is closed: {}", why.message());
  engine_->Post([this, alive = alive_, why] {
    if (*alive) Fail(why);
  });
}

Door::~Door() {
  *alive_ = false;
  if (fd_ < 0) return;
  engine_->RemoveFd(fd_);
  ::close(fd_);
}

void Door::Send(std::string_view bytes) {
  // A peer that reads nothing is found by its silence; what it is not told meanwhile is no loss.
  if (failed_ || out_.size() > kMaxDoorMessageBytes) return;
  out_.append(bytes);
  if (!wants_write_) Flush();
}

void Door::Flush() {
  while (!out_.empty()) {
    const ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    out_.erase(0, static_cast<std::size_t>(n));
  }
  // An error of the socket shows when it is read.
  const bool wants_write = !out_.empty();
  if (wants_write != wants_write_) {
    wants_write_ = wants_write;
    const Status waits = engine_->ModifyFd(fd_, EPOLLIN | (wants_write ? EPOLLOUT : 0U));
    if (!waits.ok()) FailSoon(waits);
  }
}

void Door::OnReady(std::uint32_t events) {
  const std::shared_ptr<bool> alive = alive_;
  if ((events & (EPOLLOUT | EPOLLERR)) != 0) {
    int error = 0;
    socklen_t size = sizeof(error);
    (void)::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      Fail(UnavailableError(ErrnoText(error)));
      return;
    }
    if ((events & EPOLLOUT) != 0) Flush();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  if (failed_) return;
  const bool open = ReadAll();
  TakeInput();
  if (*alive && !open) Fail(UnavailableError("the peer hung up"));
}

bool Door::ReadAll() {
  std::array<char, 4096> buffer;
  while (in_.size() <= kMaxDoorMessageBytes) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    last_heard_ = engine_->Now();
    in_.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return true;
}

void Door::TakeInput() {
  if (failed_) return;
  if (!had_message_) {
    const Result<std::optional<std::size_t>> size = DoorMessageSize(in_);
    if (!size.ok()) {
      Fail(size.status());
      return;
    }
    if (!size->has_value() || in_.size() < **size) return;
    had_message_ = true;
    const std::string message = in_.substr(0, **size);
    in_.erase(0, **size);
    const std::shared_ptr<bool> alive = alive_;
    user_->OnDoorMessage(message);
    if (!*alive) return;
  }
  for (const char c : std::exchange(in_, {})) {
    if (c == kDoorPing) {
      Send({&kDoorPong, 1});
    } else if (c != kDoorPong) {
      Fail(Status(StatusCode::kCorruption, "door: the byte \"" + Printable({&c, 1}) + "\""));
      return;
    }
  }
}

Result<int> Door::Release() {
  failed_ = true;
  engine_->RemoveFd(fd_);
  if (in_.empty()) return std::exchange(fd_, -1);
  return Status(StatusCode::kCorruption, "door: frames before the server has taken the connection");
}

void Door::Retire() {
  if (fd_ < 0) return;
  failed_ = true;
  engine_->RemoveFd(fd_);
}

void Door::Fail(const Status& why) {
  if (failed_) return;
  failed_ = true;
  engine_->RemoveFd(fd_);
  user_->OnDoorClosed(why);
}

}  // namespace cairn::dram::ucx
