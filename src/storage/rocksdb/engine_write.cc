// Writes, flushes and what RocksDB reports about them.
#include <algorithm>
#include <utility>

#include "src/base/codec.h"
#include "src/base/log.h"
#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/engine_impl.h"
#include "src/storage/rocksdb/layout.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage::rocks {
namespace {

using Kind = WriteBatch::Change::Kind;

// A batch that was larger gives its memory back.
constexpr std::size_t kScratchBytes = std::size_t{1} << 20;

}  // namespace

StateMeta RocksDbEngineImpl::Meta() const {
  MutexLock lock(&meta_mutex_);
  return meta_;
}

Result<RocksDbEngineImpl::MetaRecord> RocksDbEngineImpl::ReadMetaRecord(
    rocksdb::ReadTier tier) const {
  rocksdb::ReadOptions options;
  options.read_tier = tier;
  std::string bytes;
  const rocksdb::Status status = db_->Get(options, state_->get(), ToSlice(kMetaKey), &bytes);
  if (status.IsNotFound()) return MetaRecord{};
  if (!status.ok()) return FromRocks(status);
  MetaRecord record;
  Decoder decoder(bytes);
  record.write_number = decoder.Fixed64();
  if (!decoder.ok()) return CorruptionError("the state record is damaged: " + Printable(bytes));
  CAIRN_ASSIGN_OR_RETURN(record.meta, StateMeta::Decode(decoder.Rest()));
  return record;
}

Result<StateMeta> RocksDbEngineImpl::FlushedMeta() const {
  CAIRN_ASSIGN_OR_RETURN(MetaRecord record, ReadMetaRecord(rocksdb::kPersistedTier));
  return std::move(record.meta);
}

// ---- Write

rocksdb::Status RocksDbEngineImpl::Append(const WriteBatch::Change& change,
                                          rocksdb::ColumnFamilyHandle* family) {
  const EncodedVersion version(change.version);
  switch (change.kind) {
    case Kind::kPut:
      return scratch_.Put(family, change.key, version.slice(), change.value);
    case Kind::kDelete:
      return scratch_.Delete(family, change.key, version.slice());
    case Kind::kSystemPut:
      return scratch_.Put(family, change.key, change.value);
    case Kind::kSystemDelete:
      return scratch_.Delete(family, change.key);
    case Kind::kSystemDeleteRange: {
      std::string_view begin = change.key;
      if (change.space == SystemSpace::kState) begin = std::max(begin, kFirstStateKey);
      if (std::string_view(change.value) <= begin) return rocksdb::Status::OK();
      return scratch_.DeleteRange(family, ToSlice(begin), change.value);
    }
  }
  return rocksdb::Status::InvalidArgument("unknown kind of change");
}

Status RocksDbEngineImpl::BuildBatch(const WriteBatch& batch) {
  scratch_.Clear();
  for (const WriteBatch::Change& change : batch.changes()) {
    CAIRN_RETURN_IF_ERROR(CheckChange(change));
    rocksdb::Status status;
    if (change.kind == Kind::kPut || change.kind == Kind::kDelete) {
      const FamilyTable::Pin family = families_.Find(change.family);
      if (!family) {
        return NotFoundError("the engine has no column family " + ToString(change.family));
      }
      status = Append(change, family.get());
    } else {
      status = Append(change, SystemFamily(change.space));
    }
    if (!status.ok()) return FromRocks(status);
  }
  return Status::Ok();
}

Status RocksDbEngineImpl::Write(const WriteBatch& batch, const StateMeta& meta) {
  if (unhealthy_.load(std::memory_order_acquire)) return Health();
  CAIRN_RETURN_IF_ERROR(Maintain());
  CAIRN_RETURN_IF_ERROR(BuildBatch(batch));
  const std::uint64_t number = write_number_.load(std::memory_order_relaxed) + 1;
  scratch_meta_.clear();
  Encoder encoder(&scratch_meta_);
  encoder.Fixed64(number);
  encoder.Raw(meta.Encode());
  rocksdb::Status status = scratch_.Put(state_->get(), ToSlice(kMetaKey), scratch_meta_);
  if (status.ok()) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    status = db_->Write(options, &scratch_);
  }
  if (scratch_.GetDataSize() > kScratchBytes) {
    scratch_ = rocksdb::WriteBatch(0, 0, 0, VersionComparator()->timestamp_size());
  }
  if (!status.ok()) {
    // A background error that struck meanwhile; the listener may still be on its way to say so.
    const Status health = Health();
    return health.ok() ? FromRocks(status) : health;
  }
  write_number_.store(number, std::memory_order_release);
  MutexLock lock(&meta_mutex_);
  meta_ = meta;
  return Status::Ok();
}

// ---- Flush

std::vector<std::shared_ptr<FamilyHandle>> RocksDbEngineImpl::AllFamilies() const {
  std::vector<std::shared_ptr<FamilyHandle>> all = {state_, index_};
  for (auto& [id, family] : families_.List()) all.push_back(std::move(family));
  return all;
}

// RocksDB flushes atomically only the families it is told: a family made after the list, with data
// before the end of the flush, would be left out. Hence flush_mutex_.
rocksdb::Status RocksDbEngineImpl::FlushFamilies(bool wait) {
  const auto all = AllFamilies();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (const auto& family : all) handles.push_back(family->get());
  rocksdb::FlushOptions options;
  options.wait = wait;
  // Without this, RocksDB 7.8 lets writes in between choosing the families that have data and
  // freezing them (facebook/rocksdb#11148).
  options.allow_write_stall = true;
  return db_->Flush(options, handles);
}

