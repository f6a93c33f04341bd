#include "src/dram/frame.h"

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/dram/transport.h"

namespace cairn::dram {
namespace {

constexpr std::uint32_t kMagic = 0x4D524443;  // "CDRM"

Status Bad(std::string_view what, std::uint64_t value) {
  return {StatusCode::kCorruption,
          "DRAM frame: " + std::string(what) + " is " + std::to_string(value)};
}

// Which parts a kind of frame has.
Status CheckShape(const Frame& frame, std::size_t header_size) {
  switch (frame.kind) {
    case FrameKind::kRequest:
    case FrameKind::kAnswer:
      return frame.call_id == 0 ? Bad("the call id of a request or answer", 0) : Status();
    case FrameKind::kHeartbeat:
      if (frame.call_id != 0) return Bad("the call id of a heartbeat", frame.call_id);
      break;
    case FrameKind::kDropped:
    case FrameKind::kCancel:
      if (frame.call_id == 0) return Bad("the call id of a dropped or cancelled call", 0);
      break;
  }
  if (header_size != 0) return Bad("the header of a frame without one", header_size);
  if (frame.payload_size != 0) return Bad("the payload of a frame without one", frame.payload_size);
  return {};
}

}  // namespace

void AppendFrame(const Frame& frame, std::string* out) {
  CAIRN_CHECK(frame.header.size() <= kMaxHeaderBytes);
  out->reserve(out->size() + kFrameFixedBytes + frame.header.size());
  Encoder encoder(out);
  encoder.Fixed32(kMagic);
  encoder.U8(kFrameVersion);
  encoder.U8(static_cast<std::uint8_t>(frame.kind));
  encoder.U8(static_cast<std::uint8_t>(frame.header.size()));
  encoder.U8(static_cast<std::uint8_t>(frame.header.size() >> 8));
  encoder.Fixed64(frame.call_id);
  encoder.Fixed64(frame.payload_size);
  encoder.Raw(frame.header);
}

std::size_t FrameHeadBytes(std::string_view bytes) {
  if (bytes.size() < kFrameFixedBytes) return 0;
  const std::size_t header_bytes =
      static_cast<unsigned char>(bytes[6]) | std::size_t{static_cast<unsigned char>(bytes[7])} << 8;
  if (header_bytes > kMaxHeaderBytes) return kFrameFixedBytes;
  const std::size_t head_bytes = kFrameFixedBytes + header_bytes;
  return bytes.size() < head_bytes ? 0 : head_bytes;
}

Result<Frame> DecodeFrame(std::string_view bytes) {
  if (bytes.size() < kFrameFixedBytes) return Bad("its length", bytes.size());
  Decoder decoder(bytes);
  if (const std::uint32_t magic = decoder.Fixed32(); magic != kMagic)
    return Bad("its magic", magic);
  if (const std::uint8_t version = decoder.U8(); version != kFrameVersion) {
    return Bad("its version (expected 1)", version);
  }
  Frame frame;
  const std::uint8_t kind = decoder.U8();
  if (kind < 1 || kind > static_cast<std::uint8_t>(FrameKind::kCancel))
    return Bad("its kind", kind);
  frame.kind = static_cast<FrameKind>(kind);
  std::size_t header_size = decoder.U8();
  header_size |= static_cast<std::size_t>(decoder.U8()) << 8;
  frame.call_id = decoder.Fixed64();
  frame.payload_size = decoder.Fixed64();
  if (header_size > kMaxHeaderBytes) return Bad("its header size", header_size);
  if (header_size > decoder.remaining()) return Bad("a header cut short at", decoder.remaining());
  if (frame.payload_size > kMaxPayloadBytes) return Bad("its payload size", frame.payload_size);
  if (Status shape = CheckShape(frame, header_size); !shape.ok()) return shape;
  frame.header = decoder.Raw(header_size);
  return frame;
}

}  // namespace cairn::dram
