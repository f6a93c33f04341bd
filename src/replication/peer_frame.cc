#include "src/replication/peer_frame.h"

#include "src/base/codec.h"
#include "xxhash.h"

namespace cairn::replication {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr auto kLastKind = static_cast<std::uint8_t>(FrameKind::kReport);
constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);
// Format, kind, group, cluster, incarnation, length and checksum at most.
constexpr std::size_t kOverhead = 1 + 1 + 4 + 8 + 8 + 10 + kChecksumBytes;

}  // namespace

std::string EncodeFrame(const FrameHeader& header, std::string_view body) {
  std::string out;
  out.reserve(kOverhead + body.size());
  Encoder e(&out);
  e.U8(kFormat);
  e.U8(static_cast<std::uint8_t>(header.kind));
  e.Fixed32(header.group.value());
  e.Fixed64(header.cluster);
  e.Fixed64(header.incarnation.value());
  e.Bytes(body);
  e.Fixed64(XXH3_64bits(out.data(), out.size()));
  return out;
}

Result<Frame> DecodeFrame(std::string_view bytes) {
  const auto damaged = [&](const char* what) {
    return CorruptionError("a peer's frame of " + std::to_string(bytes.size()) + " bytes " + what +
                           ": " + Printable(bytes, 32));
  };
  if (bytes.size() <= kChecksumBytes) return damaged("is too short");
  const std::string_view content = bytes.substr(0, bytes.size() - kChecksumBytes);
  const std::uint64_t checksum = Decoder(bytes.substr(content.size())).Fixed64();
  if (XXH3_64bits(content.data(), content.size()) != checksum) {
    return damaged("has a wrong checksum");
  }
  Decoder d(content);
  const std::uint8_t format = d.U8();
  const std::uint8_t kind = d.U8();
  if (d.ok() && (format > kFormat || kind > kLastKind)) {
    return UnimplementedError("a peer sent a frame of format " + std::to_string(format) +
                              ", kind " + std::to_string(kind) +
                              ", of a later version of Cairn; upgrade this node");
  }
  if (format == 0 || kind == 0) d.Fail();
  Frame frame;
  frame.header.kind = static_cast<FrameKind>(kind);
  frame.header.group = GroupId(d.Fixed32());
  frame.header.cluster = d.Fixed64();
  frame.header.incarnation = IncarnationId(d.Fixed64());
  frame.body = d.Bytes();
  if (!d.AtEnd()) return damaged("does not decode");
  return frame;
}

std::optional<FrameKind> KindOf(std::string_view bytes) {
  if (bytes.size() < 2) return std::nullopt;
  return static_cast<FrameKind>(bytes[1]);
}

}  // namespace cairn::replication
