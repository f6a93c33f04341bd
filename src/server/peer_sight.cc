#include "src/server/peer_sight.h"

namespace cairn::server {
namespace {

std::uint64_t Above(Slot slot, Slot committed) {
  return committed > slot ? committed.value() - slot.value() : 0;
}

}  // namespace

std::optional<PeerLag> LagOf(const PeerSight& peer, Slot committed) {
  if (peer.acknowledged) return PeerLag{peer.acknowledged->lag, false};
  if (!peer.report) return std::nullopt;
  return PeerLag{Above(peer.report->applied_slot, committed), true};
}

void AddProgress(const replication::GroupView& view, std::vector<PeerSight>* peers) {
  for (PeerSight& peer : *peers) {
    const consensus::Membership::Member* const member = view.membership.Find(peer.node);
    if (member == nullptr) continue;  // removed meanwhile
    const consensus::PeerProgress* const progress = view.Of(member->id());
    if (progress == nullptr || progress->match == Slot()) continue;
    peer.acknowledged = {progress->match, Above(progress->match, view.committed_slot)};
  }
}

}  // namespace cairn::server