Status RocksDbEngineImpl::Flush() {
  {
    MutexLock lock(&flush_mutex_);
    const std::uint64_t target = write_number_.load(std::memory_order_acquire);
    CAIRN_RETURN_IF_ERROR(Health());
    const rocksdb::Status status = FlushFamilies(/*wait=*/true);
    if (!status.ok()) {
      CAIRN_RETURN_IF_ERROR(Health());
      return FromRocks(status);
    }
    // Once it has recovered from an error, RocksDB 7.8 says OK here before the flush has run (it
    // believes for ever that it is stopped). The record on disk tells the truth.
    MutexLock health_lock(&health_mutex_);
    while (health_.ok() && flushed_number_ < target) progress_.Wait(&health_mutex_);
    CAIRN_RETURN_IF_ERROR(health_);
  }
  return Maintain();
}

void RocksDbEngineImpl::SetFlushListener(std::function<void()> listener) {
  flush_listener_ = std::move(listener);
}

void RocksDbEngineImpl::OnFlushed() {
  const Result<MetaRecord> record = ReadMetaRecord(rocksdb::kPersistedTier);
  if (!record.ok()) {
    // Nothing can be said of what was flushed, and nobody must wait for it.
    OnBackgroundError(record.status());
    return;
  }
  {
    MutexLock lock(&health_mutex_);
    flushed_number_ = std::max(flushed_number_, record->write_number);
    flushed_watermark_ = std::max(flushed_watermark_, record->meta.watermark);
    // Before anybody hears of the flush: Flush maintains when it returns.
    maintenance_due_.store(true, std::memory_order_release);
    progress_.SignalAll();
  }
  if (flush_listener_) flush_listener_();
}

// ---- Health

Status RocksDbEngineImpl::Health() const {
  MutexLock lock(&health_mutex_);
  return health_;
}

void RocksDbEngineImpl::OnBackgroundError(const Status& status) {
  CAIRN_LOG(kError, "rocksdb: writes stop: {}", status.ToString());
  MutexLock lock(&health_mutex_);
  // A full disk passes; what is worse stays.
  if (health_.ok() || health_.code() == StatusCode::kResourceExhausted) health_ = status;
  recovered_ = false;
  unhealthy_.store(true, std::memory_order_release);
  progress_.SignalAll();
}

void RocksDbEngineImpl::OnRecovered() {
  MutexLock lock(&health_mutex_);
  recovered_ = true;
}

// Whether a flush was neither installed nor taken back: RocksDB 7.8 leaves it so if the manifest
// failed under it, and Resume would wait for it for ever (facebook/rocksdb#11872).
bool RocksDbEngineImpl::FlushIsStuck() const {
  const auto all = AllFamilies();
  return std::any_of(all.begin(), all.end(), [this](const auto& family) {
    using Properties = rocksdb::DB::Properties;
    std::uint64_t frozen = 0;
    std::uint64_t pending = 0;
    db_->GetIntProperty(family->get(), Properties::kNumImmutableMemTable, &frozen);
    db_->GetIntProperty(family->get(), Properties::kMemTableFlushPending, &pending);
    return frozen > 0 && pending == 0;
  });
}

// Waits until nothing runs in the background and no flush is due.
Status RocksDbEngineImpl::Settle() {
  CAIRN_RETURN_IF_ERROR(FromRocks(db_->PauseBackgroundWork()));
  return FromRocks(db_->ContinueBackgroundWork());
}

Status RocksDbEngineImpl::Resume() {
  MutexLock lock(&resume_mutex_);
  const Status health = Health();
  if (health.code() != StatusCode::kResourceExhausted) return health;
  // A try that fails halfway can leave a stuck flush behind, so there must be room for all of it.
  CAIRN_RETURN_IF_ERROR(RequireRoom(UnflushedBytes()));
  // The listener hears of an error before RocksDB acts on it.
  CAIRN_RETURN_IF_ERROR(Settle());
  if (FlushIsStuck()) {
    return FailForGood(rocksdb::Status::NoSpace(), "recovering from a full disk");
  }
  CAIRN_RETURN_IF_ERROR(QueueFlushes());
  const rocksdb::Status status = db_->Resume();
  // The queue of flushes must be empty before there is new data: a flush that was asked for before
  // takes its turn without touching that data.
  CAIRN_RETURN_IF_ERROR(Settle());
  MutexLock health_lock(&health_mutex_);
  if (!status.ok() || !recovered_) {
    return health_.ok() ? FromRocks(status) : health_;
  }
  CAIRN_LOG(kInfo, "rocksdb: writes resume");
  health_ = Status::Ok();
  unhealthy_.store(false, std::memory_order_release);
  progress_.SignalAll();
  return Status::Ok();
}

// If an error struck between the scheduling of a flush and its start, RocksDB 7.8 has kept the
// request but forgotten that a thread is due for it: each flush is then one behind, and that of
// Resume waits for ever. One failed Resume can lose another. Two requests more bring threads
// enough.
Status RocksDbEngineImpl::QueueFlushes() {
  MutexLock lock(&flush_mutex_);
  for (int i = 0; i < 2; ++i) {
    const rocksdb::Status status = FlushFamilies(/*wait=*/false);
    // TryAgain: too many full write buffers to ask without waiting. Resume flushes them.
    if (!status.ok() && !status.IsTryAgain()) return FromRocks(status);
  }
  return Status::Ok();
}

}  // namespace cairn::storage::rocks
