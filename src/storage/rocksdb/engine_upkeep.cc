// Families, watermark, checkpoints, figures.
#include <rocksdb/cache.h>
#include <rocksdb/statistics.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/log.h"
#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/engine_impl.h"
#include "src/storage/rocksdb/layout.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage::rocks {
namespace {

// Room for a new manifest and the like, beside the data itself.
constexpr std::uint64_t kRecordRoom = std::uint64_t{4} << 20;

}  // namespace

// ---- Room

Status RocksDbEngineImpl::RequireRoom(std::uint64_t bytes) const {
  const Result<std::uint64_t> free = files().FreeBytes(directory_);
  if (!free.ok()) return free.status();
  const std::uint64_t wanted = bytes + bytes / 4 + kRecordRoom;
  if (*free >= wanted) return Status::Ok();
  return ResourceExhaustedError("the disk of " + directory_ + " has " + std::to_string(*free) +
                                " bytes free, " + std::to_string(wanted) + " are needed");
}

// RocksDB 7.8 does not count a record that could not be written to the manifest as a background
// error, yet a flush that ends afterwards is neither installed nor taken back, and Resume would
// wait for it for ever. So this engine takes no more writes; opening it again is safe.
Status RocksDbEngineImpl::FailForGood(const rocksdb::Status& status, std::string_view what) {
  const Status failure = IoError(std::string(what) + " in " + directory_ +
                                 " failed, the engine must be opened again: " + status.ToString());
  OnBackgroundError(failure);
  return failure;
}

// ---- Families

Status RocksDbEngineImpl::CreateFamily(FamilyId family) {
  if (families_.Find(family)) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(Health());
  CAIRN_RETURN_IF_ERROR(Maintain());
  {
    MutexLock lock(&maintenance_mutex_);
    for (const DroppedFamily& dropped : dropped_) {
      if (dropped.id != family) continue;
      if (dropped.write_number == 0) {
        // ReconcileFamilies found it, from before a crash, and had no room to remove it.
        return ResourceExhaustedError(
            "column family " + ToString(family) +
            " can't be made before the disk has room to remove the old one");
      }
      return FailedPreconditionError("column family " + ToString(family) +
                                     " was dropped, its id can't be used again");
    }
  }
  MutexLock lock(&flush_mutex_);
  CAIRN_RETURN_IF_ERROR(Health());
  CAIRN_RETURN_IF_ERROR(RequireRoom(0));
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const rocksdb::Status status =
      db_->CreateColumnFamily(mapped_.user, UserFamilyName(family), &handle);
  if (!status.ok()) return FailForGood(status, "making column family " + ToString(family));
  families_.Add(family, std::make_shared<FamilyHandle>(db_, handle));
  return Status::Ok();
}

Status RocksDbEngineImpl::DropFamily(FamilyId family) {
  if (family == FamilyId(0)) return InvalidArgumentError("the default family can't be dropped");
  std::shared_ptr<FamilyHandle> handle = families_.Hide(family);
  if (handle == nullptr) return Status::Ok();
  {
    MutexLock lock(&maintenance_mutex_);
    dropped_.push_back({family, write_number_.load(std::memory_order_relaxed), std::move(handle)});
  }
  // The state may have been flushed since the Write.
  maintenance_due_.store(true, std::memory_order_release);
  return Maintain();
}

Status RocksDbEngineImpl::ReconcileFamilies(const std::vector<FamilyId>& families) {
  for (const auto& [id, handle] : families_.List()) {
    if (id == FamilyId(0) || std::find(families.begin(), families.end(), id) != families.end()) {
      continue;
    }
    std::shared_ptr<FamilyHandle> hidden = families_.Hide(id);
    MutexLock lock(&maintenance_mutex_);
    dropped_.push_back({id, 0, std::move(hidden)});
    maintenance_due_.store(true, std::memory_order_release);
  }
  CAIRN_RETURN_IF_ERROR(Maintain());
  for (const FamilyId family : families) CAIRN_RETURN_IF_ERROR(CreateFamily(family));
  return Status::Ok();
}

