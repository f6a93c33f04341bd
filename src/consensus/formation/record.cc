#include "src/consensus/formation/record.h"

#include <xxhash.h>

#include <utility>

#include "src/base/codec.h"

namespace cairn::consensus::formation {
namespace {

constexpr std::string_view kMagic = "CAIRNFRM";
constexpr std::uint8_t kFormat = 1;

}  // namespace

std::string Encode(const Record& record) {
  std::string out(kMagic);
  Encoder e(&out);
  e.U8(kFormat);
  e.U8(static_cast<std::uint8_t>(record.stage));
  e.Varint(record.attempt);
  e.Fixed64(record.cluster.value());
  e.Bytes(record.first.Encode());
  e.Fixed64(XXH3_64bits(out.data(), out.size()));
  return out;
}

Result<Record> DecodeRecord(std::string_view bytes) {
  const auto damaged = [&] {
    return CorruptionError("a formation record does not decode: " + Printable(bytes));
  };
  Decoder d(bytes);
  if (d.Raw(kMagic.size()) != kMagic) return damaged();
  const std::uint8_t format = d.U8();
  if (d.ok() && format > kFormat) {
    return UnimplementedError("a formation record of format " + std::to_string(format) +
                              " is of a later version of Cairn; upgrade this node");
  }
  Record record;
  const std::uint8_t stage = d.U8();
  record.stage = static_cast<Record::Stage>(stage);
  record.attempt = d.Varint();
  record.cluster = ClusterId(d.Fixed64());
  Result<Membership> first = Membership::Decode(d.Bytes());
  const std::size_t covered = bytes.size() - d.remaining();
  const std::uint64_t checksum = d.Fixed64();
  if (!d.AtEnd() || format != kFormat || stage < 1 || stage > 2 || record.attempt == 0 ||
      record.cluster == ClusterId() || !first.ok() ||
      checksum != XXH3_64bits(bytes.data(), covered)) {
    return damaged();
  }
  record.first = *std::move(first);
  const bool voters_only = record.first.Voters().size() == record.first.members.size();
  if (record.first.members.empty() || !voters_only || record.first.IsJoint()) return damaged();
  return record;
}

}  // namespace cairn::consensus::formation
