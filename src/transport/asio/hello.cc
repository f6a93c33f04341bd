#include "src/transport/asio/hello.h"

#include <xxhash.h>

#include <fmt/core.h>

#include "src/base/codec.h"

namespace cairn::transport {
namespace {

constexpr std::string_view kHelloMagic = "CRNP";
constexpr std::string_view kAnswerMagic = "CRNA";
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kMaxRefusalBytes = 512;

std::string Begin(std::string_view magic, const PeerIdentity& from) {
  std::string out;
  Encoder encoder(&out);
  encoder.Raw(magic);
  encoder.U8(kPeerProtocolVersion);
  encoder.Fixed32(from.node.value());
  encoder.Fixed64(from.incarnation.value());
  encoder.Fixed64(from.cluster);
  return out;
}

std::string Finish(std::string out) {
  Encoder(&out).Fixed64(XXH3_64bits(out.data(), out.size()));
  return out;
}

// Checks magic, version and checksum, and reads the identity.
Result<Decoder> Open(std::string_view magic, std::string_view bytes, PeerIdentity* from) {
  if (bytes.size() < magic.size() + 1 || bytes.substr(0, magic.size()) != magic) {
    return InvalidArgumentError("this is no Cairn peer: it says '" + Printable(bytes, 16) + "'");
  }
  const auto version = static_cast<std::uint8_t>(bytes[magic.size()]);
  if (version != kPeerProtocolVersion) {
    return InvalidArgumentError(
        fmt::format("it speaks version {} of the peers' protocol, this node version {}; run "
                    "versions of Cairn beside each other that share one",
                    version, kPeerProtocolVersion));
  }
  if (bytes.size() < magic.size() + 1 + kChecksumBytes) {
    return InvalidArgumentError("a peer's hello is cut short");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Decoder(bytes.substr(body.size())).Fixed64() != XXH3_64bits(body.data(), body.size())) {
    return InvalidArgumentError("a peer's hello is damaged (its checksum does not fit)");
  }
  Decoder decoder(body.substr(magic.size() + 1));
  from->node = NodeId(decoder.Fixed32());
  from->incarnation = IncarnationId(decoder.Fixed64());
  from->cluster = decoder.Fixed64();
  return decoder;
}

Status CheckCluster(const PeerIdentity& self, const PeerIdentity& peer) {
  if (self.cluster == 0 || peer.cluster == 0 || self.cluster == peer.cluster) return Status::Ok();
  return InvalidArgumentError(
      fmt::format("node {} belongs to cluster {:016x} and node {} to cluster {:016x}; check their "
                  "replica_endpoints and data folders",
                  peer.node.value(), peer.cluster, self.node.value(), self.cluster));
}

}  // namespace

std::string Hello::Encode() const {
  std::string out = Begin(kHelloMagic, from);
  Encoder encoder(&out);
  encoder.Fixed32(to.value());
  encoder.U8(static_cast<std::uint8_t>(lane));
  return Finish(std::move(out));
}

Result<Hello> Hello::Decode(std::string_view bytes) {
  Hello hello;
  CAIRN_ASSIGN_OR_RETURN(Decoder decoder, Open(kHelloMagic, bytes, &hello.from));
  hello.to = NodeId(decoder.Fixed32());
  const std::uint8_t lane = decoder.U8();
  if (!decoder.AtEnd()) return InvalidArgumentError("a peer's hello has the wrong length");
  if (lane >= kLanes) {
    return InvalidArgumentError(
        fmt::format("a peer's hello names lane {}, which does not exist", lane));
  }
  hello.lane = static_cast<Lane>(lane);
  return hello;
}

std::string HelloAnswer::Encode() const {
  std::string out = Begin(kAnswerMagic, from);
  Encoder(&out).Bytes(std::string_view(refusal).substr(0, kMaxRefusalBytes));
  return Finish(std::move(out));
}

Result<HelloAnswer> HelloAnswer::Decode(std::string_view bytes) {
  HelloAnswer answer;
  CAIRN_ASSIGN_OR_RETURN(Decoder decoder, Open(kAnswerMagic, bytes, &answer.from));
  answer.refusal = decoder.Bytes();
  if (!decoder.AtEnd()) return InvalidArgumentError("a peer's answer has the wrong length");
  return answer;
}

Status CheckHello(const PeerIdentity& self, const Hello& hello) {
  if (hello.to != self.node) {
    return InvalidArgumentError(
        fmt::format("node {} means to reach node {}, and this is node {}; check its "
                    "replica_endpoints and this node's instance_id",
                    hello.from.node.value(), hello.to.value(), self.node.value()));
  }
  if (hello.from.node == self.node) {
    return InvalidArgumentError(
        fmt::format("another node calls itself node {}, which this node is; each needs an "
                    "instance_id of its own",
                    self.node.value()));
  }
  return CheckCluster(self, hello.from);
}

Status CheckAnswer(const PeerIdentity& self, NodeId dialled, const HelloAnswer& answer) {
  if (!answer.refusal.empty()) return UnavailableError(std::string(kTurnedAway) + answer.refusal);
  if (answer.from.node != dialled) {
    return InvalidArgumentError(fmt::format("it says that it is node {}, not node {}",
                                            answer.from.node.value(), dialled.value()));
  }
  return CheckCluster(self, answer.from);
}

}  // namespace cairn::transport
