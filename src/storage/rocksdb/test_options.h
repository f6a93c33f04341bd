// Options for tests: little memory, small blocks, few threads.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_TEST_OPTIONS_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_TEST_OPTIONS_H_

#include "src/storage/rocksdb/rocksdb_options.h"

namespace cairn::storage {

inline RocksDbOptions SmallOptions(FileSystem* files = nullptr) {
  RocksDbOptions options;
  options.write_buffer_size_mb = 4;
  options.block_cache_size_mb = 8;
  options.block_size_kb = 1;
  options.max_background_jobs = 2;
  options.log_level = "error";
  options.stats_dump_period_sec = 0;
  options.file_system = files;
  return options;
}

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_TEST_OPTIONS_H_
