#include "src/replication/state_capture.h"

#include <utility>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {

// Pairs between two looks whether to go on.
constexpr std::uint64_t kPairsBetweenLooks = 1024;

digest::Section MetaSection(const storage::StateMeta& meta) {
  digest::SectionBuilder builder{std::string(kMetaSection)};
  const auto number = [&](std::string_view key, std::uint64_t value) {
    std::string bytes;
    Encoder(&bytes).Fixed64(value);
    builder.Add(key, bytes);
  };
  // In the order of keys, as everywhere.
  number("features", meta.features);
  builder.Add("membership", meta.membership);
  number("next_family", meta.next_family.value());
  number("version", meta.version.value());
  number("watermark", meta.watermark.value());
  return builder.Finish();
}

}  // namespace

std::string FamilySection(std::string_view name) { return "family " + std::string(name); }

Result<digest::StateDigest> DigestOf(StateCapture capture, const std::function<Status()>& proceed) {
  digest::StateDigest state;
  state.slot = capture.meta.applied_slot.value();
  state.version = capture.meta.version.value();
  std::uint64_t seen = 0;
  const auto look = [&]() -> Status {
    return ++seen % kPairsBetweenLooks == 0 ? proceed() : Status::Ok();
  };
  for (StateCapture::FamilyPart& family : capture.families) {
    digest::SectionBuilder builder(FamilySection(family.name));
    storage::ReadIterator& it = *family.pairs;
    for (it.SeekGreaterOrEqual(""); it.Valid(); it.Next()) {
      builder.Add(it.key(), it.value());
      CAIRN_RETURN_IF_ERROR(look());
    }
    CAIRN_RETURN_IF_ERROR(it.status());
    state.sections.push_back(builder.Finish());
    family.pairs.reset();
  }
  digest::SectionBuilder records{std::string(kRecordsSection)};
  for (storage::SystemIterator& it = *capture.records; it.Valid(); it.Next()) {
    records.Add(it.key(), it.value());
    CAIRN_RETURN_IF_ERROR(look());
  }
  CAIRN_RETURN_IF_ERROR(capture.records->status());
  state.sections.push_back(records.Finish());
  state.sections.push_back(MetaSection(capture.meta));
  return state;
}

}  // namespace cairn::replication
