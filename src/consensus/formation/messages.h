// What nodes say to each other while a cluster forms, and afterwards to those who come late.
// Format: docs/formats/formation.md. Decoding faces the network: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_CONSENSUS_FORMATION_MESSAGES_H_
#define CAIRN_SRC_CONSENSUS_FORMATION_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/membership.h"
#include "src/consensus/formation/record.h"

namespace cairn::consensus::formation {

// "I am here, and not part of a cluster yet."
struct Hello {
  std::vector<NodeId> configured;  // the list of members that the sender was given
  std::uint64_t attempt = 0;       // of the proposal that it accepted last
  bool answer = false;             // say hello back
  friend bool operator==(const Hello&, const Hello&) = default;
};
// "Accept this first membership."
struct Prepare {
  std::uint64_t attempt = 0;
  ClusterId cluster;
  Membership first;
  friend bool operator==(const Prepare&, const Prepare&) = default;
};
// "I have accepted it, durably."
struct Prepared {
  std::uint64_t attempt = 0;
  ClusterId cluster;
  friend bool operator==(const Prepared&, const Prepared&) = default;
};
// "I have accepted a later one": which.
struct Refused {
  std::uint64_t attempt = 0;
  ClusterId cluster;
  friend bool operator==(const Refused&, const Refused&) = default;
};
// "The cluster exists, and this is how it began."
struct Announce {
  std::uint64_t attempt = 0;
  ClusterId cluster;
  Membership first;
  friend bool operator==(const Announce&, const Announce&) = default;
};
// "Take me in."
struct Join {
  std::string endpoint;
  friend bool operator==(const Join&, const Join&) = default;
};
struct TurnedAway {
  enum class Why : std::uint8_t {
    kOtherCluster = 1,
    kRemoved = 2,  // this incarnation was a member and was removed
  };
  Why why = Why::kOtherCluster;
  friend bool operator==(const TurnedAway&, const TurnedAway&) = default;
};

using FormationMessage =
    std::variant<Hello, Prepare, Prepared, Refused, Announce, Join, TurnedAway>;

// A message and what stands before every one.
struct Framed {
  GroupId group;
  IncarnationId from;
  IncarnationId to;   // 0: whoever is there under that number
  ClusterId cluster;  // that the sender belongs to; 0: none yet
  FormationMessage message;
  friend bool operator==(const Framed&, const Framed&) = default;
};

std::string Encode(const Framed& framed);
// kCorruption for bytes that are no message, kUnimplemented for one of a later version.
Result<Framed> DecodeMessage(std::string_view bytes);
// One line for traces.
std::string Describe(const Framed& framed);

}  // namespace cairn::consensus::formation

#endif  // CAIRN_SRC_CONSENSUS_FORMATION_MESSAGES_H_
