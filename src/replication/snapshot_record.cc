#include "src/replication/snapshot_record.h"

#include <optional>
#include <utility>
#include <variant>

#include "src/base/codec.h"
#include "xxhash.h"

namespace cairn::replication {
namespace {

constexpr std::string_view kMagic = "cairnin1";

Status Damaged(std::string_view bytes) {
  return CorruptionError("a record of an incoming snapshot of " + std::to_string(bytes.size()) +
                         " bytes does not decode: " + Printable(bytes, 32));
}

// Where a transfer goes on behind a mark; `to` lies within the offer.
SnapshotPosition Behind(const SnapshotOffer& offer, const SnapshotPosition& to) {
  if (to.offset < offer.files[to.file].size) return to;
  return {to.file + 1, 0};
}

// May a mark say `to`, where the one before ended at `have`? No file is left out; an empty one has
// a mark, too.
bool Follows(const SnapshotOffer& offer, const SnapshotPosition& have, const SnapshotPosition& to) {
  if (to.file != have.file || to.file >= offer.files.size()) return false;
  const std::uint64_t size = offer.files[to.file].size;
  return to.offset <= size && (to.offset > have.offset || size == 0);
}

std::optional<SnapshotMark> DecodeMark(std::string_view bytes, std::uint64_t head_checksum) {
  constexpr std::size_t kContent = kSnapshotMarkBytes - 8;
  Decoder d(bytes);
  SnapshotMark mark;
  mark.to.file = d.Fixed64();
  mark.to.offset = d.Fixed64();
  mark.hash = d.Fixed64();
  const std::uint64_t checksum = d.Fixed64();
  if (!d.ok() || XXH3_64bits_withSeed(bytes.data(), kContent, head_checksum) != checksum) {
    return std::nullopt;
  }
  return mark;
}

}  // namespace

SnapshotPosition SnapshotRecord::have() const {
  return marks.empty() ? SnapshotPosition{} : Behind(offer, marks.back().to);
}

std::string EncodeSnapshotRecordHead(NodeId from, const SnapshotOffer& offer,
                                     std::uint64_t* checksum) {
  std::string out;
  Encoder e(&out);
  e.Raw(kMagic);
  e.Varint(from.value());
  e.Bytes(Encode(offer));
  *checksum = XXH3_64bits(out.data(), out.size());
  e.Fixed64(*checksum);
  return out;
}

std::string Encode(const SnapshotMark& mark, std::uint64_t head_checksum) {
  std::string out;
  Encoder e(&out);
  e.Fixed64(mark.to.file);
  e.Fixed64(mark.to.offset);
  e.Fixed64(mark.hash);
  e.Fixed64(XXH3_64bits_withSeed(out.data(), out.size(), head_checksum));
  return out;
}

Result<SnapshotRecord> DecodeSnapshotRecord(std::string_view bytes) {
  Decoder d(bytes);
  const std::string_view magic = d.Raw(kMagic.size());
  const std::uint64_t from = d.Varint();
  const std::string_view offer = d.Bytes();
  const std::size_t content = bytes.size() - d.remaining();
  SnapshotRecord record;
  record.head_checksum = d.Fixed64();
  if (!d.ok() || magic != kMagic || from > UINT32_MAX ||
      XXH3_64bits(bytes.data(), content) != record.head_checksum) {
    return Damaged(bytes);
  }
  CAIRN_ASSIGN_OR_RETURN(auto message, DecodeSnapshotMessage(offer));
  auto* const decoded = std::get_if<SnapshotOffer>(&message);
  if (decoded == nullptr) return Damaged(bytes);
  record.from = NodeId(static_cast<std::uint32_t>(from));
  record.offer = std::move(*decoded);
  record.bytes = bytes.size() - d.remaining();
  SnapshotPosition have;
  while (d.remaining() >= kSnapshotMarkBytes) {
    const auto mark = DecodeMark(d.Raw(kSnapshotMarkBytes), record.head_checksum);
    if (!mark || !Follows(record.offer, have, mark->to)) break;
    have = Behind(record.offer, mark->to);
    record.marks.push_back(*mark);
    record.bytes += kSnapshotMarkBytes;
  }
  return record;
}

std::uint64_t HashOfPieces(std::uint64_t before, std::string_view piece) {
  return XXH3_64bits_withSeed(piece.data(), piece.size(), before);
}

}  // namespace cairn::replication
