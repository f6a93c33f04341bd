#include "src/replication/snapshot_messages.h"

#include <algorithm>
#include <utility>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {

constexpr std::uint8_t kOffer = 1;
constexpr std::uint8_t kChunk = 2;

Status Damaged(const char* what, std::string_view bytes) {
  return CorruptionError(std::string(what) + " of " + std::to_string(bytes.size()) +
                         " bytes does not decode: " + Printable(bytes, 32));
}

bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxSnapshotNameBytes && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool NamesAreGood(const std::vector<SnapshotOffer::File>& files) {
  std::vector<std::string_view> names;
  names.reserve(files.size());
  for (const SnapshotOffer::File& file : files) {
    if (!IsFileName(file.name)) return false;
    names.push_back(file.name);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) == names.end();
}

SnapshotPosition DecodePosition(Decoder* d) {
  SnapshotPosition position;
  position.file = d->Varint();
  position.offset = d->Varint();
  return position;
}

SnapshotOffer DecodeOffer(Decoder* d) {
  SnapshotOffer offer;
  offer.id = d->Fixed64();
  offer.to = IncarnationId(d->Fixed64());
  offer.epoch = Epoch(d->Varint());
  offer.meta = std::string(d->Bytes());
  const std::uint64_t count = d->Varint();
  if (count > kMaxSnapshotFiles) d->Fail();
  for (std::uint64_t i = 0; i < count && d->ok(); ++i) {
    std::string name(d->Bytes());
    const std::uint64_t size = d->Varint();
    offer.files.push_back({std::move(name), size});
  }
  return offer;
}

}  // namespace

std::uint64_t BytesOf(const SnapshotOffer& offer) {
  return BytesBefore(offer, {offer.files.size(), 0});
}

std::uint64_t BytesBefore(const SnapshotOffer& offer, const SnapshotPosition& position) {
  std::uint64_t bytes = position.offset;
  for (std::uint64_t f = 0; f < position.file; ++f) {
    if (offer.files[f].size > UINT64_MAX - bytes) return UINT64_MAX;
    bytes += offer.files[f].size;
  }
  return bytes;
}

std::string Encode(const SnapshotOffer& offer) {
  std::string out;
  Encoder e(&out);
  e.U8(kOffer);
  e.Fixed64(offer.id);
  e.Fixed64(offer.to.value());
  e.Varint(offer.epoch.value());
  e.Bytes(offer.meta);
  e.Varint(offer.files.size());
  for (const SnapshotOffer::File& file : offer.files) {
    e.Bytes(file.name);
    e.Varint(file.size);
  }
  return out;
}

std::string Encode(const SnapshotChunk& chunk) {
  std::string out;
  out.reserve(32 + chunk.data.size());
  Encoder e(&out);
  e.U8(kChunk);
  e.Fixed64(chunk.id);
  e.Varint(chunk.at.file);
  e.Varint(chunk.at.offset);
  e.Bytes(chunk.data);
  return out;
}

std::string Encode(const SnapshotAck& ack) {
  std::string out;
  Encoder e(&out);
  e.Fixed64(ack.id);
  e.U8(static_cast<std::uint8_t>(ack.verdict));
  e.Varint(ack.have.file);
  e.Varint(ack.have.offset);
  e.Bytes(ack.reason);
  return out;
}

Result<std::variant<SnapshotOffer, SnapshotChunk>> DecodeSnapshotMessage(std::string_view bytes) {
  using Message = std::variant<SnapshotOffer, SnapshotChunk>;
  Decoder d(bytes);
  const std::uint8_t type = d.U8();
  if (type == kOffer) {
    SnapshotOffer offer = DecodeOffer(&d);
    if (d.AtEnd() && NamesAreGood(offer.files)) return Message(std::move(offer));
  } else if (type == kChunk) {
    SnapshotChunk chunk;
    chunk.id = d.Fixed64();
    chunk.at = DecodePosition(&d);
    chunk.data = std::string(d.Bytes());
    if (d.AtEnd()) return Message(std::move(chunk));
  }
  return Damaged("a piece of a snapshot", bytes);
}

Result<SnapshotAck> DecodeSnapshotAck(std::string_view bytes) {
  Decoder d(bytes);
  SnapshotAck ack;
  ack.id = d.Fixed64();
  const std::uint8_t verdict = d.U8();
  ack.have = DecodePosition(&d);
  ack.reason = std::string(d.Bytes());
  if (!d.AtEnd() || verdict < 1 || verdict > 3) return Damaged("a snapshot's answer", bytes);
  ack.verdict = static_cast<SnapshotAck::Verdict>(verdict);
  return ack;
}

}  // namespace cairn::replication