// ---- What waits for flushes

Status RocksDbEngineImpl::Maintain() {
  if (!maintenance_due_.load(std::memory_order_acquire)) return Status::Ok();
  std::uint64_t flushed_number = 0;
  Version limit;
  {
    MutexLock lock(&health_mutex_);
    if (!health_.ok()) return Status::Ok();  // later, when writes resume
    flushed_number = flushed_number_;
    limit = flushed_watermark_;
  }
  limit = std::min(limit, Version(watermark_.load(std::memory_order_acquire)));
  MutexLock lock(&maintenance_mutex_);
  maintenance_due_.store(false, std::memory_order_release);
  if (!RequireRoom(0).ok()) {
    maintenance_due_.store(true, std::memory_order_release);
    return Status::Ok();
  }
  CAIRN_RETURN_IF_ERROR(RemoveDropped(flushed_number));
  CAIRN_RETURN_IF_ERROR(RaiseHistoryLimit(limit));
  if (families_.Reap()) maintenance_due_.store(true, std::memory_order_release);
  return Status::Ok();
}

Status RocksDbEngineImpl::RemoveDropped(std::uint64_t flushed_number) {
  for (auto it = dropped_.begin(); it != dropped_.end();) {
    if (it->write_number > flushed_number) {
      ++it;
      continue;
    }
    const rocksdb::Status status = db_->DropColumnFamily(it->handle->get());
    if (!status.ok()) return FailForGood(status, "dropping column family " + ToString(it->id));
    // The files go when the last reader has gone.
    families_.Release(it->id, std::move(it->handle));
    it = dropped_.erase(it);
  }
  return Status::Ok();
}

Status RocksDbEngineImpl::RaiseHistoryLimit(Version limit) {
  if (limit <= history_limit_) return Status::Ok();
  const std::string encoded = EncodedVersion(limit).slice().ToString();
  for (const auto& [id, family] : families_.List()) {
    const rocksdb::Status status = db_->IncreaseFullHistoryTsLow(family->get(), encoded);
    if (!status.ok()) return FailForGood(status, "raising the history limit");
  }
  history_limit_ = limit;
  return Status::Ok();
}

Status RocksDbEngineImpl::SetWatermark(Version watermark) {
  std::uint64_t seen = watermark_.load(std::memory_order_relaxed);
  while (seen < watermark.value() &&
         !watermark_.compare_exchange_weak(seen, watermark.value(), std::memory_order_acq_rel)) {
  }
  maintenance_due_.store(true, std::memory_order_release);
  return Maintain();
}

// ---- Copies

Result<StateMeta> RocksDbEngineImpl::Checkpoint(const std::string& directory) {
  if (files().Exists(directory)) return AlreadyExistsError(directory + " exists");
  CAIRN_RETURN_IF_ERROR(Flush());
  CAIRN_RETURN_IF_ERROR(files().CreateDirectories(DirectoryOf(directory)));
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(db_, &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // Our own flush was enough: the one of RocksDB's checkpoint can tear a batch when it is not alone
  // (facebook/rocksdb#11148).
  constexpr auto kNoFlush = std::numeric_limits<std::uint64_t>::max();
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory, kNoFlush);
  if (!status.ok()) return FromRocks(status);
  CAIRN_RETURN_IF_ERROR(files().SyncDirectory(DirectoryOf(directory)));

  // What it holds: at least what was flushed above, at most what has been flushed by now.
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DBOptions options;
  options.env = mapped_.db.env;
  options.info_log = mapped_.db.info_log;
  options.max_open_files = 32;
  status = rocksdb::DB::OpenForReadOnly(
      options, directory,
      {{rocksdb::kDefaultColumnFamilyName, mapped_.user}, {kStateFamily, mapped_.system}}, &handles,
      &opened);
  const std::unique_ptr<rocksdb::DB> copy(opened);
  std::string bytes;
  if (status.ok()) {
    status = copy->Get(rocksdb::ReadOptions(), handles[1], ToSlice(kMetaKey), &bytes);
    for (rocksdb::ColumnFamilyHandle* handle : handles) copy->DestroyColumnFamilyHandle(handle);
  }
  if (status.IsNotFound()) return StateMeta{};  // nothing was ever written
  if (!status.ok()) return FromRocks(status);
  return StateMeta::Decode(std::string_view(bytes).substr(sizeof(std::uint64_t)));
}

