#include "src/consensus/formation/messages.h"

#include <utility>

#include "src/base/codec.h"

namespace cairn::consensus::formation {
namespace {

constexpr std::uint8_t kFormat = 1;

enum class Tag : std::uint8_t {
  kHello = 1,
  kPrepare = 2,
  kPrepared = 3,
  kRefused = 4,
  kAnnounce = 5,
  kJoin = 6,
  kTurnedAway = 7,
};

struct Writer {
  Encoder& e;

  void Head(Tag tag, const Framed& f) const {
    e.U8(kFormat);
    e.U8(static_cast<std::uint8_t>(tag));
    e.Varint(f.group.value());
    e.Fixed64(f.from.value());
    e.Fixed64(f.to.value());
    e.Fixed64(f.cluster.value());
  }
  void Body(const Hello& m) const {
    e.Varint(m.configured.size());
    for (const NodeId node : m.configured) e.Varint(node.value());
    e.Varint(m.attempt);
    e.U8(m.answer ? 1 : 0);
  }
  void Body(const Prepare& m) const { Proposal(m.attempt, m.cluster, m.first); }
  void Body(const Prepared& m) const {
    e.Varint(m.attempt);
    e.Fixed64(m.cluster.value());
  }
  void Body(const Refused& m) const {
    e.Varint(m.attempt);
    e.Fixed64(m.cluster.value());
  }
  void Body(const Announce& m) const { Proposal(m.attempt, m.cluster, m.first); }
  void Body(const Join& m) const { e.Bytes(m.endpoint); }
  void Body(const TurnedAway& m) const { e.U8(static_cast<std::uint8_t>(m.why)); }

 private:
  void Proposal(std::uint64_t attempt, ClusterId cluster, const Membership& first) const {
    e.Varint(attempt);
    e.Fixed64(cluster.value());
    e.Bytes(first.Encode());
  }
};

// Variants are in the order of their tags.
Tag TagOf(const FormationMessage& m) { return static_cast<Tag>(m.index() + 1); }

Membership TakeMembership(Decoder& d) {
  Result<Membership> membership = Membership::Decode(d.Bytes());
  if (!membership.ok()) {
    d.Fail();
    return {};
  }
  return *std::move(membership);
}

Hello TakeHello(Decoder& d) {
  Hello m;
  const std::uint64_t count = d.Varint();
  if (count > d.remaining()) d.Fail();
  for (std::uint64_t i = 0; d.ok() && i < count; ++i) {
    const std::uint64_t node = d.Varint();
    if (node > NodeId::Max().value()) d.Fail();
    m.configured.emplace_back(static_cast<std::uint32_t>(node));
  }
  m.attempt = d.Varint();
  const std::uint8_t answer = d.U8();
  if (answer > 1) d.Fail();
  m.answer = answer == 1;
  return m;
}

template <class M>
M TakeProposal(Decoder& d) {
  M m;
  m.attempt = d.Varint();
  m.cluster = ClusterId(d.Fixed64());
  m.first = TakeMembership(d);
  if (m.attempt == 0 || m.cluster == ClusterId() || m.first.members.empty() || m.first.IsJoint() ||
      m.first.Voters().size() != m.first.members.size()) {
    d.Fail();
  }
  return m;
}

FormationMessage TakeMessage(Tag tag, Decoder& d) {
  switch (tag) {
    case Tag::kHello:
      return TakeHello(d);
    case Tag::kPrepare:
      return TakeProposal<Prepare>(d);
    case Tag::kPrepared:
      return Prepared{d.Varint(), ClusterId(d.Fixed64())};
    case Tag::kRefused:
      return Refused{d.Varint(), ClusterId(d.Fixed64())};
    case Tag::kAnnounce:
      return TakeProposal<Announce>(d);
    case Tag::kJoin:
      return Join{std::string(d.Bytes())};
    case Tag::kTurnedAway: {
      const std::uint8_t why = d.U8();
      if (why < 1 || why > 2) d.Fail();
      return TurnedAway{static_cast<TurnedAway::Why>(why)};
    }
  }
  d.Fail();
  return Hello{};
}

std::string Text(const Membership& membership) {
  std::string text;
  for (const Membership::Member& member : membership.members) {
    text += (text.empty() ? "" : " ") + ToString(member.id());
  }
  return text;
}

struct Describer {
  std::string operator()(const Hello& m) const {
    return "Hello attempt " + std::to_string(m.attempt) + (m.answer ? " answer" : "");
  }
  std::string operator()(const Prepare& m) const {
    return "Prepare attempt " + std::to_string(m.attempt) + " [" + Text(m.first) + "]";
  }
  std::string operator()(const Prepared& m) const {
    return "Prepared attempt " + std::to_string(m.attempt);
  }
  std::string operator()(const Refused& m) const {
    return "Refused attempt " + std::to_string(m.attempt);
  }
  std::string operator()(const Announce& m) const {
    return "Announce attempt " + std::to_string(m.attempt) + " [" + Text(m.first) + "]";
  }
  std::string operator()(const Join& m) const { return "Join from " + m.endpoint; }
  std::string operator()(const TurnedAway& m) const {
    return m.why == TurnedAway::Why::kRemoved ? "TurnedAway removed" : "TurnedAway other cluster";
  }
};

}  // namespace

std::string Encode(const Framed& framed) {
  std::string out;
  Encoder e(&out);
  const Writer writer{e};
  writer.Head(TagOf(framed.message), framed);
  std::visit([&](const auto& m) { writer.Body(m); }, framed.message);
  return out;
}

Result<Framed> DecodeMessage(std::string_view bytes) {
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  const std::uint8_t tag = d.U8();
  if (d.ok() && (format > kFormat || tag > static_cast<std::uint8_t>(Tag::kTurnedAway))) {
    return UnimplementedError("a peer speaks a later version of Cairn; upgrade this node");
  }
  if (format == 0) d.Fail();
  Framed framed;
  const std::uint64_t group = d.Varint();
  if (group > GroupId::Max().value()) d.Fail();
  framed.group = GroupId(static_cast<std::uint32_t>(group));
  framed.from = IncarnationId(d.Fixed64());
  framed.to = IncarnationId(d.Fixed64());
  framed.cluster = ClusterId(d.Fixed64());
  framed.message = TakeMessage(static_cast<Tag>(tag), d);
  if (!d.AtEnd()) {
    return CorruptionError("a formation message of " + std::to_string(bytes.size()) +
                           " bytes does not decode: " + Printable(bytes, 32));
  }
  return framed;
}

std::string Describe(const Framed& framed) { return std::visit(Describer{}, framed.message); }

}  // namespace cairn::consensus::formation
