// Options of the RocksDB engine, as plain data: the keys of the TOML sections [rocksdb],
// [bloom_filter], [compression], [compaction], [cache], [memory], [logging] and [performance], with
// their defaults.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_OPTIONS_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_OPTIONS_H_

#include <cstdint>
#include <string>

#include "cairn/status.h"
#include "src/base/file.h"

namespace cairn::storage {

struct RocksDbOptions {
  // [rocksdb]
  std::uint64_t write_buffer_size_mb = 64;  // a family's write buffer; full: all are flushed
  int max_write_buffer_number = 3;          // write buffers a family, full ones included
  std::uint64_t block_cache_size_mb = 512;
  std::uint64_t block_size_kb = 16;
  int max_background_jobs = 6;  // one flushes, the others compact
  std::uint64_t bytes_per_sync = 1048576;
  bool dynamic_level_bytes = true;
  // Table files held open. Not a key of the earlier service: their number has to fit the process's
  // limit of open files.
  int max_open_files = 512;

  // [bloom_filter]
  bool bloom_filter_enabled = true;
  double bloom_bits_per_key = 10;

  // [compression]: none, snappy, zlib, bzip2, lz4, lz4hc or zstd, as far as this RocksDB has them.
  std::string l0_compression = "lz4";
  std::string l1_compression = "lz4";  // levels between the first and the last, too
  std::string bottom_compression = "zstd";

  // [compaction]: by_compensated_size, oldest_largest_seq_first, oldest_smallest_seq_first,
  // min_overlapping_ratio or round_robin.
  std::string compaction_priority = "min_overlapping_ratio";
  std::uint64_t target_file_size_base_mb = 64;
  int target_file_size_multiplier = 2;
  std::uint64_t max_bytes_for_level_base_mb = 256;
  double max_bytes_for_level_multiplier = 10;

  // [cache]
  bool cache_index_and_filter_blocks = true;
  bool pin_l0_filter_and_index_blocks_in_cache = true;
  double high_priority_pool_ratio = 0.2;

  // [memory]
  bool enable_write_buffer_manager = true;
  std::uint64_t write_buffer_manager_limit_mb = 256;  // write buffers of all families together

  // [logging]: of RocksDB's own LOG. trace, debug, info, warn, error or off.
  std::string log_level = "info";
  std::uint64_t max_log_file_size_mb = 10;
  std::uint64_t keep_log_file_num = 5;
  std::string log_directory;  // empty: beside the data

  // [performance]: disable_all, except_tickers, except_histogram_or_timers, except_timers,
  // except_detailed_timers, except_time_for_mutex or all.
  bool enable_statistics = true;
  std::string statistics_level = "except_detailed_timers";
  std::uint32_t stats_dump_period_sec = 600;

  // Null: the machine's files, through RocksDB's own code. Else all files go through this seam, and
  // RocksDB writes no LOG. Must outlive the engine.
  FileSystem* file_system = nullptr;
};

// kInvalidArgument, naming the key, its value and what would be valid. Touches no file.
Status CheckRocksDbOptions(const RocksDbOptions& options);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_OPTIONS_H_
