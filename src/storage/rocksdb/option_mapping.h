// From RocksDbOptions to RocksDB's own options, and what this engine fixes whatever is configured:
// no WAL, atomic flush, one flush thread, paranoid checks, errors that stop writes.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_OPTION_MAPPING_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_OPTION_MAPPING_H_

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include <memory>

#include "cairn/status.h"
#include "src/storage/rocksdb/rocksdb_options.h"

namespace cairn::storage::rocks {

struct MappedOptions {
  rocksdb::DBOptions db;
  rocksdb::ColumnFamilyOptions user;    // versions as timestamps
  rocksdb::ColumnFamilyOptions system;  // plain keys
  std::shared_ptr<rocksdb::Cache> block_cache;
};

// Environment and listeners are left to the caller.
Result<MappedOptions> MapOptions(const RocksDbOptions& options);

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_OPTION_MAPPING_H_
