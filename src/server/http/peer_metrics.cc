#include "src/server/http/peer_metrics.h"

#include <optional>
#include <string>
#include <string_view>

namespace cairn::server {
namespace {

using metrics::Exposition;
using metrics::Kind;
using metrics::Seconds;

void Contact(const std::vector<PeerSight>& peers, Exposition* page) {
  page->Family("cairn_peer_last_contact_seconds", Kind::kGauge,
               "Time since anything was heard of a peer; absent if nothing ever was.");
  for (const PeerSight& peer : peers) {
    if (peer.silent_for) page->Sample({{"peer", ToString(peer.node)}}, Seconds(*peer.silent_for));
  }
}

void Progress(const std::vector<PeerSight>& peers, Slot committed, Exposition* page) {
  page->Family("cairn_peer_match_slot", Kind::kGauge,
               "On a leader: the peer's journal holds the log up to here, as it has acknowledged; "
               "absent on other nodes, and until it has acknowledged anything to this leader.");
  for (const PeerSight& peer : peers) {
    if (!peer.acknowledged) continue;
    page->Sample({{"peer", ToString(peer.node)}}, peer.acknowledged->match.value());
  }
  page->Family("cairn_peer_lag_slots", Kind::kGauge,
               "Entries that are committed on this node and that the peer is not known to hold. "
               "Where there is a cairn_peer_match_slot of the peer, on the leader: above that, "
               "exact at the scrape. Elsewhere: above what it has applied by its last report.");
  for (const PeerSight& peer : peers) {
    const std::optional<PeerLag> lag = LagOf(peer, committed);
    if (lag) page->Sample({{"peer", ToString(peer.node)}}, lag->slots);
  }
}

void Reports(const std::vector<PeerSight>& peers, Exposition* page) {
  const auto each = [&](auto sample) {
    for (const PeerSight& peer : peers) {
      if (peer.report) sample(peer, ToString(peer.node));
    }
  };
  page->Family("cairn_peer_report_age_seconds", Kind::kGauge,
               "Age of a peer's last report, on which the next three rest, and the lag on nodes "
               "that do not lead.");
  each([&](const PeerSight& peer, const std::string& node) {
    if (peer.report_age) page->Sample({{"peer", node}}, Seconds(*peer.report_age));
  });
  page->Family("cairn_peer_slot", Kind::kGauge, "Positions in a peer's log, by its last report.");
  each([&](const PeerSight& peer, const std::string& node) {
    page->Sample({{"peer", node}, {"position", "last"}}, peer.report->last_slot.value());
    page->Sample({{"peer", node}, {"position", "committed"}}, peer.report->committed_slot.value());
    page->Sample({{"peer", node}, {"position", "applied"}}, peer.report->applied_slot.value());
  });
  page->Family("cairn_peer_is_leader", Kind::kGauge,
               "1 if the peer took itself for the leader in its last report, else 0.");
  each([&](const PeerSight& peer, const std::string& node) {
    page->Sample({{"peer", node}}, std::uint64_t{peer.report->role == consensus::Role::kLeader});
  });
  page->Family("cairn_peer_accepts_writes", Kind::kGauge,
               "1 if the peer had no trouble with writes in its last report, else 0.");
  each([&](const PeerSight& peer, const std::string& node) {
    page->Sample({{"peer", node}}, std::uint64_t{peer.report->problem.empty()});
  });
}

template <class Value>
void LaneFamily(const std::vector<PeerSight>& peers, Value LaneSight::*figure,
                std::string_view name, Kind kind, std::string_view help, Exposition* page) {
  page->Family(name, kind, help);
  for (const PeerSight& peer : peers) {
    for (const LaneSight& lane : peer.lanes) {
      page->Sample({{"peer", ToString(peer.node)}, {"lane", lane.lane}},
                   std::uint64_t{lane.*figure});
    }
  }
}

}  // namespace

void AppendPeerFamilies(const std::vector<PeerSight>& peers, Slot committed, Exposition* page) {
  if (peers.empty()) return;
  Contact(peers, page);
  Progress(peers, committed, page);
  Reports(peers, page);
  LaneFamily(peers, &LaneSight::connected, "cairn_peer_connected", Kind::kGauge,
             "1 while the connection stands, else 0. Lanes: consensus and bulk to the peer; "
             "incoming, all that it dialled.",
             page);
  LaneFamily(peers, &LaneSight::connects, "cairn_peer_connects_total", Kind::kCounter,
             "Connections that came to stand.", page);
  LaneFamily(peers, &LaneSight::frames, "cairn_peer_frames_total", Kind::kCounter,
             "Frames sent, on lane incoming received.", page);
  LaneFamily(peers, &LaneSight::bytes, "cairn_peer_bytes_total", Kind::kCounter,
             "Bytes of these frames.", page);
  LaneFamily(peers, &LaneSight::dropped_frames, "cairn_peer_dropped_frames_total", Kind::kCounter,
             "Frames that were not sent: no connection, or a full queue.", page);
  LaneFamily(peers, &LaneSight::queued_bytes, "cairn_peer_queued_bytes", Kind::kGauge,
             "Bytes that wait to be sent.", page);
}

}  // namespace cairn::server