// ---- Figures

std::uint64_t RocksDbEngineImpl::UnflushedBytes() const {
  std::uint64_t bytes = 0;
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes);
  return bytes;
}

EngineFigures RocksDbEngineImpl::Figures() const {
  using Properties = rocksdb::DB::Properties;
  EngineFigures figures;
  std::uint64_t value = 0;
  std::uint64_t keys = 0;
  std::uint64_t level0 = 0;
  const std::string level0_property = Properties::kNumFilesAtLevelPrefix + "0";
  for (const auto& [id, family] : families_.List()) {
    if (db_->GetIntProperty(family->get(), Properties::kEstimateNumKeys, &value)) keys += value;
    std::string files;
    if (db_->GetProperty(family->get(), level0_property, &files)) level0 += std::stoull(files);
  }
  figures.estimated_keys = keys;
  figures.level0_files = level0;
  if (db_->GetIntProperty(Properties::kNumRunningFlushes, &value)) figures.flushes_running = value;
  if (db_->GetIntProperty(Properties::kNumRunningCompactions, &value)) {
    figures.compactions_running = value;
  }
  if (db_->GetAggregatedIntProperty(Properties::kTotalSstFilesSize, &value)) {
    figures.bytes_on_disk = value;
  }
  std::uint64_t readers = 0;
  db_->GetAggregatedIntProperty(Properties::kEstimateTableReadersMem, &readers);
  const std::uint64_t cached = mapped_.block_cache != nullptr ? mapped_.block_cache->GetUsage() : 0;
  if (mapped_.block_cache != nullptr) figures.block_cache_bytes = cached;
  figures.unflushed_bytes = UnflushedBytes();
  figures.memory_bytes = *figures.unflushed_bytes + readers + cached;
  if (db_->GetAggregatedIntProperty(Properties::kEstimatePendingCompactionBytes, &value)) {
    figures.compaction_pending_bytes = value;
  }
  const auto& statistics = mapped_.db.statistics;
  if (statistics != nullptr && statistics->get_stats_level() > rocksdb::kExceptTickers) {
    figures.cache_hits = statistics->getTickerCount(rocksdb::BLOCK_CACHE_HIT);
    figures.cache_misses = statistics->getTickerCount(rocksdb::BLOCK_CACHE_MISS);
    figures.flush_written_bytes = statistics->getTickerCount(rocksdb::FLUSH_WRITE_BYTES);
    figures.compaction_read_bytes = statistics->getTickerCount(rocksdb::COMPACT_READ_BYTES);
    figures.compaction_written_bytes = statistics->getTickerCount(rocksdb::COMPACT_WRITE_BYTES);
    figures.write_stall_us = statistics->getTickerCount(rocksdb::STALL_MICROS);
  }
  return figures;
}

// ---- For tools

Status RocksDbEngineImpl::CompactAll() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.allow_write_stall = true;  // for the flush that comes first: see Flush
  for (const auto& family : AllFamilies()) {
    const rocksdb::Status status = db_->CompactRange(options, family->get(), nullptr, nullptr);
    if (!status.ok()) return FromRocks(status);
  }
  return Status::Ok();
}

Status RocksDbEngineImpl::VerifyChecksums() { return FromRocks(db_->VerifyChecksum()); }

}  // namespace cairn::storage::rocks
