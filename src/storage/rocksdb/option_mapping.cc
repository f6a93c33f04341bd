#include "src/storage/rocksdb/option_mapping.h"

#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "src/storage/rocksdb/comparator.h"

namespace cairn::storage::rocks {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
// Sizes are given in MiB or KiB; past this they would overflow or are surely a slip.
constexpr std::uint64_t kMaxMiB = std::uint64_t{1} << 24;  // 16 TiB

template <class T>
struct Name {
  std::string_view name;
  T value;
};

constexpr Name<rocksdb::CompressionType> kCompressions[] = {
    {"none", rocksdb::kNoCompression},
    {"snappy", rocksdb::kSnappyCompression},
    {"zlib", rocksdb::kZlibCompression},
    {"bzip2", rocksdb::kBZip2Compression},
    {"lz4", rocksdb::kLZ4Compression},
    {"lz4hc", rocksdb::kLZ4HCCompression},
    {"zstd", rocksdb::kZSTD},
};

constexpr Name<rocksdb::CompactionPri> kPriorities[] = {
    {"by_compensated_size", rocksdb::kByCompensatedSize},
    {"oldest_largest_seq_first", rocksdb::kOldestLargestSeqFirst},
    {"oldest_smallest_seq_first", rocksdb::kOldestSmallestSeqFirst},
    {"min_overlapping_ratio", rocksdb::kMinOverlappingRatio},
    {"round_robin", rocksdb::kRoundRobin},
};

constexpr Name<rocksdb::StatsLevel> kStatisticsLevels[] = {
    {"disable_all", rocksdb::kDisableAll},
    {"except_tickers", rocksdb::kExceptTickers},
    {"except_histogram_or_timers", rocksdb::kExceptHistogramOrTimers},
    {"except_timers", rocksdb::kExceptTimers},
    {"except_detailed_timers", rocksdb::kExceptDetailedTimers},
    {"except_time_for_mutex", rocksdb::kExceptTimeForMutex},
    {"all", rocksdb::kAll},
};

constexpr Name<rocksdb::InfoLogLevel> kLogLevels[] = {
    {"trace", rocksdb::DEBUG_LEVEL}, {"debug", rocksdb::DEBUG_LEVEL},
    {"info", rocksdb::INFO_LEVEL},   {"warn", rocksdb::WARN_LEVEL},
    {"error", rocksdb::ERROR_LEVEL}, {"off", rocksdb::HEADER_LEVEL},
};

template <class T>
Result<T> Find(std::span<const Name<T>> names, std::string_view key, const std::string& wanted) {
  std::string valid;
  for (const Name<T>& name : names) {
    if (name.name == wanted) return name.value;
    valid += valid.empty() ? "" : ", ";
    valid += name.name;
  }
  return InvalidArgumentError(std::string(key) + " is \"" + wanted + "\", expected one of " +
                              valid);
}

Result<rocksdb::CompressionType> FindCompression(std::string_view key, const std::string& wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  const auto known = Find<rocksdb::CompressionType>(kCompressions, key, wanted);
  if (known.ok() && (*known == rocksdb::kNoCompression ||
                     std::find(supported.begin(), supported.end(), *known) != supported.end())) {
    return known;
  }
  std::string valid;
  for (const auto& name : kCompressions) {
    if (name.value != rocksdb::kNoCompression &&
        std::find(supported.begin(), supported.end(), name.value) == supported.end()) {
      continue;
    }
    valid += valid.empty() ? "" : ", ";
    valid += name.name;
  }
  return InvalidArgumentError(std::string(key) + " is \"" + wanted + "\", expected one of " +
                              valid);
}

template <class T>
Status InRange(std::string_view key, T value, T low, T high) {
  if (value >= low && value <= high) return Status::Ok();
  return InvalidArgumentError(std::string(key) + " is " + std::to_string(value) +
                              ", expected a number from " + std::to_string(low) + " to " +
                              std::to_string(high));
}

Status CheckNumbers(const RocksDbOptions& o) {
  const std::uint64_t one = 1;
  CAIRN_RETURN_IF_ERROR(
      InRange("rocksdb.write_buffer_size_mb", o.write_buffer_size_mb, one, kMaxMiB));
  CAIRN_RETURN_IF_ERROR(
      InRange("rocksdb.max_write_buffer_number", o.max_write_buffer_number, 2, 1000));
  CAIRN_RETURN_IF_ERROR(
      InRange("rocksdb.block_cache_size_mb", o.block_cache_size_mb, one - 1, kMaxMiB));
  CAIRN_RETURN_IF_ERROR(InRange("rocksdb.block_size_kb", o.block_size_kb, one, one << 20));
  CAIRN_RETURN_IF_ERROR(InRange("rocksdb.max_background_jobs", o.max_background_jobs, 1, 1024));
  CAIRN_RETURN_IF_ERROR(InRange("rocksdb.max_open_files", o.max_open_files, 32, 1 << 20));
  CAIRN_RETURN_IF_ERROR(InRange("bloom_filter.bits_per_key", o.bloom_bits_per_key, 1.0, 100.0));
  CAIRN_RETURN_IF_ERROR(
      InRange("compaction.target_file_size_base_mb", o.target_file_size_base_mb, one, kMaxMiB));
  CAIRN_RETURN_IF_ERROR(
      InRange("compaction.target_file_size_multiplier", o.target_file_size_multiplier, 1, 100));
  CAIRN_RETURN_IF_ERROR(InRange("compaction.max_bytes_for_level_base_mb",
                                o.max_bytes_for_level_base_mb, one, kMaxMiB));
  CAIRN_RETURN_IF_ERROR(InRange("compaction.max_bytes_for_level_multiplier",
                                o.max_bytes_for_level_multiplier, 1.0, 1000.0));
  CAIRN_RETURN_IF_ERROR(
      InRange("cache.high_priority_pool_ratio", o.high_priority_pool_ratio, 0.0, 1.0));
  CAIRN_RETURN_IF_ERROR(InRange("memory.write_buffer_manager_limit_mb",
                                o.write_buffer_manager_limit_mb, one, kMaxMiB));
  CAIRN_RETURN_IF_ERROR(
      InRange("logging.max_log_file_size_mb", o.max_log_file_size_mb, one, kMaxMiB));
  return InRange("logging.keep_log_file_num", o.keep_log_file_num, one, one << 20);
}

std::shared_ptr<rocksdb::TableFactory> MakeTableFactory(
    const RocksDbOptions& o, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = o.block_size_kb * 1024;
  table.block_cache = cache;
  table.no_block_cache = cache == nullptr;
  table.cache_index_and_filter_blocks = o.cache_index_and_filter_blocks && cache != nullptr;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = o.pin_l0_filter_and_index_blocks_in_cache;
  table.format_version = 5;
  if (o.bloom_filter_enabled) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(o.bloom_bits_per_key));
  }
  return std::shared_ptr<rocksdb::TableFactory>(rocksdb::NewBlockBasedTableFactory(table));
}

