// Iterators of the RocksDB engine. Each owns what RocksDB only borrows: bounds and timestamps.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_ITERATORS_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_ITERATORS_H_

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "src/storage/engine.h"
#include "src/storage/rocksdb/family_table.h"

namespace cairn::storage::rocks {

// `watermark` is read at every move; it must outlive the iterator.
std::unique_ptr<ReadIterator> NewReadIterator(rocksdb::DB* db, std::shared_ptr<FamilyHandle> family,
                                              const KeyRange& range, Version at,
                                              const std::atomic<std::uint64_t>* watermark);
std::unique_ptr<HistoryIterator> NewHistoryIterator(rocksdb::DB* db,
                                                    std::shared_ptr<FamilyHandle> family,
                                                    const KeyRange& range);
std::unique_ptr<SystemIterator> NewSystemIterator(rocksdb::DB* db,
                                                  rocksdb::ColumnFamilyHandle* family,
                                                  const KeyRange& range);

// The error of a read at `at` when the watermark has passed it.
Status TooOld(Version at, std::uint64_t watermark);

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_ITERATORS_H_
