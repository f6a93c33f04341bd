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
#include "src/dram/ucx/local_door.h"

namespace cairn::dram::ucx {

// Ways by which a peer may come.
enum class Way { kSharedMemory, kTcp, kUcx };

// Comes in by the door, attaches by the way it is told with the token it was given (or `token`),
// sends `frame` in place of a frame, and waits until it is cut off.
class RawPeer final : public DoorUser, public LinkUser {
 public:
  RawPeer(std::string frame, std::string token, Way way)
      : frame_(std::move(frame)), token_(std::move(token)), way_(way) {}

  // True if the listener ended the connection within a generous time.
  bool Run(const Endpoint& address) {
    auto context = Context::Create(NetworkConfig("tcp"));
    if (!context.ok()) return false;
    auto engine = Engine::Create(*context, false);
    if (!engine.ok()) return false;
    Core core(*context, std::move(*engine), 1000, way_ == Way::kSharedMemory);
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
      dialer_ = nullptr;
      door_ = nullptr;
    });
    return ended;
  }

  void OnDoorMessage(std::string_view message) override {
    const auto welcome = DecodeDoorWelcome(message);
    if (!welcome.ok()) return;
    const std::string& token = token_.empty() ? welcome->token : token_;
    if (way_ == Way::kSharedMemory) {
      auto dialer = LocalDialer::Dial(core_, welcome->local_name, token, this,
                                      [this](Result<std::shared_ptr<Link>> link) {
                                        if (link.ok()) link_ = std::move(*link);
                                      });
      if (dialer.ok()) dialer_ = std::move(*dialer);
      return;
    }
    if (way_ == Way::kTcp) {
      link_ = *core_->tcp.Connect(server_, this);
    } else {
      server_.set_port(welcome->ucx_port);
      link_ = *core_->links.Connect(server_.get(), server_.size, this);
    }
    link_->SendAttach(token);
  }
  void OnDoorClosed(const Status&) override { Cut(); }
  void OnAttach(Link* link, std::string_view) override {
    link->SendRaw(frame_);
    // More of it could come, otherwise.
    if (way_ == Way::kTcp) link->Break(UnavailableError("nothing more comes"));
  }
  void OnFrame(const Frame&, std::unique_ptr<Arrival>) override {}
  // Over TCP on this side; what the listener does shows at the door.
  void OnBroken(const Status&) override {
    if (way_ != Way::kTcp) Cut();
  }

 private:
  void Cut() {
    if (!was_cut_) cut_.set_value();
    was_cut_ = true;
  }

  const std::string frame_;
  const std::string token_;
  const Way way_;
  Core* core_ = nullptr;
  SocketAddress server_;
  std::unique_ptr<Door> door_;
  std::shared_ptr<LocalDialer> dialer_;
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

// Says hello at the door and stays there, a plain socket.
class DoorKnock {
 public:
  explicit DoorKnock(const Endpoint& address) {
    const SocketAddress server = Resolve(address, true)->front();
    fd_ = ::socket(server.storage.ss_family, SOCK_STREAM, 0);
    const timeval patience{30, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (::connect(fd_, server.get(), server.size) != 0) return;
    const std::string hello = EncodeDoorMessage(DoorHello{});
    (void)!::send(fd_, hello.data(), hello.size(), MSG_NOSIGNAL);
    std::string heard;
    char buffer[256];
    for (ssize_t n = 0; (n = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0;) {
      heard.append(buffer, static_cast<std::size_t>(n));
      const auto size = DoorMessageSize(heard);
      if (!size.ok()) return;
      if (!size->has_value() || heard.size() < **size) continue;
      const auto welcome = DecodeDoorWelcome(heard.substr(0, **size));
      if (welcome.ok()) welcome_ = *welcome;
      return;
    }
  }
  ~DoorKnock() { ::close(fd_); }
  DoorKnock(const DoorKnock&) = delete;
  DoorKnock& operator=(const DoorKnock&) = delete;

  // What the listener answered; without port and token if it did not.
  [[nodiscard]] const DoorWelcome& welcome() const { return welcome_; }
  // True if the listener hangs up within 30 s. What it says until then is passed over.
  [[nodiscard]] bool IsHungUpOn() const {
    char buffer[256];
    ssize_t n = 0;
    while ((n = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0) {
    }
    return n == 0 || errno == ECONNRESET;
  }

 private:
  int fd_ = -1;
  DoorWelcome welcome_;
};

// The port at which UCX listens for this listener, as it says at its door; 0 if it doesn't.
inline std::uint16_t UcxPortOf(const Endpoint& address) {
  return DoorKnock(address).welcome().ucx_port;
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
