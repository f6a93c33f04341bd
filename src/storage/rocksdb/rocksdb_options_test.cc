// Every option reaches RocksDB, and wrong ones are named.
#include "src/storage/rocksdb/rocksdb_options.h"

#include <gtest/gtest.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <filesystem>
#include <functional>

#include "src/storage/rocksdb/option_mapping.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::storage {
namespace {

TEST(RocksDbOptionsTest, DefaultsAreThoseOfTheEarlierService) {
  const auto mapped = rocks::MapOptions({});
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped->user.write_buffer_size, 64U << 20);
  EXPECT_EQ(mapped->user.max_write_buffer_number, 3);
  EXPECT_EQ(mapped->block_cache->GetCapacity(), 512U << 20);
  EXPECT_EQ(mapped->db.max_background_jobs, 6);
  EXPECT_EQ(mapped->db.bytes_per_sync, 1048576U);
  EXPECT_TRUE(mapped->user.level_compaction_dynamic_level_bytes);
  EXPECT_EQ(mapped->user.compaction_pri, rocksdb::kMinOverlappingRatio);
  EXPECT_EQ(mapped->user.target_file_size_base, 64U << 20);
  EXPECT_EQ(mapped->user.max_bytes_for_level_base, 256U << 20);
  EXPECT_EQ(
      mapped->user.compression_per_level,
      (std::vector<rocksdb::CompressionType>{rocksdb::kLZ4Compression, rocksdb::kLZ4Compression}));
  EXPECT_EQ(mapped->user.bottommost_compression, rocksdb::kZSTD);
  EXPECT_EQ(mapped->db.write_buffer_manager->buffer_size(), 256U << 20);
  EXPECT_EQ(mapped->db.statistics->get_stats_level(), rocksdb::kExceptDetailedTimers);
  EXPECT_EQ(mapped->db.stats_dump_period_sec, 600U);
  EXPECT_EQ(mapped->db.info_log_level, rocksdb::INFO_LEVEL);
  EXPECT_TRUE(mapped->db.atomic_flush);
  EXPECT_TRUE(mapped->db.paranoid_checks);
}

TEST(RocksDbOptionsTest, EachOptionIsHonoured) {
  RocksDbOptions o;
  o.write_buffer_size_mb = 7;
  o.max_write_buffer_number = 5;
  o.block_cache_size_mb = 9;
  o.block_size_kb = 32;
  o.max_background_jobs = 4;
  o.bytes_per_sync = 12345;
  o.dynamic_level_bytes = false;
  o.max_open_files = 99;
  o.bloom_filter_enabled = false;
  o.l0_compression = "none";
  o.l1_compression = "snappy";
  o.bottom_compression = "zlib";
  o.compaction_priority = "round_robin";
  o.target_file_size_base_mb = 3;
  o.target_file_size_multiplier = 4;
  o.max_bytes_for_level_base_mb = 33;
  o.max_bytes_for_level_multiplier = 8;
  o.cache_index_and_filter_blocks = false;
  o.pin_l0_filter_and_index_blocks_in_cache = false;
  o.enable_write_buffer_manager = false;
  o.log_level = "warn";
  o.max_log_file_size_mb = 2;
  o.keep_log_file_num = 3;
  o.log_directory = "/somewhere";
  o.statistics_level = "all";
  o.stats_dump_period_sec = 17;
  const auto mapped = rocks::MapOptions(o);
  ASSERT_TRUE(mapped.ok());
  for (const auto* family : {&mapped->user, &mapped->system}) {
    EXPECT_EQ(family->write_buffer_size, 7U << 20);
    EXPECT_EQ(family->max_write_buffer_number, 5);
    EXPECT_FALSE(family->level_compaction_dynamic_level_bytes);
    EXPECT_EQ(family->compression_per_level,
              (std::vector<rocksdb::CompressionType>{rocksdb::kNoCompression,
                                                     rocksdb::kSnappyCompression}));
    EXPECT_EQ(family->bottommost_compression, rocksdb::kZlibCompression);
    EXPECT_EQ(family->compaction_pri, rocksdb::kRoundRobin);
    EXPECT_EQ(family->target_file_size_base, 3U << 20);
    EXPECT_EQ(family->target_file_size_multiplier, 4);
    EXPECT_EQ(family->max_bytes_for_level_base, 33U << 20);
    EXPECT_EQ(family->max_bytes_for_level_multiplier, 8);
    const auto* table = family->table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
    ASSERT_NE(table, nullptr);
    EXPECT_EQ(table->block_size, 32U << 10);
    EXPECT_EQ(table->filter_policy, nullptr);
    EXPECT_EQ(table->block_cache, mapped->block_cache);
    EXPECT_FALSE(table->cache_index_and_filter_blocks);
    EXPECT_FALSE(table->pin_l0_filter_and_index_blocks_in_cache);
  }
  EXPECT_EQ(mapped->block_cache->GetCapacity(), 9U << 20);
  EXPECT_EQ(mapped->db.max_background_jobs, 4);
  EXPECT_EQ(mapped->db.max_background_flushes + mapped->db.max_background_compactions, 4);
  EXPECT_EQ(mapped->db.bytes_per_sync, 12345U);
  EXPECT_EQ(mapped->db.max_open_files, 99);
  EXPECT_EQ(mapped->db.write_buffer_manager, nullptr);
  EXPECT_EQ(mapped->db.info_log_level, rocksdb::WARN_LEVEL);
  EXPECT_EQ(mapped->db.max_log_file_size, 2U << 20);
  EXPECT_EQ(mapped->db.keep_log_file_num, 3U);
  EXPECT_EQ(mapped->db.db_log_dir, "/somewhere");
  EXPECT_EQ(mapped->db.statistics->get_stats_level(), rocksdb::kAll);
  EXPECT_EQ(mapped->db.stats_dump_period_sec, 17U);
  o.enable_statistics = false;
  EXPECT_EQ(rocks::MapOptions(o)->db.statistics, nullptr);
}

