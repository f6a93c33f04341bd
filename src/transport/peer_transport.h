// How the nodes of a cluster reach each other: frames of bytes, best effort.
//
// A transport promises little, so that it can be fast: a frame may be lost, doubled, delayed or
// overtaken by a later one, but what arrives is what was sent, whole. Everything that must not be
// lost is sent again by whoever needs it. What frames hold is the business of their users
// (src/replication/peer_frame.h).
//
// A node's number stands for one process: while it is there, a second one that uses its number is
// turned away.
//
// Implementations: in_process/, and TCP with and without TLS (asio/). All of them pass the suite in
// testing/. The simulator has a network of its own (sim/), which loses, doubles, delays and
// reorders on purpose.
#ifndef CAIRN_SRC_TRANSPORT_PEER_TRANSPORT_H_
#define CAIRN_SRC_TRANSPORT_PEER_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "src/base/ids.h"

namespace cairn::transport {

// Frames of different lanes do not wait for each other: bulk data never delays a heartbeat.
enum class Lane : std::uint8_t {
  kConsensus,  // messages of the core, forwarded writes: small, or urgent
  kBulk,       // snapshots
};

class PeerTransport {
 public:
  // Gets the sender, as the transport knows it, and the frame.
  using Receiver = std::function<void(NodeId from, std::string frame)>;

  virtual ~PeerTransport() = default;

  // Sends `frame` to the node `to`, or drops it: an unknown or unreachable node, a full queue.
  // Never blocks, never calls a receiver inside the call. Any thread.
  virtual void Send(NodeId to, Lane lane, std::string frame) = 0;

  // Who gets what arrives here. The receiver is called from threads of the transport, must not
  // block, and must be safe to call for a while after it was replaced. An empty one drops what
  // arrives. Any thread.
  virtual void SetReceiver(Receiver receiver) = 0;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_PEER_TRANSPORT_H_