Status MapFamily(const RocksDbOptions& o, const std::shared_ptr<rocksdb::Cache>& cache,
                 rocksdb::ColumnFamilyOptions* cf) {
  cf->table_factory = MakeTableFactory(o, cache);
  cf->write_buffer_size = o.write_buffer_size_mb * kMiB;
  cf->max_write_buffer_number = o.max_write_buffer_number;
  cf->level_compaction_dynamic_level_bytes = o.dynamic_level_bytes;
  CAIRN_ASSIGN_OR_RETURN(const auto l0,
                         FindCompression("compression.l0_compression", o.l0_compression));
  CAIRN_ASSIGN_OR_RETURN(const auto l1,
                         FindCompression("compression.l1_compression", o.l1_compression));
  // The last entry counts for all deeper levels, but for the bottommost.
  cf->compression_per_level = {l0, l1};
  CAIRN_ASSIGN_OR_RETURN(cf->bottommost_compression,
                         FindCompression("compression.bottom_compression", o.bottom_compression));
  CAIRN_ASSIGN_OR_RETURN(cf->compaction_pri,
                         Find<rocksdb::CompactionPri>(kPriorities, "compaction.compaction_priority",
                                                      o.compaction_priority));
  cf->target_file_size_base = o.target_file_size_base_mb * kMiB;
  cf->target_file_size_multiplier = o.target_file_size_multiplier;
  cf->max_bytes_for_level_base = o.max_bytes_for_level_base_mb * kMiB;
  cf->max_bytes_for_level_multiplier = o.max_bytes_for_level_multiplier;
  return Status::Ok();
}

