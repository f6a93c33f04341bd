// Every key of the configuration that this version acts on reaches the part that acts: from TOML
// text, through the wiring, to RocksDB's own options and to those of our parts.
#include "apps/cairnd/wiring.h"

#include <gtest/gtest.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "src/config/keys.h"
#include "src/storage/rocksdb/option_mapping.h"

namespace cairn::node {
namespace {

using storage::rocks::MappedOptions;

config::NodeConfig Parsed(const std::string& text) {
  auto config = config::ParseConfig(text, "test.toml");
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  return config.ok() ? *config : config::NodeConfig{};
}

MappedOptions RocksOptionsOf(const std::string& text) {
  auto mapped = storage::rocks::MapOptions(RocksDbOptionsOf(Parsed(text)));
  EXPECT_TRUE(mapped.ok()) << mapped.status().ToString();
  return mapped.ok() ? *std::move(mapped) : MappedOptions{};
}

std::string Text(std::uint64_t value) { return std::to_string(value); }
std::string Text(bool value) { return value ? "true" : "false"; }

const rocksdb::BlockBasedTableOptions& TableOf(const rocksdb::ColumnFamilyOptions& family) {
  return *family.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
}

// One key, a value that is not its default, and where RocksDB must show it, as text.
struct Case {
  const char* section;
  const char* key;
  const char* value;
  std::function<std::string(const MappedOptions&)> shown;
  std::string expected;
};

std::vector<Case> FamilyCases() {
  return {
      {"rocksdb", "write_buffer_size_mb", "7",
       [](const MappedOptions& o) { return Text(o.user.write_buffer_size); }, "7340032"},
      {"rocksdb", "max_write_buffer_number", "4",
       [](const MappedOptions& o) { return std::to_string(o.user.max_write_buffer_number); }, "4"},
      {"rocksdb", "block_size_kb", "8",
       [](const MappedOptions& o) { return Text(TableOf(o.user).block_size); }, "8192"},
      {"rocksdb", "dynamic_level_bytes", "false",
       [](const MappedOptions& o) { return Text(o.user.level_compaction_dynamic_level_bytes); },
       "false"},
      {"bloom_filter", "enabled", "false",
       [](const MappedOptions& o) { return Text(TableOf(o.user).filter_policy != nullptr); },
       "false"},
      {"bloom_filter", "bits_per_key", "13.0",
       [](const MappedOptions& o) { return TableOf(o.user).filter_policy->GetId().substr(0, 14); },
       "bloomfilter:13"},
      {"compression", "l0_compression", "\"none\"",
       [](const MappedOptions& o) { return std::to_string(o.user.compression_per_level.at(0)); },
       std::to_string(rocksdb::kNoCompression)},
      {"compression", "l1_compression", "\"zlib\"",
       [](const MappedOptions& o) { return std::to_string(o.user.compression_per_level.at(1)); },
       std::to_string(rocksdb::kZlibCompression)},
      {"compression", "bottom_compression", "\"lz4hc\"",
       [](const MappedOptions& o) { return std::to_string(o.user.bottommost_compression); },
       std::to_string(rocksdb::kLZ4HCCompression)},
      {"compaction", "compaction_priority", "\"oldest_largest_seq_first\"",
       [](const MappedOptions& o) { return std::to_string(o.user.compaction_pri); },
       std::to_string(rocksdb::kOldestLargestSeqFirst)},
      {"compaction", "target_file_size_base_mb", "5",
       [](const MappedOptions& o) { return Text(o.user.target_file_size_base); }, "5242880"},
      {"compaction", "target_file_size_multiplier", "3",
       [](const MappedOptions& o) { return std::to_string(o.user.target_file_size_multiplier); },
       "3"},
      {"compaction", "max_bytes_for_level_base_mb", "9",
       [](const MappedOptions& o) { return Text(o.user.max_bytes_for_level_base); }, "9437184"},
      {"compaction", "max_bytes_for_level_multiplier", "4.0",
       [](const MappedOptions& o) { return std::to_string(o.user.max_bytes_for_level_multiplier); },
       std::to_string(4.0)},
      {"cache", "cache_index_and_filter_blocks", "false",
       [](const MappedOptions& o) { return Text(TableOf(o.user).cache_index_and_filter_blocks); },
       "false"},
      {"cache", "pin_l0_filter_and_index_blocks_in_cache", "false",
       [](const MappedOptions& o) {
         return Text(TableOf(o.user).pin_l0_filter_and_index_blocks_in_cache);
       },
       "false"},
  };
}

std::vector<Case> DatabaseCases() {
  return {
      {"rocksdb", "block_cache_size_mb", "3",
       [](const MappedOptions& o) { return Text(o.block_cache->GetCapacity()); }, "3145728"},
      {"rocksdb", "max_background_jobs", "9",
       [](const MappedOptions& o) { return std::to_string(o.db.max_background_jobs); }, "9"},
      {"rocksdb", "bytes_per_sync", "4096",
       [](const MappedOptions& o) { return Text(o.db.bytes_per_sync); }, "4096"},
      {"cache", "high_priority_pool_ratio", "0.7",
       [](const MappedOptions& o) {
         const std::string all = o.block_cache->GetPrintableOptions();
         const std::size_t at = all.find("high_pri_pool_ratio");
         return all.substr(all.find_first_of("0123456789", at), 3);
       },
       "0.7"},
      {"memory", "write_buffer_manager_limit_mb", "11",
       [](const MappedOptions& o) { return Text(o.db.write_buffer_manager->buffer_size()); },
       "11534336"},
      {"memory", "enable_write_buffer_manager", "false",
       [](const MappedOptions& o) { return Text(o.db.write_buffer_manager != nullptr); }, "false"},
      {"logging", "log_level", "\"error\"",
       [](const MappedOptions& o) { return std::to_string(o.db.info_log_level); },
       std::to_string(rocksdb::ERROR_LEVEL)},
      {"logging", "max_log_file_size_mb", "2",
       [](const MappedOptions& o) { return Text(o.db.max_log_file_size); }, "2097152"},
      {"logging", "keep_log_file_num", "3",
       [](const MappedOptions& o) { return Text(o.db.keep_log_file_num); }, "3"},
      {"performance", "statistics_level", "\"all\"",
       [](const MappedOptions& o) { return std::to_string(o.db.statistics->get_stats_level()); },
       std::to_string(rocksdb::kAll)},
      {"performance", "enable_statistics", "false",
       [](const MappedOptions& o) { return Text(o.db.statistics != nullptr); }, "false"},
      {"performance", "stats_dump_period_sec", "77",
       [](const MappedOptions& o) { return std::to_string(o.db.stats_dump_period_sec); }, "77"},
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> cases = FamilyCases();
  for (Case& c : DatabaseCases()) cases.push_back(std::move(c));
  return cases;
}

TEST(Wiring, EveryRocksDbKeyReachesRocksDb) {
  for (const Case& c : AllCases()) {
    const std::string text = std::string("[") + c.section + "]\n" + c.key + " = " + c.value + "\n";
    EXPECT_EQ(c.shown(RocksOptionsOf(text)), c.expected) << text;
    EXPECT_NE(c.shown(RocksOptionsOf("")), c.expected) << c.key << ": that is the default";
  }
}

// No key of these sections is forgotten above.
TEST(Wiring, TheTableOfRocksDbKeysIsComplete) {
  const std::set<std::string_view> sections = {"rocksdb",    "bloom_filter", "compression",
                                               "compaction", "cache",        "memory",
                                               "logging",    "performance"};
  // Of the node's own log alone.
  const std::set<std::string_view> ours = {"log_dir", "also_stderr"};
  const std::vector<Case> cases = AllCases();
  for (const config::KeySpec& key : config::Keys()) {
    if (!sections.contains(key.section) || ours.contains(key.name)) continue;
    const bool tested = std::any_of(cases.begin(), cases.end(), [&](const Case& c) {
      return key.section == c.section && key.name == c.key;
    });
    EXPECT_TRUE(tested) << key.section << "." << key.name;
  }
}

TEST(Wiring, DefaultsOfTheOptionsAreThoseOfTheKeys) {
  const storage::RocksDbOptions wired = RocksDbOptionsOf({});
  const storage::RocksDbOptions own;
  EXPECT_EQ(wired.l0_compression, own.l0_compression);
  EXPECT_EQ(wired.statistics_level, own.statistics_level);
  EXPECT_EQ(wired.compaction_priority, own.compaction_priority);
  EXPECT_EQ(wired.block_cache_size_mb, own.block_cache_size_mb);
  EXPECT_EQ(LimitsOf({}).legacy_range_answer_bytes, kv::Limits{}.legacy_range_answer_bytes);
  EXPECT_EQ(LimitsOf({}).message_bytes, kv::Limits{}.message_bytes);
  EXPECT_EQ(LimitsOf({}).answer_bytes, kv::Limits{}.answer_bytes);
}

TEST(Wiring, OnAWildcardAddressAMemberIsReachedAtItsOwnEntry) {
  const std::string entries = "instance_id = 1\nreplica_endpoints = [\"a:9090\", \"b:9091\"]\n";
  const auto member = Parsed("[deployment]\nmode = \"replicated\"\n" + entries);
  EXPECT_EQ(AdvertisedOf(member, "0.0.0.0:9091"), "b:9091");
  EXPECT_EQ(AdvertisedOf(member, "[::]:50052"), "b:50052");
  EXPECT_EQ(AdvertisedOf(member, "10.0.0.2:9091"), "10.0.0.2:9091");
  EXPECT_EQ(AdvertisedOf(member, ""), "");
  // Entries that are left over say nothing of a node by itself.
  EXPECT_EQ(AdvertisedOf(Parsed("[deployment]\n" + entries), "0.0.0.0:9091"), "0.0.0.0:9091");
}

TEST(Wiring, KeysOfOurOwnPartsReachThem) {
  const config::NodeConfig config = Parsed(
      "[deployment]\ninstance_id = 3\n"
      "[server]\nbind = \"::1\"\nthrift_port = 1234\nmax_connections = 12\nrequest_timeout_ms = "
      "34\n"
      "[storage]\nmvcc_window_seconds = 5\nsession_idle_seconds = 6\njournal_segment_mb = 7\n"
      "journal_spare_segments = 8\nmax_journal_mb = 90\nretain_journal_mb = 5\n"
      "[cluster]\nsnapshot_mb_per_second = 4\nleases = true\nmax_clock_drift_ppm = 5\n"
      "[consensus]\nelection_timeout_ms = 900\nheartbeat_interval_ms = 21\nmax_batch_size = "
      "10\nmax_outstanding_proposals = 11\n"
      "group_commit_max_delay_us = 12\n"
      "[reads]\nconsistency_level = \"read_index\"\nallow_stale_reads = false\n"
      "max_staleness_ms = 13\n"
      "[concurrency]\nmax_read_concurrency = 14\n"
      "[logging]\nlog_level = \"warn\"\nlog_dir = \"/l\"\nmax_log_file_size_mb = 15\n"
      "keep_log_file_num = 16\nalso_stderr = true\n"
      "[limits]\nkey_bytes = 100\nvalue_bytes = 20000\ntransaction_bytes = 30000\n"
      "range_answer_bytes = 20000000\nmessage_bytes = 50000000\nanswer_bytes = "
      "70000000\ncolumn_families = 17\n");
  const auto journal = JournalOptionsOf(config, "/j");
  EXPECT_EQ(journal.directory, "/j");
  EXPECT_EQ(journal.segment_bytes, 7U << 20);
  EXPECT_EQ(journal.spare_segments, 8U);
  const auto replica = ReplicaOptionsOf(config);
  EXPECT_EQ(replica.node, NodeId(3));
  EXPECT_EQ(replica.max_batch_size, 10U);
  EXPECT_EQ(replica.max_outstanding_proposals, 11U);
  EXPECT_EQ(replica.max_batch_delay, std::chrono::microseconds(12));
  EXPECT_EQ(replica.max_journal_bytes, 90U << 20);
  EXPECT_EQ(replica.retain_journal_bytes, 5U << 20);
  EXPECT_EQ(replica.snapshot_bytes_per_second, 4U << 20);
  EXPECT_EQ(replica.mvcc_window, std::chrono::seconds(5));
  EXPECT_EQ(replica.session_idle, std::chrono::seconds(6));
  EXPECT_EQ(replica.limits.key_bytes, 100U);
  const auto raft = RaftOptionsOf(config, IncarnationId(18));
  EXPECT_EQ(raft.self, NodeId(3));
  EXPECT_EQ(raft.incarnation, IncarnationId(18));
  EXPECT_EQ(raft.election_timeout, std::chrono::milliseconds(900));
  EXPECT_EQ(raft.heartbeat_interval, std::chrono::milliseconds(21));
  EXPECT_TRUE(raft.leases);
  EXPECT_EQ(raft.max_clock_drift_ppm, 5U);
  EXPECT_FALSE(RaftOptionsOf({}, IncarnationId(18)).leases);
  const auto routing = RoutingOptionsOf(config);
  EXPECT_EQ(routing.default_read_level, replication::ReadLevel::kReadIndex);
  EXPECT_FALSE(routing.allow_stale_reads);
  EXPECT_EQ(routing.max_staleness, std::chrono::milliseconds(13));
  EXPECT_EQ(routing.max_read_concurrency, 14U);
  EXPECT_EQ(routing.default_deadline, std::chrono::milliseconds(34));
  EXPECT_EQ(routing.limits.value_bytes, 20'000U);
  EXPECT_EQ(routing.limits.transaction_bytes, 30'000U);
  EXPECT_EQ(routing.limits.range_answer_bytes, 20'000'000U);
  EXPECT_EQ(routing.limits.legacy_range_answer_bytes, 10'000'000U);
  EXPECT_EQ(routing.limits.column_families, 17U);
  const auto thrift = ThriftOptionsOf(config);
  EXPECT_EQ(thrift.bind_address, "::1");
  EXPECT_EQ(thrift.port, 1234);
  EXPECT_EQ(thrift.max_connections, 12U);
  EXPECT_EQ(thrift.message_bytes, 50'000'000U);
  EXPECT_EQ(thrift.answer_bytes, 70'000'000U);
  EXPECT_EQ(GrpcOptionsOf(config).answer_bytes, 70'000'000U);
  EXPECT_EQ(routing.limits.answer_bytes, 70'000'000U);
  const auto logging = LoggingOptionsOf(config);
  EXPECT_EQ(logging.level, LogLevel::kWarn);
  EXPECT_EQ(logging.directory, "/l");
  EXPECT_EQ(logging.max_file_size_mb, 15U);
  EXPECT_EQ(logging.keep_file_num, 16U);
  EXPECT_TRUE(logging.also_stderr);
}

}  // namespace
}  // namespace cairn::node
