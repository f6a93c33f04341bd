#include "src/consensus/core/membership.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn::consensus {
namespace {

constexpr std::uint8_t kMembershipFormat = 1;
constexpr std::uint8_t kLearner = 0;
constexpr std::uint8_t kVoter = 1;
constexpr std::uint8_t kJoining = 2;
constexpr std::uint8_t kLeaving = 3;
// Bytes that the shortest encoding of each takes.
constexpr std::size_t kMinMember = 11;
constexpr std::size_t kMinPeer = 9;

void Put(const PeerId& peer, Encoder& e) {
  e.Varint(peer.node.value());
  e.Fixed64(peer.incarnation.value());
}

PeerId TakePeer(Decoder& d) {
  const std::uint64_t node = d.Varint();
  if (node > NodeId::Max().value()) d.Fail();
  const IncarnationId incarnation(d.Fixed64());
  return {NodeId(static_cast<std::uint32_t>(node)), incarnation};
}

std::uint64_t TakeCount(Decoder& d, std::size_t min_bytes) {
  const std::uint64_t n = d.Varint();
  if (n > d.remaining() / min_bytes) d.Fail();
  return d.ok() ? n : 0;
}

std::uint8_t KindOf(const Membership::Member& member) {
  if (member.voter) return member.leaving ? kLeaving : kVoter;
  return member.joining ? kJoining : kLearner;
}

Membership::Member TakeMember(Decoder& d) {
  const PeerId peer = TakePeer(d);
  const std::uint8_t kind = d.U8();
  if (kind > kLeaving) d.Fail();
  return {peer.node,        peer.incarnation, kind == kVoter || kind == kLeaving,
          kind == kJoining, kind == kLeaving, std::string(d.Bytes())};
}

}  // namespace

std::string ToString(const PeerId& peer) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx",
                static_cast<unsigned long long>(peer.incarnation.value()));
  return ToString(peer.node) + "#" + text;
}

std::vector<PeerId> Membership::Voters() const {
  std::vector<PeerId> voters;
  for (const Member& member : members) {
    if (member.voter) voters.push_back(member.id());
  }
  return voters;
}

bool Membership::IsVoter(const PeerId& peer) const {
  const auto is = [&](const Member& member) { return member.voter && member.id() == peer; };
  return std::any_of(members.begin(), members.end(), is) ||
         std::binary_search(outgoing_voters.begin(), outgoing_voters.end(), peer);
}

std::vector<PeerId> Membership::Peers() const {
  std::vector<PeerId> peers = outgoing_voters;
  for (const Member& member : members) peers.push_back(member.id());
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

const Membership::Member* Membership::Find(NodeId node) const {
  const Member* found = nullptr;
  for (const Member& member : members) {
    if (member.node == node && (found == nullptr || found->leaving)) found = &member;
  }
  return found;
}

bool Membership::IsMember(const PeerId& peer) const {
  return std::any_of(members.begin(), members.end(),
                     [&](const Member& member) { return member.id() == peer; });
}

bool Membership::WasRemoved(const PeerId& peer) const {
  return std::find(removed.begin(), removed.end(), peer) != removed.end();
}

Membership Membership::WithReplaced(const PeerId& peer) const {
  const Member* old = Find(peer.node);
  CAIRN_CHECK(old != nullptr, "nobody to replace by " + ToString(peer));
  Member replaced = *old;
  replaced.incarnation = peer.incarnation;
  replaced.voter = old->voter || old->joining;
  replaced.joining = replaced.leaving = false;
  Membership target;
  bool placed = false;
  for (const Member& member : members) {
    if (member.node != peer.node) {
      if (!member.leaving) target.members.push_back(member);
    } else if (!std::exchange(placed, true)) {
      target.members.push_back(replaced);
    }
  }
  return target;
}

JoinVerdict ClassifyJoin(const Membership& membership, const PeerId& peer) {
  if (membership.IsMember(peer)) return JoinVerdict::kMember;
  if (membership.WasRemoved(peer)) return JoinVerdict::kRemoved;
  const Membership::Member* const seat = membership.Find(peer.node);
  return seat != nullptr && !seat->leaving ? JoinVerdict::kReplace : JoinVerdict::kUnknown;
}

std::string Membership::Encode() const {
  std::string out;
  Encoder e(&out);
  e.U8(kMembershipFormat);
  e.Varint(members.size());
  for (const Member& member : members) {
    Put(member.id(), e);
    e.U8(KindOf(member));
    e.Bytes(member.endpoint);
  }
  e.Varint(outgoing_voters.size());
  for (const PeerId& peer : outgoing_voters) Put(peer, e);
  e.Varint(removed.size());
  for (const PeerId& peer : removed) Put(peer, e);
  return out;
}

Result<Membership> Membership::Decode(std::string_view bytes) {
  Decoder d(bytes);
  Membership membership;
  if (d.U8() != kMembershipFormat) d.Fail();
  for (std::uint64_t n = TakeCount(d, kMinMember); n > 0 && d.ok(); --n) {
    Member member = TakeMember(d);
    if (!membership.members.empty() && membership.members.back().id() >= member.id()) d.Fail();
    membership.members.push_back(std::move(member));
  }
  for (std::uint64_t n = TakeCount(d, kMinPeer); n > 0 && d.ok(); --n) {
    const PeerId peer = TakePeer(d);
    auto& outgoing = membership.outgoing_voters;
    if (!outgoing.empty() && outgoing.back() >= peer) d.Fail();
    outgoing.push_back(peer);
  }
  for (std::uint64_t n = TakeCount(d, kMinPeer); n > 0 && d.ok(); --n) {
    membership.removed.push_back(TakePeer(d));
  }
  if (!d.AtEnd()) {
    return CorruptionError("a membership does not decode: " + Printable(bytes));
  }
  return membership;
}

}  // namespace cairn::consensus
