// The RocksDB engine behind rocksdb_engine.h.
//
// What is durable. Every batch puts the meta record, with a number that counts batches (the write
// number), into cairn.state. Atomic flush makes all families durable as of one point between two
// batches, so the record in the tables on disk tells exactly what they hold. Whatever depends on
// "flushed" here compares write numbers: a Flush is done when the record on disk has the number of
// the moment it was called (RocksDB's own word is not enough, see Flush), and a dropped family goes
// when the record has the number of the drop.
//
// Locks are taken in this order: resume_mutex_, flush_mutex_, maintenance_mutex_, then any other
// one.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_ENGINE_IMPL_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_ENGINE_IMPL_H_

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/mutex.h"
#include "src/storage/rocksdb/family_table.h"
#include "src/storage/rocksdb/option_mapping.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::storage::rocks {

class RocksDbEngineImpl final : public RocksDbEngine {
 public:
  // Called once by RocksDbEngine::Open.
  static Result<std::unique_ptr<RocksDbEngine>> Open(const RocksDbOptions& options,
                                                     const std::string& directory);
  ~RocksDbEngineImpl() override;

  [[nodiscard]] StateMeta Meta() const override;
  [[nodiscard]] Result<StateMeta> FlushedMeta() const override;
  Status Write(const WriteBatch& batch, const StateMeta& meta) override;
  Status Flush() override;
  void SetFlushListener(std::function<void()> listener) override;
  [[nodiscard]] Status Health() const override;
  Status Resume() override;
  Status CreateFamily(FamilyId family) override;
  Status DropFamily(FamilyId family) override;
  Status ReconcileFamilies(const std::vector<FamilyId>& families) override;
  Result<Lookup> Get(FamilyId family, std::string_view key, Version at,
                     std::string* value) const override;
  Result<std::unique_ptr<ReadIterator>> NewIterator(FamilyId family, const KeyRange& range,
                                                    Version at) const override;
  Result<std::unique_ptr<HistoryIterator>> NewHistoryIterator(FamilyId family,
                                                              const KeyRange& range) const override;
  Result<std::string> GetSystem(SystemSpace space, std::string_view key) const override;
  Result<std::unique_ptr<SystemIterator>> NewSystemIterator(SystemSpace space,
                                                            const KeyRange& range) const override;
  Status SetWatermark(Version watermark) override;
  Result<StateMeta> Checkpoint(const std::string& directory) override;
  [[nodiscard]] EngineFigures Figures() const override;
  Status CompactAll() override;
  Status VerifyChecksums() override;

  // For the event listener, from RocksDB's threads.
  void OnFlushed();
  void OnBackgroundError(const Status& status);
  void OnRecovered();

 private:
  // The meta record as stored.
  struct MetaRecord {
    std::uint64_t write_number = 0;
    StateMeta meta;
  };
  struct DroppedFamily {
    FamilyId id;
    std::uint64_t write_number;  // gone from the state since this batch
    std::shared_ptr<FamilyHandle> handle;
  };

  RocksDbEngineImpl(const RocksDbOptions& options, MappedOptions mapped, std::string directory);

  // ---- Opening (open.cc)
  Status OpenDatabase();
  Status CheckFolder() const;
  Result<std::vector<rocksdb::ColumnFamilyDescriptor>> ListFamilies() const;
  Status AdoptFamily(rocksdb::ColumnFamilyHandle* handle);
  Status Recover();
  [[nodiscard]] Status Explain(const rocksdb::Status& status) const;
  [[nodiscard]] std::string DamagedTables() const;
  [[nodiscard]] FileSystem& files() const;

  // ---- Writing (engine_write.cc)
  Status BuildBatch(const WriteBatch& batch);
  rocksdb::Status Append(const WriteBatch::Change& change, rocksdb::ColumnFamilyHandle* family);
  [[nodiscard]] Result<MetaRecord> ReadMetaRecord(rocksdb::ReadTier tier) const;
  [[nodiscard]] std::vector<std::shared_ptr<FamilyHandle>> AllFamilies() const;
  rocksdb::Status FlushFamilies(bool wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  [[nodiscard]] bool FlushIsStuck() const;
  Status Settle();
  Status QueueFlushes();
  [[nodiscard]] rocksdb::ColumnFamilyHandle* SystemFamily(SystemSpace space) const {
    return space == SystemSpace::kState ? state_->get() : index_->get();
  }

  // ---- Upkeep (engine_upkeep.cc)
  // What waited for a flush: removes dropped families, raises RocksDB's history limit. Cheap if
  // there is nothing to do.
  Status Maintain();
  Status RemoveDropped(std::uint64_t flushed_number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_mutex_);
  Status RaiseHistoryLimit(Version limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_mutex_);
  // kResourceExhausted unless `bytes` and some room for RocksDB's own records are free.
  [[nodiscard]] Status RequireRoom(std::uint64_t bytes) const;
  // A record in RocksDB's manifest could not be written: see the definition.
  Status FailForGood(const rocksdb::Status& status, std::string_view what);
  [[nodiscard]] std::uint64_t UnflushedBytes() const;

  const RocksDbOptions config_;
  MappedOptions mapped_;
  const std::string directory_;
  std::unique_ptr<rocksdb::Env> env_;  // null: the machine's
  rocksdb::DB* db_ = nullptr;
  FamilyTable families_;
  std::shared_ptr<FamilyHandle> state_;
  std::shared_ptr<FamilyHandle> index_;
  std::function<void()> flush_listener_;

  std::atomic<std::uint64_t> watermark_{0};  // reads below are refused

  // Of the writer thread. A batch is told the timestamp size of the default family.
  rocksdb::WriteBatch scratch_;
  std::string scratch_meta_;

  mutable Mutex meta_mutex_;
  StateMeta meta_ ABSL_GUARDED_BY(meta_mutex_);
  std::atomic<std::uint64_t> write_number_{0};  // of the last batch

  // Held by a flush from its choice of families to its end, and by whoever adds one.
  Mutex flush_mutex_;

  mutable Mutex health_mutex_;
  CondVar progress_;  // a flush finished, or health changed
  Status health_ ABSL_GUARDED_BY(health_mutex_);
  bool recovered_ ABSL_GUARDED_BY(health_mutex_) = false;  // RocksDB says so, since the last error
  std::uint64_t flushed_number_ ABSL_GUARDED_BY(health_mutex_) = 0;
  Version flushed_watermark_ ABSL_GUARDED_BY(health_mutex_);
  std::atomic<bool> unhealthy_{false};

  Mutex resume_mutex_;  // one Resume at a time

  std::atomic<bool> maintenance_due_{false};
  Mutex maintenance_mutex_;
  std::vector<DroppedFamily> dropped_ ABSL_GUARDED_BY(maintenance_mutex_);
  Version history_limit_ ABSL_GUARDED_BY(maintenance_mutex_);
};

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_ENGINE_IMPL_H_
