// A server's side of one connection.
//
// Thread safety: none; lives on the engine.
#ifndef CAIRN_SRC_DRAM_UCX_PEER_H_
#define CAIRN_SRC_DRAM_UCX_PEER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "src/dram/ucx/core.h"
#include "src/dram/ucx/door_message.h"

namespace cairn::dram::ucx {

class Server;

// One connection, from the knock at the door on; or a socket that turns out to carry the frames of
// another one, to which it goes.
class Peer final : public std::enable_shared_from_this<Peer>, public DoorUser, public LinkUser {
 public:
  // `token`: empty if it may only carry the frames of another one. `ucx_port`: where the client is
  // to come with its endpoint, at the address of its door.
  Peer(Server* server, ConnectionId id, std::string token, std::uint16_t ucx_port);
  void Open(int fd);

  [[nodiscard]] ConnectionId id() const { return id_; }
  [[nodiscard]] const std::string& token() const { return token_; }
  // Its socket has gone to another connection.
  [[nodiscard]] bool lent() const { return lent_; }
  [[nodiscard]] Engine& engine() const { return engine_; }
  [[nodiscard]] bool over_shared_memory() const {
    return link_ != nullptr && link_->over_shared_memory();
  }
  // The way of this connection has come.
  void Attach(std::shared_ptr<Link> link);
  // Answers a request, or says that nobody did.
  void Answer(FrameKind kind, CallId call, std::string_view header, Buffer payload);
  void Break(const Status& why);
  // The same, with a line in the log.
  void GiveUp(const Status& why);

  void OnDoorMessage(std::string_view message) override;
  void OnDoorClosed(const Status& why) override;
  void OnAttach(Link* link, std::string_view token) override;
  void OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) override;
  void OnBroken(const Status& why) override;

 private:
  // Gives its socket to the connection that has the token.
  void Lend(const std::string& token);
  // Is known to the server no more.
  Server* Leave();

  Server* server_;  // null once broken
  Engine& engine_;
  const ConnectionId id_;
  const std::string token_;
  const std::uint16_t ucx_port_;
  std::unique_ptr<Door> door_;
  std::shared_ptr<Link> link_;
  std::size_t unanswered_ = 0;
  bool had_requests_ = false;
  bool lent_ = false;
  SilenceWatch watch_;
  Engine::TimerId handshake_timer_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_PEER_H_
