#include "src/replication/backup_source.h"

#include <utility>

namespace cairn::replication {
namespace {

backup::Header Complete(backup::Header header, const storage::StateMeta& meta) {
  header.slot = meta.applied_slot;
  header.epoch = meta.applied_epoch;
  header.version = meta.version;
  header.features = meta.features;
  header.next_family = meta.next_family;
  return header;
}

// Up to a block's worth of pairs from where the iterator stands.
template <class Iterator>
backup::Pairs Gather(Iterator& it, std::size_t block_bytes) {
  backup::Pairs pairs;
  for (std::size_t bytes = 0; it.Valid() && bytes < block_bytes; it.Next()) {
    bytes += it.key().size() + it.value().size();
    pairs.pairs.emplace_back(it.key(), it.value());
  }
  return pairs;
}

}  // namespace

BackupSource::BackupSource(StateCapture capture, const backup::Header& about,
                           std::size_t block_bytes)
    : capture_(std::move(capture)),
      header_(Complete(about, capture_.meta)),
      block_bytes_(block_bytes) {}

Result<std::string> BackupSource::Next() {
  if (!std::exchange(begun_, true)) return backup::FileBegin() + writer_.Add(header_);
  if (section_ < capture_.families.size()) return NextOfFamily();
  if (section_ == capture_.families.size()) return NextOfRecords();
  if (!std::exchange(finished_, true)) return writer_.Finish();
  return std::string();
}

Result<std::string> BackupSource::NextOfFamily() {
  StateCapture::FamilyPart& family = capture_.families[section_];
  if (!std::exchange(in_section_, true)) {
    family.pairs->SeekGreaterOrEqual("");
    return writer_.Begin({false, family.name, family.id, family.created});
  }
  const backup::Pairs pairs = Gather(*family.pairs, block_bytes_);
  if (!pairs.pairs.empty()) return writer_.Add(pairs);
  Result<std::string> end = EndSection(family.pairs->status());
  family.pairs.reset();
  return end;
}

Result<std::string> BackupSource::NextOfRecords() {
  if (!std::exchange(in_section_, true)) return writer_.Begin({true, "", FamilyId(), Version()});
  const backup::Pairs pairs = Gather(*capture_.records, block_bytes_);
  if (!pairs.pairs.empty()) return writer_.Add(pairs);
  return EndSection(capture_.records->status());
}

Result<std::string> BackupSource::EndSection(const Status& status) {
  CAIRN_RETURN_IF_ERROR(status);
  in_section_ = false;
  ++section_;
  return writer_.EndSection();
}

}  // namespace cairn::replication
