// The node's configuration: what a TOML file may say, what it means, and where a node listens and
// keeps its data as a result. Every key is described in docs/configuration.md, which is generated
// from the table in keys.cc; the file format and the keys of the earlier service stand as they
// were.
//
// Two questions are kept apart. ParseConfig answers "is this a valid configuration?"; CheckRunnable
// answers "can this version run it?". A file for a cluster is valid before clusters can be run.
//
// Thread safety: plain values and pure functions (LoadConfig reads a file).
#ifndef CAIRN_SRC_CONFIG_NODE_CONFIG_H_
#define CAIRN_SRC_CONFIG_NODE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/endpoint.h"
#include "src/base/log.h"

namespace cairn::config {

// Enumerators stand in the order of their names in keys.cc.
enum class DeploymentMode : std::uint8_t { kStandalone, kReplicated };
enum class ConsensusAlgorithm : std::uint8_t { kRaft, kPaxos };
enum class ConsistencyLevel : std::uint8_t { kLocal, kLeader, kReadIndex };
enum class DramEviction : std::uint8_t { kNone, kLru };
enum class Compression : std::uint8_t { kNone, kSnappy, kZlib, kBzip2, kLz4, kLz4hc, kZstd };
enum class CompactionPriority : std::uint8_t {
  kByCompensatedSize,
  kOldestLargestSeqFirst,
  kOldestSmallestSeqFirst,
  kMinOverlappingRatio,
  kRoundRobin
};
enum class StatisticsLevel : std::uint8_t {
  kDisableAll,
  kExceptTickers,
  kExceptHistogramOrTimers,
  kExceptTimers,
  kExceptDetailedTimers,
  kExceptTimeForMutex,
  kAll
};

// The name of a value, as the TOML file has it.
std::string_view NameOf(Compression value);
std::string_view NameOf(CompactionPriority value);
std::string_view NameOf(StatisticsLevel value);
std::string_view NameOf(LogLevel value);

// One struct a section, one field a key, of the same name; the defaults are those of the keys.
// Integers are all of one type so that one accessor type serves the table; ranges are checked
// there.
struct DeploymentConfig {
  DeploymentMode mode = DeploymentMode::kStandalone;
  std::uint64_t instance_id = 0;
  std::vector<std::string> replica_endpoints;
  friend bool operator==(const DeploymentConfig&, const DeploymentConfig&) = default;
};

struct ServerConfig {
  std::string bind = "127.0.0.1";
  std::optional<std::uint64_t> thrift_port;  // absent: by rule, see ThriftPort
  std::optional<std::uint64_t> grpc_port;
  std::optional<std::uint64_t> http_port;
  std::uint64_t max_connections = 10'000;
  std::uint64_t request_timeout_ms = 60'000;
  friend bool operator==(const ServerConfig&, const ServerConfig&) = default;
};

// The port for metrics and health (docs/metrics.md); its number is server.http_port.
struct HttpConfig {
  bool enabled = true;
  std::string bind = "127.0.0.1";
  std::uint64_t max_connections = 64;
  friend bool operator==(const HttpConfig&, const HttpConfig&) = default;
};

struct DatabaseConfig {
  std::string base_path = "./data/rocksdb";
  friend bool operator==(const DatabaseConfig&, const DatabaseConfig&) = default;
};

struct StorageConfig {
  std::uint64_t mvcc_window_seconds = 300;
  std::uint64_t session_idle_seconds = 600;
  std::uint64_t journal_segment_mb = 64;
  std::uint64_t journal_spare_segments = 1;
  std::uint64_t max_journal_mb = 256;
  std::uint64_t retain_journal_mb = 64;
  friend bool operator==(const StorageConfig&, const StorageConfig&) = default;
};

struct RocksDbConfig {
  std::uint64_t write_buffer_size_mb = 64;
  std::uint64_t max_write_buffer_number = 3;
  std::uint64_t block_cache_size_mb = 512;
  std::uint64_t block_size_kb = 16;
  std::uint64_t max_background_jobs = 6;
  std::uint64_t bytes_per_sync = 1'048'576;
  bool dynamic_level_bytes = true;
  friend bool operator==(const RocksDbConfig&, const RocksDbConfig&) = default;
};

struct BloomFilterConfig {
  bool enabled = true;
  double bits_per_key = 10;
  friend bool operator==(const BloomFilterConfig&, const BloomFilterConfig&) = default;
};

struct CompressionConfig {
  Compression l0_compression = Compression::kLz4;
  Compression l1_compression = Compression::kLz4;
  Compression bottom_compression = Compression::kZstd;
  friend bool operator==(const CompressionConfig&, const CompressionConfig&) = default;
};

struct ConcurrencyConfig {
  std::uint64_t max_read_concurrency = 32;
  friend bool operator==(const ConcurrencyConfig&, const ConcurrencyConfig&) = default;
};

struct CompactionConfig {
  CompactionPriority compaction_priority = CompactionPriority::kMinOverlappingRatio;
  std::uint64_t target_file_size_base_mb = 64;
  std::uint64_t target_file_size_multiplier = 2;
  std::uint64_t max_bytes_for_level_base_mb = 256;
  double max_bytes_for_level_multiplier = 10;
  friend bool operator==(const CompactionConfig&, const CompactionConfig&) = default;
};

struct CacheConfig {
  bool cache_index_and_filter_blocks = true;
  bool pin_l0_filter_and_index_blocks_in_cache = true;
  double high_priority_pool_ratio = 0.2;
  friend bool operator==(const CacheConfig&, const CacheConfig&) = default;
};

struct MemoryConfig {
  std::uint64_t write_buffer_manager_limit_mb = 256;
  bool enable_write_buffer_manager = true;
  friend bool operator==(const MemoryConfig&, const MemoryConfig&) = default;
};

struct LoggingConfig {
  LogLevel log_level = LogLevel::kInfo;
  std::uint64_t max_log_file_size_mb = 10;
  std::uint64_t keep_log_file_num = 5;
  std::string log_dir;  // empty: standard error
  bool also_stderr = false;
  friend bool operator==(const LoggingConfig&, const LoggingConfig&) = default;
};

struct PerformanceConfig {
  StatisticsLevel statistics_level = StatisticsLevel::kExceptDetailedTimers;
  bool enable_statistics = true;
  std::uint64_t stats_dump_period_sec = 600;
  friend bool operator==(const PerformanceConfig&, const PerformanceConfig&) = default;
};

struct ConsensusConfig {
  ConsensusAlgorithm algorithm = ConsensusAlgorithm::kRaft;
  std::uint64_t election_timeout_ms = 5000;
  std::uint64_t heartbeat_interval_ms = 1000;
  std::uint64_t max_batch_size = 100;
  std::uint64_t max_outstanding_proposals = 1000;
  std::uint64_t group_commit_max_delay_us = 1000;
  std::vector<std::string> endpoints;
  friend bool operator==(const ConsensusConfig&, const ConsensusConfig&) = default;
};

// Files, all three or none.
struct PeerTlsConfig {
  std::string certificate;
  std::string key;
  std::string ca;
  std::vector<std::string> names;
  friend bool operator==(const PeerTlsConfig&, const PeerTlsConfig&) = default;
};

struct ReadsConfig {
  ConsistencyLevel consistency_level = ConsistencyLevel::kLocal;
  bool allow_stale_reads = true;
  std::uint64_t max_staleness_ms = 1000;
  friend bool operator==(const ReadsConfig&, const ReadsConfig&) = default;
};

struct ClusterConfig {
  std::uint64_t health_check_interval_ms = 2000;
  std::uint64_t leader_discovery_timeout_ms = 10'000;
  std::uint64_t node_timeout_ms = 5000;
  std::uint64_t snapshot_mb_per_second = 64;
  bool leases = false;
  std::uint64_t max_clock_drift_ppm = 50'000;
  friend bool operator==(const ClusterConfig&, const ClusterConfig&) = default;
};

// Those of kv::Limits that may be changed without harm to what is stored.
struct LimitsConfig {
  std::uint64_t key_bytes = 10 << 10;
  std::uint64_t value_bytes = 8 << 20;
  std::uint64_t transaction_bytes = 16 << 20;
  std::uint64_t range_answer_bytes = 16 << 20;
  std::uint64_t message_bytes = 64 << 20;
  std::uint64_t answer_bytes = 256 << 20;
  std::uint64_t column_families = 1000;
  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

// The memory plane (docs/remote-dram.md).
struct DramConfig {
  std::string listen_addr;  // empty: not served
  std::string advertise_addr;
  std::vector<std::string> remote_addrs;
  std::uint64_t capacity_mb = 1024;
  DramEviction eviction = DramEviction::kNone;
  std::string tensorstore_addr;
  std::string spec;
  friend bool operator==(const DramConfig&, const DramConfig&) = default;
};

struct NodeConfig {
  DeploymentConfig deployment;
  ServerConfig server;
  HttpConfig http;
  DatabaseConfig database;
  StorageConfig storage;
  RocksDbConfig rocksdb;
  BloomFilterConfig bloom_filter;
  CompressionConfig compression;
  ConcurrencyConfig concurrency;
  CompactionConfig compaction;
  CacheConfig cache;
  MemoryConfig memory;
  LoggingConfig logging;
  PerformanceConfig performance;
  ConsensusConfig consensus;
  PeerTlsConfig peer_tls;
  ReadsConfig reads;
  ClusterConfig cluster;
  LimitsConfig limits;
  DramConfig dram;
  friend bool operator==(const NodeConfig&, const NodeConfig&) = default;
};

// Reads TOML text. `source_name` stands before each message, like a compiler's. On failure
// kInvalidArgument, with one line a fault of the file: "name:line: [section] key: what is wrong".
Result<NodeConfig> ParseConfig(std::string_view text, std::string_view source_name);

// ParseConfig of a file. Also kNotFound and kIoError.
Result<NodeConfig> LoadConfig(const std::string& path);

// What flags and the environment say; what is set replaces the file's value.
struct Overrides {
  std::optional<std::string> data_dir;
  std::optional<std::uint64_t> thrift_port;
  // The value of THRIFT_PORT; goes before thrift_port. Empty text counts as unset.
  std::optional<std::string> thrift_port_environment;
  std::optional<std::uint64_t> grpc_port;
  std::optional<std::uint64_t> http_port;
  std::optional<std::uint64_t> node_id;
  std::optional<std::string> log_dir;
  bool verbose = false;
};

// Applies the overrides and checks the result. kInvalidArgument names the flag or variable.
Status ApplyOverrides(const Overrides& overrides, NodeConfig* config);

// Do the values fit together? One line a contradiction. ParseConfig and ApplyOverrides call it.
Status CheckConsistency(const NodeConfig& config);

// OK if this version of the node can run `config`; else kUnimplemented that says what can't be run.
Status CheckRunnable(const NodeConfig& config);

// What is allowed but is probably not meant, for the log. One sentence each.
std::vector<std::string> Warnings(const NodeConfig& config);

// Where the Thrift service listens: [server] thrift_port; in replicated mode this node's entry of
// replica_endpoints; else 9090 + instance_id. 0: a free port is to be chosen.
std::uint16_t ThriftPort(const NodeConfig& config);
// 50051 + instance_id, 8090 + instance_id, unless [server] says otherwise.
std::uint16_t GrpcPort(const NodeConfig& config);
std::uint16_t HttpPort(const NodeConfig& config);
// Where this node's peers reach it: its entry of [consensus] endpoints; in replicated mode 2000
// below the port of its entry of replica_endpoints; else 7090 + instance_id.
std::uint16_t PeerPort(const NodeConfig& config);

// Where the members of the cluster reach each other, in the order of their numbers: [consensus]
// endpoints, or 2000 below each port of replica_endpoints. Empty in standalone mode.
std::vector<Endpoint> PeerEndpoints(const NodeConfig& config);

// The folder that holds LOCK, IDENTITY, journal/ and db/: base_path, or in replicated mode
// base_path/node_<id>, so that nodes with one configuration never share a folder.
std::string DataDirectory(const NodeConfig& config);

// The configuration as a TOML file that parses to the same value. With `documented`, each key is
// preceded by a comment of its documentation (configs/all_keys.toml).
std::string RenderToml(const NodeConfig& config, bool documented);

// The configuration as a node has it in force, for whoever may look at the node: ports that follow
// from rules are filled in, and texts that may be secrets (passwords, tokens) read "(hidden)".
NodeConfig Effective(const NodeConfig& config);

// The configuration as JSON: an object of sections, each an object of keys; a port that was not
// given is absent.
std::string RenderJson(const NodeConfig& config);

// The reference part of docs/configuration.md: a table of keys a section.
std::string RenderMarkdown();

}  // namespace cairn::config

#endif  // CAIRN_SRC_CONFIG_NODE_CONFIG_H_
