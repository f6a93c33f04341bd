// What is said at a listener's door, a TCP socket of our own, before any frame: who the client is,
// and by which ways and under which token it may come. UCX trusts what reaches its ports; the door
// does not. docs/formats/dram_door.md is the specification.
//
// Thread safety: values and pure functions.
#ifndef CAIRN_SRC_DRAM_UCX_DOOR_MESSAGE_H_
#define CAIRN_SRC_DRAM_UCX_DOOR_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "cairn/status.h"

namespace cairn::dram::ucx {

inline constexpr std::uint8_t kDoorVersion = 3;
inline constexpr std::size_t kTokenBytes = 16;
// Of a message, its fixed part included.
inline constexpr std::size_t kMaxDoorMessageBytes = 8192;
// After the two messages, single bytes: a question whether the other side lives, and its answer.
inline constexpr char kDoorPing = 'P';
inline constexpr char kDoorPong = 'A';

// Client to server.
struct DoorHello {
  // Empty, or kTokenBytes: this socket is to carry the frames of the connection that was given this
  // token. The server answers with a heartbeat, the first frame on it.
  std::string token;
};

// Server to client.
struct DoorWelcome {
  // Not OK: the server takes no connection from this client, and closes.
  Status status;
  // Where UCX listens, at the same host. 0: nowhere, as UCX reaches no IPv6 address, or is not
  // used.
  std::uint16_t ucx_port = 0;
  // Another socket at this door may carry the frames.
  bool tcp = false;
  // kTokenBytes that the client repeats on the way that it takes.
  std::string token;
  // The server's host (shm::HostId), and its Unix socket there for clients that are on it too; both
  // empty if it takes nobody there. At most kMaxLocalBytes each.
  std::string host;
  std::string local_name;
};
inline constexpr std::size_t kMaxLocalBytes = 100;

std::string EncodeDoorMessage(const DoorHello& hello);
std::string EncodeDoorMessage(const DoorWelcome& welcome);

// How many bytes the message at the start of `bytes` has; nothing while that can't be told yet.
// kCorruption if no message begins like that.
Result<std::optional<std::size_t>> DoorMessageSize(std::string_view bytes);

// Read a whole message. kCorruption that says what is wrong.
Result<DoorHello> DecodeDoorHello(std::string_view message);
Result<DoorWelcome> DecodeDoorWelcome(std::string_view message);

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_DOOR_MESSAGE_H_
