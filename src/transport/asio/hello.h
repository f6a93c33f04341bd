// The first words of a connection between peers: who dials whom, and whether that is welcome.
// Format: docs/formats/peer_connection.md.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_HELLO_H_
#define CAIRN_SRC_TRANSPORT_ASIO_HELLO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/transport/peer_transport.h"

namespace cairn::transport {

inline constexpr std::size_t kLanes = 2;
inline constexpr std::string_view NameOf(Lane lane) {
  return lane == Lane::kConsensus ? "consensus" : "bulk";
}

// The version of everything that peers say to each other on a connection. A node refuses others.
inline constexpr std::uint8_t kPeerProtocolVersion = 2;
// A hello and its answer are shorter than this; more is refused unread.
inline constexpr std::size_t kMaxHelloBytes = 1024;

// Who a node is, as it says itself.
struct PeerIdentity {
  NodeId node;
  IncarnationId incarnation;
  // The cluster that the node was formed in; 0: none yet.
  std::uint64_t cluster = 0;
  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

// From the node that dials.
struct Hello {
  PeerIdentity from;
  NodeId to;  // whom it means to reach
  Lane lane = Lane::kConsensus;

  [[nodiscard]] std::string Encode() const;
  // kInvalidArgument that says what is wrong: no peer at all, another version, damage.
  static Result<Hello> Decode(std::string_view bytes);
  friend bool operator==(const Hello&, const Hello&) = default;
};

// From the node that was dialled.
struct HelloAnswer {
  PeerIdentity from;
  std::string refusal;  // why the connection ends now; empty: welcome

  [[nodiscard]] std::string Encode() const;
  static Result<HelloAnswer> Decode(std::string_view bytes);
  friend bool operator==(const HelloAnswer&, const HelloAnswer&) = default;
};

// Whether `self` takes a connection that begins with `hello`: it must mean this node, come from
// another one, and from no other cluster. A node without a cluster may talk to anybody: that is how
// clusters form and grow.
Status CheckHello(const PeerIdentity& self, const Hello& hello);
// How the message of CheckAnswer begins if the node that answered turned this one away.
inline constexpr std::string_view kTurnedAway = "it turned this node away: ";
// Whether the node that answered is the one that was dialled, of the same cluster.
Status CheckAnswer(const PeerIdentity& self, NodeId dialled, const HelloAnswer& answer);

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_HELLO_H_
