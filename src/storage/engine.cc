#include "src/storage/engine.h"

#include "src/base/codec.h"

namespace cairn::storage {
namespace {
// Format of the meta record: docs/formats/state.md.
constexpr std::uint8_t kMetaFormat = 1;
}  // namespace

std::string StateMeta::Encode() const {
  std::string out;
  Encoder e(&out);
  e.U8(kMetaFormat);
  e.Varint(applied_slot.value());
  e.Varint(applied_epoch.value());
  e.Varint(applied_commands);
  e.Varint(version.value());
  e.Varint(watermark.value());
  e.Varint(features);
  e.Varint(next_family.value());
  e.Bytes(membership);
  return out;
}

Result<StateMeta> StateMeta::Decode(std::string_view bytes) {
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  if (d.ok() && format != kMetaFormat) {
    return CorruptionError("the state record has format " + std::to_string(format) +
                           ", this version of Cairn reads format 1");
  }
  StateMeta meta;
  meta.applied_slot = Slot(d.Varint());
  meta.applied_epoch = Epoch(d.Varint());
  const std::uint64_t applied_commands = d.Varint();
  meta.version = Version(d.Varint());
  meta.watermark = Version(d.Varint());
  meta.features = d.Varint();
  const std::uint64_t next_family = d.Varint();
  meta.membership = std::string(d.Bytes());
  if (!d.AtEnd() || next_family > FamilyId::Max().value() || applied_commands > UINT32_MAX) {
    return CorruptionError("the state record is damaged: " + Printable(bytes));
  }
  meta.applied_commands = static_cast<std::uint32_t>(applied_commands);
  meta.next_family = FamilyId(static_cast<std::uint32_t>(next_family));
  return meta;
}

Status CheckChange(const WriteBatch::Change& change) {
  using Kind = WriteBatch::Change::Kind;
  if (change.space != SystemSpace::kState) return Status::Ok();
  const bool names_system_key =
      change.kind == Kind::kSystemPut || change.kind == Kind::kSystemDelete;
  if (names_system_key && change.key.starts_with('\0')) {
    return InvalidArgumentError("system keys that start with a zero byte are the engine's own: " +
                                Printable(change.key));
  }
  return Status::Ok();
}

}  // namespace cairn::storage
