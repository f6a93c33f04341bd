// Reads. A point read takes no lock and allocates nothing of its own.
#include <utility>

#include "src/base/codec.h"
#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/engine_impl.h"
#include "src/storage/rocksdb/iterators.h"
#include "src/storage/rocksdb/layout.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage::rocks {
namespace {

Status NoSuchFamily(FamilyId family) {
  return NotFoundError("the engine has no column family " + ToString(family));
}

}  // namespace

Result<Lookup> RocksDbEngineImpl::Get(FamilyId family, std::string_view key, Version at,
                                      std::string* value) const {
  if (const std::uint64_t watermark = watermark_.load(std::memory_order_acquire);
      at.value() < watermark) {
    return TooOld(at, watermark);
  }
  const FamilyTable::Pin pin = families_.Find(family);
  if (!pin) return NoSuchFamily(family);
  const EncodedVersion version(at);
  const rocksdb::Slice timestamp = version.slice();
  rocksdb::ReadOptions options;
  options.timestamp = &timestamp;
  // From a write buffer the value is copied straight into *value; from a block it is pinned and
  // copied once, below.
  std::string unwanted;
  rocksdb::PinnableSlice found(value != nullptr ? value : &unwanted);
  std::string found_version;  // 8 bytes: no allocation
  const rocksdb::Status status = db_->Get(options, pin.get(), ToSlice(key), &found, &found_version);
  Lookup lookup;
  if (found_version.size() == sizeof(std::uint64_t)) {
    lookup.version = DecodeVersion(found_version.data());
  }
  if (status.ok()) {
    lookup.found = true;
    if (value != nullptr && found.IsPinned()) value->assign(found.data(), found.size());
    return lookup;
  }
  if (status.IsNotFound()) return lookup;
  if (const std::uint64_t watermark = watermark_.load(std::memory_order_acquire);
      at.value() < watermark) {
    return TooOld(at, watermark);  // RocksDB refused: the watermark moved between our two looks
  }
  return FromRocks(status);
}

Result<std::unique_ptr<ReadIterator>> RocksDbEngineImpl::NewIterator(FamilyId family,
                                                                     const KeyRange& range,
                                                                     Version at) const {
  if (const std::uint64_t watermark = watermark_.load(std::memory_order_acquire);
      at.value() < watermark) {
    return TooOld(at, watermark);
  }
  const FamilyTable::Pin pin = families_.Find(family);
  if (!pin) return NoSuchFamily(family);
  return NewReadIterator(db_, pin.Share(), range, at, &watermark_);
}

Result<std::unique_ptr<HistoryIterator>> RocksDbEngineImpl::NewHistoryIterator(
    FamilyId family, const KeyRange& range) const {
  const FamilyTable::Pin pin = families_.Find(family);
  if (!pin) return NoSuchFamily(family);
  return rocks::NewHistoryIterator(db_, pin.Share(), range);
}

Result<std::string> RocksDbEngineImpl::GetSystem(SystemSpace space, std::string_view key) const {
  std::string value;
  rocksdb::Status status = rocksdb::Status::NotFound();
  if (space != SystemSpace::kState || key >= kFirstStateKey) {
    status = db_->Get(rocksdb::ReadOptions(), SystemFamily(space), ToSlice(key), &value);
  }
  if (status.ok()) return value;
  if (status.IsNotFound()) return NotFoundError("no system key " + Printable(key));
  return FromRocks(status);
}

Result<std::unique_ptr<SystemIterator>> RocksDbEngineImpl::NewSystemIterator(
    SystemSpace space, const KeyRange& range) const {
  KeyRange visible = range;
  if (space == SystemSpace::kState && visible.begin < kFirstStateKey) {
    visible.begin = kFirstStateKey;
  }
  return rocks::NewSystemIterator(db_, SystemFamily(space), visible);
}

}  // namespace cairn::storage::rocks
