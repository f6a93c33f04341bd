// A client that says what no client says: for the tests of hostile peers.
#ifndef CAIRN_SRC_DRAM_UCX_RAW_PEER_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_UCX_RAW_PEER_TEST_UTIL_H_

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "src/dram/ucx/core.h"
#include "src/dram/ucx/door_message.h"

namespace cairn::dram::ucx {

// Comes in by the door, attaches with the token it was given (or `token`), sends `frame` in place
// of a frame, and waits until it is cut off.
class RawPeer final : public DoorUser, public LinkUser {
 public:
  RawPeer(std::string frame, std::string token) : frame_(std::move(frame)), token_(token) {}

  // True if the listener ended the connection within a generous time.
  bool Run(const Endpoint& address) {
    auto context = Context::Create(NetworkConfig("tcp"));
    if (!context.ok()) return false;
    auto engine = Engine::Create(*context, false);
    if (!engine.ok()) return false;
    Core core(*context, std::move(*engine), 1000, false);
    core_ = &core;
    std::future<void> cut = cut_.get_future();
    core.engine().RunAndWait([&] {
      server_ = Resolve(address, true)->front();
      door_ = std::make_unique<Door>(&core.engine(), *Door::Connect(server_), this);
      door_->Send(EncodeDoorMessage(DoorHello{}));
    });
    const bool ended = cut.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
    core.engine().RunAndWait([&] {
      if (link_ != nullptr) {
        link_->SetUser(nullptr);
        link_->Break(UnavailableError("the test ends"));
      }
      link_ = nullptr;
      door_ = nullptr;
    });
    return ended;
  }

  void OnDoorMessage(std::string_view message) override {
    const auto welcome = DecodeDoorWelcome(message);
    if (!welcome.ok()) return;
    server_.set_port(welcome->ucx_port);
    link_ = *core_->links.Connect(server_.get(), server_.size, this);
    link_->SendAttach(token_.empty() ? welcome->token : token_);
  }
  void OnDoorClosed(const Status&) override { Cut(); }
  void OnAttach(Link* link, std::string_view) override { link->SendRaw(frame_); }
  void OnFrame(const Frame&, std::unique_ptr<Arrival>) override {}
  void OnBroken(const Status&) override { Cut(); }

 private:
  void Cut() {
    if (!was_cut_) cut_.set_value();
    was_cut_ = true;
  }

  const std::string frame_;
  const std::string token_;
  Core* core_ = nullptr;
  SocketAddress server_;
  std::unique_ptr<Door> door_;
  std::shared_ptr<Link> link_;
  std::promise<void> cut_;
  bool was_cut_ = false;
};

// Sends bytes to the door itself and reads until the listener hangs up; what it said.
inline std::string KnockWith(const Endpoint& address, const std::string& bytes) {
  const SocketAddress server = Resolve(address, true)->front();
  const int fd = ::socket(server.storage.ss_family, SOCK_STREAM, 0);
  if (::connect(fd, server.get(), server.size) != 0) return "no connection";
  (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string heard;
  char buffer[256];
  for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    heard.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return heard;
}

// The port at which UCX listens for this listener, as it says at its door; 0 if it doesn't.
inline std::uint16_t UcxPortOf(const Endpoint& address) {
  const SocketAddress server = Resolve(address, true)->front();
  const int fd = ::socket(server.storage.ss_family, SOCK_STREAM, 0);
  std::uint16_t port = 0;
  if (::connect(fd, server.get(), server.size) == 0) {
    const std::string hello = EncodeDoorMessage(DoorHello{});
    (void)!::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL);
    std::string heard;
    char buffer[256];
    for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      heard.append(buffer, static_cast<std::size_t>(n));
      const auto size = DoorMessageSize(heard);
      if (!size.ok()) break;
      if (!size->has_value() || heard.size() < **size) continue;
      const auto welcome = DecodeDoorWelcome(heard.substr(0, **size));
      if (welcome.ok()) port = welcome->ucx_port;
      break;
    }
  }
  ::close(fd);
  return port;
}

// Sends bytes to UCX's own port, in pieces, one a segment. A connection of its own, whose other end
// can be waited for.
class UcxPortKnock {
 public:
  UcxPortKnock(const Endpoint& at, const std::vector<std::string>& pieces) {
    const SocketAddress server = Resolve(at, true)->front();
    fd_ = ::socket(server.storage.ss_family, SOCK_STREAM, 0);
    const int on = 1;
    (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const timeval patience{30, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    connected_ = ::connect(fd_, server.get(), server.size) == 0;
    for (const std::string& piece : pieces) {
      (void)!::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL);
    }
  }
  ~UcxPortKnock() { ::close(fd_); }
  UcxPortKnock(const UcxPortKnock&) = delete;
  UcxPortKnock& operator=(const UcxPortKnock&) = delete;

  // True if the other side hangs up within 30 s, without a word.
  [[nodiscard]] bool IsHungUpOn() const {
    char byte = 0;
    const ssize_t n = ::recv(fd_, &byte, 1, 0);
    return connected_ && (n == 0 || (n < 0 && errno == ECONNRESET));
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_RAW_PEER_TEST_UTIL_H_
