// One socket at a listener's door, of either side: sends and gathers the first message, then
// answers pings. Its end is how the death of the peer's process shows at once.
//
// Thread safety: none; lives on its engine. Callbacks run there, never inside a call of the user.
#ifndef CAIRN_SRC_DRAM_UCX_DOOR_H_
#define CAIRN_SRC_DRAM_UCX_DOOR_H_

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/dram/ucx/engine.h"

namespace cairn::dram::ucx {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] std::uint16_t port() const;
  void set_port(std::uint16_t port);
  // In digits.
  [[nodiscard]] std::string host() const;
};

// The addresses of a host and port; an empty host, or "*", is every address of this machine.
// Blocks for a name server unless the host is numeric or `numeric_only`, which fails on names.
// kUnavailable with the resolver's words.
Result<std::vector<SocketAddress>> Resolve(const Endpoint& endpoint, bool numeric_only);

// A listening socket. kIoError with the address and the reason; kNotFound if the address is not one
// of this host's.
Result<int> OpenListeningSocket(const SocketAddress& address, const std::string& name);
// Whether accept failed for want of descriptors or memory: it would at once fail again, so the
// listening socket is left alone for kKnockPause.
inline bool OutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}
inline constexpr Duration kKnockPause = std::chrono::milliseconds(100);
// The address that a socket is bound to.
SocketAddress LocalAddress(int fd);

class DoorUser {
 public:
  virtual ~DoorUser() = default;
  // The peer's first message, whole. May destroy the door.
  virtual void OnDoorMessage(std::string_view message) = 0;
  // The peer hung up, or broke the format. May destroy the door.
  virtual void OnDoorClosed(const Status& why) = 0;
};

class Door {
 public:
  // Takes over a connected or connecting socket. If it can't be waited for, OnDoorClosed says so
  // soon, not inside the call.
  Door(Engine* engine, int fd, DoorUser* user);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // Begins to connect. kUnavailable.
  static Result<int> Connect(const SocketAddress& address);

  void Send(std::string_view bytes);
  // Gives up the socket, and calls its user no more. For a socket that goes on to carry frames.
  // kCorruption, and the socket is closed with the door, if the peer has said more than its
  // message.
  Result<int> Release();
  // Calls its user no more. For when the user can't destroy it yet.
  void Retire();
  void Ping() { Send({&kPing, 1}); }
  // When anything came in last.
  [[nodiscard]] MonotonicTime last_heard() const { return last_heard_; }

 private:
  static const char kPing;
  void OnReady(std::uint32_t events);
  bool ReadAll();
  void Flush();
  void TakeInput();
  void Fail(const Status& why);
  // Says why to the log, and fails soon, not inside the call.
  void FailSoon(const Status& why);

  Engine* const engine_;
  int fd_;  // -1 once it was released
  DoorUser* const user_;
  std::string in_;
  std::string out_;
  bool had_message_ = false;
  bool failed_ = false;
  bool wants_write_ = true;
  MonotonicTime last_heard_;
  // Tells a running callback that the door is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_DOOR_H_
