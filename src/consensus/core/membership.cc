#include <algorithm>

#include "src/base/codec.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus {
namespace {
constexpr std::uint8_t kMembershipFormat = 1;
}  // namespace

std::vector<NodeId> Membership::Voters() const {
  std::vector<NodeId> voters;
  for (const Member& member : members) {
    if (member.voter) voters.push_back(member.node);
  }
  return voters;
}

bool Membership::IsVoter(NodeId node) const {
  const auto is = [node](const Member& member) { return member.voter && member.node == node; };
  return std::any_of(members.begin(), members.end(), is) ||
         std::binary_search(outgoing_voters.begin(), outgoing_voters.end(), node);
}

std::vector<NodeId> Membership::Nodes() const {
  std::vector<NodeId> nodes = outgoing_voters;
  for (const Member& member : members) nodes.push_back(member.node);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

std::string Membership::Encode() const {
  std::string out;
  Encoder e(&out);
  e.U8(kMembershipFormat);
  e.Varint(members.size());
  for (const Member& member : members) {
    e.Varint(member.node.value());
    e.Fixed64(member.incarnation.value());
    e.U8(member.voter ? 1 : 0);
  }
  e.Varint(outgoing_voters.size());
  for (const NodeId node : outgoing_voters) e.Varint(node.value());
  return out;
}

Result<Membership> Membership::Decode(std::string_view bytes) {
  Decoder d(bytes);
  Membership membership;
  if (d.U8() != kMembershipFormat) d.Fail();
  const auto node = [&d] {
    const std::uint64_t id = d.Varint();
    if (id > NodeId::Max().value()) d.Fail();
    return NodeId(static_cast<std::uint32_t>(id));
  };
  const auto count = [&d](std::size_t min_bytes) {
    const std::uint64_t n = d.Varint();
    if (n > d.remaining() / min_bytes) d.Fail();
    return d.ok() ? n : 0;
  };
  for (std::uint64_t n = count(10); n > 0 && d.ok(); --n) {
    Member member;
    member.node = node();
    member.incarnation = IncarnationId(d.Fixed64());
    const std::uint8_t voter = d.U8();
    if (voter > 1) d.Fail();
    member.voter = voter == 1;
    const bool in_order =
        membership.members.empty() || membership.members.back().node < member.node;
    if (!in_order) d.Fail();
    membership.members.push_back(member);
  }
  for (std::uint64_t n = count(1); n > 0 && d.ok(); --n) {
    const NodeId outgoing = node();
    const bool in_order =
        membership.outgoing_voters.empty() || membership.outgoing_voters.back() < outgoing;
    if (!in_order) d.Fail();
    membership.outgoing_voters.push_back(outgoing);
  }
  if (!d.AtEnd()) {
    return CorruptionError("a membership does not decode: " + Printable(bytes));
  }
  return membership;
}

}  // namespace cairn::consensus
