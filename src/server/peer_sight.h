// Another node of the cluster as this one knows it: from its connections, from its last report,
// which comes about once a second (docs/formats/node_report.md), and on a leader from what it has
// acknowledged of the log, which is exact at any moment.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_SERVER_PEER_SIGHT_H_
#define CAIRN_SRC_SERVER_PEER_SIGHT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/replication/membership_edits.h"
#include "src/replication/node_report.h"

namespace cairn::server {

// One way to or from another node.
struct LaneSight {
  std::string_view lane;  // "consensus", "bulk": to it; "incoming": all that comes from it
  bool connected = false;
  std::uint64_t frames = 0;  // counters since start
  std::uint64_t bytes = 0;
  std::uint64_t dropped_frames = 0;
  std::uint64_t connects = 0;
  std::uint64_t queued_bytes = 0;  // now
};

// What a peer has acknowledged to this node, which leads.
struct Acknowledged {
  Slot match;             // its journal holds everything up to here
  std::uint64_t lag = 0;  // entries above it that were committed at the same moment
};

struct PeerSight {
  NodeId node;
  std::string endpoint;  // "host:port" of its Thrift service; may be empty
  bool is_learner = false;
  // Since it was last heard of; nothing: never, or somebody else speaks under its number.
  std::optional<Duration> silent_for;
  std::optional<replication::NodeReport> report;  // its last one
  std::optional<Duration> report_age;
  // Nothing: this node does not lead, was not asked, or has no acknowledgement of the peer yet.
  std::optional<Acknowledged> acknowledged;
  std::vector<LaneSight> lanes;
};

// How far a peer is behind this node.
struct PeerLag {
  // Entries that are committed here and that the peer is not known to hold.
  std::uint64_t slots = 0;
  // False: that is what it has acknowledged to this node, which leads. True: it is what its last
  // report says that it has applied, as old as the report is.
  bool by_report = false;
};

// From what it has acknowledged, else from its report; nothing if there is neither. `committed`: on
// this node, for the report.
[[nodiscard]] std::optional<PeerLag> LagOf(const PeerSight& peer, Slot committed);

// Fills in `acknowledged` of each peer from what the leader's core knows; `view` of a node that
// does not lead has nothing. A peer that has acknowledged nothing to this leader is left as it is:
// that its log is empty is not known.
void AddProgress(const replication::GroupView& view, std::vector<PeerSight>* peers);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_PEER_SIGHT_H_