TEST(RocksDbOptionsTest, WrongValuesAreNamed) {
  struct Wrong {
    std::function<void(RocksDbOptions*)> spoil;
    std::vector<const char*> words;  // in the message
  };
  const Wrong wrongs[] = {
      {[](auto* o) { o->l0_compression = "lzma"; },
       {"compression.l0_compression", "lzma", "none", "lz4", "zstd"}},
      {[](auto* o) { o->l1_compression = "LZ4"; }, {"compression.l1_compression", "LZ4"}},
      {[](auto* o) { o->bottom_compression = ""; }, {"compression.bottom_compression"}},
      {[](auto* o) { o->compaction_priority = "fast"; },
       {"compaction.compaction_priority", "fast", "min_overlapping_ratio", "round_robin"}},
      {[](auto* o) { o->statistics_level = "some"; },
       {"performance.statistics_level", "some", "except_timers"}},
      {[](auto* o) { o->log_level = "loud"; }, {"logging.log_level", "loud", "warn"}},
      {[](auto* o) { o->write_buffer_size_mb = 0; }, {"rocksdb.write_buffer_size_mb", "0"}},
      {[](auto* o) { o->write_buffer_size_mb = ~0ULL; }, {"rocksdb.write_buffer_size_mb"}},
      {[](auto* o) { o->max_write_buffer_number = 1; }, {"rocksdb.max_write_buffer_number", "1"}},
      {[](auto* o) { o->max_background_jobs = 0; }, {"rocksdb.max_background_jobs", "0"}},
      {[](auto* o) { o->bloom_bits_per_key = -1; }, {"bloom_filter.bits_per_key"}},
      {[](auto* o) { o->high_priority_pool_ratio = 1.5; }, {"cache.high_priority_pool_ratio"}},
      {[](auto* o) { o->keep_log_file_num = 0; }, {"logging.keep_log_file_num"}},
  };
  for (const Wrong& wrong : wrongs) {
    RocksDbOptions options;
    wrong.spoil(&options);
    const Status status = CheckRocksDbOptions(options);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    for (const char* word : wrong.words) {
      EXPECT_NE(status.message().find(word), std::string::npos) << status.ToString();
    }
    EXPECT_EQ(RocksDbEngine::Open(options, "/nowhere").status(), status);
  }
  EXPECT_EQ(CheckRocksDbOptions({}), Status::Ok());
}

TEST(RocksDbOptionsTest, TheLogGoesWhereItShould) {
  std::string scratch = (std::filesystem::temp_directory_path() / "cairn-rocksdb-XXXXXX").string();
  ASSERT_NE(mkdtemp(scratch.data()), nullptr);
  RocksDbOptions options;
  options.log_directory = scratch + "/logs";
  {
    const auto engine = RocksDbEngine::Open(options, scratch + "/db");
    ASSERT_TRUE(engine.ok()) << engine.status().ToString();
  }
  EXPECT_FALSE(std::filesystem::is_empty(scratch + "/logs"));
  EXPECT_FALSE(std::filesystem::exists(scratch + "/db/LOG"));
  std::filesystem::remove_all(scratch);
}

}  // namespace
}  // namespace cairn::storage