Status MapDatabase(const RocksDbOptions& o, rocksdb::DBOptions* db) {
  db->create_if_missing = true;
  db->atomic_flush = true;
  db->paranoid_checks = true;
  db->avoid_flush_during_shutdown = true;
  db->avoid_unnecessary_blocking_io = true;
  db->enable_pipelined_write = false;
  db->max_open_files = o.max_open_files;
  // One flush at a time: with two, a failed one can leave the other waiting for ever in RocksDB 7.8
  // (facebook/rocksdb#11872).
  db->max_background_flushes = 1;
  db->max_background_compactions = std::max(1, o.max_background_jobs - 1);
  db->max_background_jobs = o.max_background_jobs;
  db->bytes_per_sync = o.bytes_per_sync;
  // After an error the engine decides when to try again (Resume), not a thread of RocksDB's.
  db->max_bgerror_resume_count = 0;
  if (o.enable_write_buffer_manager) {
    db->write_buffer_manager =
        std::make_shared<rocksdb::WriteBufferManager>(o.write_buffer_manager_limit_mb * kMiB);
  }
  CAIRN_ASSIGN_OR_RETURN(db->info_log_level,
                         Find<rocksdb::InfoLogLevel>(kLogLevels, "logging.log_level", o.log_level));
  db->max_log_file_size = o.max_log_file_size_mb * kMiB;
  db->keep_log_file_num = o.keep_log_file_num;
  db->db_log_dir = o.log_directory;
  CAIRN_ASSIGN_OR_RETURN(
      const auto level, Find<rocksdb::StatsLevel>(kStatisticsLevels, "performance.statistics_level",
                                                  o.statistics_level));
  if (o.enable_statistics) {
    db->statistics = rocksdb::CreateDBStatistics();
    db->statistics->set_stats_level(level);
  }
  db->stats_dump_period_sec = o.stats_dump_period_sec;
  db->stats_persist_period_sec = 0;
  return Status::Ok();
}

}  // namespace

Result<MappedOptions> MapOptions(const RocksDbOptions& options) {
  CAIRN_RETURN_IF_ERROR(CheckNumbers(options));
  MappedOptions mapped;
  if (options.block_cache_size_mb > 0) {
    mapped.block_cache =
        rocksdb::NewLRUCache(options.block_cache_size_mb * kMiB, /*num_shard_bits=*/-1,
                             /*strict_capacity_limit=*/false, options.high_priority_pool_ratio);
  }
  CAIRN_RETURN_IF_ERROR(MapDatabase(options, &mapped.db));
  CAIRN_RETURN_IF_ERROR(MapFamily(options, mapped.block_cache, &mapped.user));
  mapped.user.comparator = VersionComparator();
  CAIRN_RETURN_IF_ERROR(MapFamily(options, mapped.block_cache, &mapped.system));
  return mapped;
}

}  // namespace cairn::storage::rocks

namespace cairn::storage {

Status CheckRocksDbOptions(const RocksDbOptions& options) {
  auto mapped = rocks::MapOptions(options);
  return mapped.ok() ? Status::Ok() : std::move(mapped).status();
}

}  // namespace cairn::storage
