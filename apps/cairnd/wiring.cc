#include "apps/cairnd/wiring.h"

#include <algorithm>
#include <chrono>

#include "src/config/machine/machine_check.h"

namespace cairn::node {
namespace {

using config::NodeConfig;

// Far below what a client elsewhere notices, and above the pause between two writes of one client.
constexpr Duration kCommitNoticeDelay = std::chrono::milliseconds(5);

NodeId NodeIdOf(const NodeConfig& config) {
  return NodeId(static_cast<NodeId::rep>(config.deployment.instance_id));
}

// The table of keys keeps every value within the type it is narrowed to.
int Int(std::uint64_t value) { return static_cast<int>(value); }
std::uint32_t Uint32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

replication::ReadLevel ReadLevelOf(config::ConsistencyLevel level) {
  switch (level) {
    case config::ConsistencyLevel::kLocal:
      return replication::ReadLevel::kLocal;
    case config::ConsistencyLevel::kLeader:
      return replication::ReadLevel::kLeader;
    case config::ConsistencyLevel::kReadIndex:
      return replication::ReadLevel::kReadIndex;
  }
  return replication::ReadLevel::kLocal;
}

}  // namespace

LoggingOptions LoggingOptionsOf(const NodeConfig& config) {
  LoggingOptions options;
  options.level = config.logging.log_level;
  options.directory = config.logging.log_dir;
  options.max_file_size_mb = config.logging.max_log_file_size_mb;
  options.keep_file_num = config.logging.keep_log_file_num;
  options.also_stderr = config.logging.also_stderr;
  return options;
}

kv::Limits LimitsOf(const NodeConfig& config) {
  kv::Limits limits;
  limits.key_bytes = config.limits.key_bytes;
  limits.value_bytes = config.limits.value_bytes;
  limits.transaction_bytes = config.limits.transaction_bytes;
  limits.range_answer_bytes = config.limits.range_answer_bytes;
  // The old wire promises at least 8 MiB, which is the default: it follows upwards only.
  limits.legacy_range_answer_bytes =
      std::max(limits.legacy_range_answer_bytes, limits.range_answer_bytes / 2);
  limits.message_bytes = config.limits.message_bytes;
  limits.answer_bytes = config.limits.answer_bytes;
  limits.column_families = config.limits.column_families;
  return limits;
}

storage::RocksDbOptions RocksDbOptionsOf(const NodeConfig& config) {
  storage::RocksDbOptions options;
  options.write_buffer_size_mb = config.rocksdb.write_buffer_size_mb;
  options.max_write_buffer_number = Int(config.rocksdb.max_write_buffer_number);
  options.block_cache_size_mb = config.rocksdb.block_cache_size_mb;
  options.block_size_kb = config.rocksdb.block_size_kb;
  options.max_background_jobs = Int(config.rocksdb.max_background_jobs);
  options.bytes_per_sync = config.rocksdb.bytes_per_sync;
  options.dynamic_level_bytes = config.rocksdb.dynamic_level_bytes;
  options.bloom_filter_enabled = config.bloom_filter.enabled;
  options.bloom_bits_per_key = config.bloom_filter.bits_per_key;
  options.l0_compression = config::NameOf(config.compression.l0_compression);
  options.l1_compression = config::NameOf(config.compression.l1_compression);
  options.bottom_compression = config::NameOf(config.compression.bottom_compression);
  options.compaction_priority = config::NameOf(config.compaction.compaction_priority);
  options.target_file_size_base_mb = config.compaction.target_file_size_base_mb;
  options.target_file_size_multiplier = Int(config.compaction.target_file_size_multiplier);
  options.max_bytes_for_level_base_mb = config.compaction.max_bytes_for_level_base_mb;
  options.max_bytes_for_level_multiplier = config.compaction.max_bytes_for_level_multiplier;
  options.cache_index_and_filter_blocks = config.cache.cache_index_and_filter_blocks;
  options.pin_l0_filter_and_index_blocks_in_cache =
      config.cache.pin_l0_filter_and_index_blocks_in_cache;
  options.high_priority_pool_ratio = config.cache.high_priority_pool_ratio;
  options.enable_write_buffer_manager = config.memory.enable_write_buffer_manager;
  options.write_buffer_manager_limit_mb = config.memory.write_buffer_manager_limit_mb;
  options.log_level = config::NameOf(config.logging.log_level);
  options.max_log_file_size_mb = config.logging.max_log_file_size_mb;
  options.keep_log_file_num = config.logging.keep_log_file_num;
  options.enable_statistics = config.performance.enable_statistics;
  options.statistics_level = config::NameOf(config.performance.statistics_level);
  options.stats_dump_period_sec = Uint32(config.performance.stats_dump_period_sec);
  return options;
}

consensus::JournalOptions JournalOptionsOf(const NodeConfig& config, const std::string& directory) {
  consensus::JournalOptions options;
  options.directory = directory;
  options.group = kGroup;
  options.segment_bytes = config.storage.journal_segment_mb << 20;
  options.spare_segments = Uint32(config.storage.journal_spare_segments);
  return options;
}

replication::ReplicaOptions ReplicaOptionsOf(const NodeConfig& config) {
  replication::ReplicaOptions options;
  options.node = NodeIdOf(config);
  options.group = kGroup;
  options.max_batch_size = Uint32(config.consensus.max_batch_size);
  options.max_outstanding_proposals = Uint32(config.consensus.max_outstanding_proposals);
  options.max_batch_delay = std::chrono::microseconds(config.consensus.group_commit_max_delay_us);
  options.limits = LimitsOf(config);
  options.max_journal_bytes = config.storage.max_journal_mb << 20;
  options.retain_journal_bytes = config.storage.retain_journal_mb << 20;
  options.snapshot_bytes_per_second = config.cluster.snapshot_mb_per_second << 20;
  options.mvcc_window = std::chrono::seconds(config.storage.mvcc_window_seconds);
  options.session_idle = std::chrono::seconds(config.storage.session_idle_seconds);
  // Half of what may be stale, so that an idle node knows in time how old its state is.
  const bool alone = config.deployment.mode != config::DeploymentMode::kReplicated;
  if (!alone) {
    options.freshness_interval =
        std::chrono::milliseconds(std::max<std::uint64_t>(config.reads.max_staleness_ms / 2, 100));
    // Several in the time after which a silent node counts as gone.
    options.report_interval = std::chrono::milliseconds(
        std::clamp<std::uint64_t>(config.cluster.node_timeout_ms / 5, 100, 1000));
  }
  return options;
}

consensus::raft::RaftOptions RaftOptionsOf(const NodeConfig& config, IncarnationId incarnation) {
  consensus::raft::RaftOptions options;
  options.self = NodeIdOf(config);
  options.incarnation = incarnation;
  options.election_timeout = std::chrono::milliseconds(config.consensus.election_timeout_ms);
  options.heartbeat_interval = std::chrono::milliseconds(config.consensus.heartbeat_interval_ms);
  options.commit_notice_delay = kCommitNoticeDelay;
  options.leases = config.cluster.leases;
  options.max_clock_drift_ppm = static_cast<std::uint32_t>(config.cluster.max_clock_drift_ppm);
  return options;
}

consensus::formation::FormationOptions FormationOptionsOf(const NodeConfig& config,
                                                          IncarnationId incarnation) {
  consensus::formation::FormationOptions options;
  options.self = {NodeIdOf(config), incarnation};
  options.group = kGroup;
  std::uint32_t number = 0;
  for (const Endpoint& endpoint : config::PeerEndpoints(config)) {
    options.members.push_back({NodeId(number++), endpoint.ToString()});
  }
  return options;
}

transport::TcpTransportOptions TransportOptionsOf(const NodeConfig& config,
                                                  IncarnationId incarnation) {
  transport::TcpTransportOptions options;
  options.self = {NodeIdOf(config), incarnation, 0};
  options.bind_address = config.server.bind;
  options.port = config::PeerPort(config);
  options.tls = config::PeerTlsOf(config);
  // A living node reports several times within node_timeout_ms, and once a second at least.
  options.alive_window = std::min<Duration>(
      options.alive_window, std::chrono::milliseconds(config.cluster.node_timeout_ms));
  options.seed = SystemEntropy();
  return options;
}

std::string ConfiguredClientEndpoint(const NodeConfig& config, NodeId node) {
  const auto& endpoints = config.deployment.replica_endpoints;
  return node.value() < endpoints.size() ? endpoints[node.value()] : std::string();
}

std::string AdvertisedOf(const NodeConfig& config, const std::string& endpoint) {
  if (config.deployment.mode != config::DeploymentMode::kReplicated) return endpoint;
  const Result<Endpoint> listens = ParseEndpoint(endpoint);
  const auto& members = config.deployment.replica_endpoints;
  if (!listens.ok() || (listens->host != "0.0.0.0" && listens->host != "::") ||
      config.deployment.instance_id >= members.size()) {
    return endpoint;
  }
  const Result<Endpoint> own = ParseEndpoint(members[config.deployment.instance_id]);
  return own.ok() ? Endpoint{own->host, listens->port}.ToString() : endpoint;
}

replication::RoutingOptions RoutingOptionsOf(const NodeConfig& config) {
  replication::RoutingOptions options;
  options.default_read_level = ReadLevelOf(config.reads.consistency_level);
  options.allow_stale_reads = config.reads.allow_stale_reads;
  options.max_staleness = std::chrono::milliseconds(config.reads.max_staleness_ms);
  options.max_read_concurrency = Uint32(config.concurrency.max_read_concurrency);
  options.default_deadline = std::chrono::milliseconds(config.server.request_timeout_ms);
  options.limits = LimitsOf(config);
  return options;
}

server::ThriftServerOptions ThriftOptionsOf(const NodeConfig& config) {
  server::ThriftServerOptions options;
  options.bind_address = config.server.bind;
  options.port = config::ThriftPort(config);
  options.max_connections = Uint32(config.server.max_connections);
  options.message_bytes = config.limits.message_bytes;
  options.answer_bytes = config.limits.answer_bytes;
  return options;
}

server::GrpcServerOptions GrpcOptionsOf(const NodeConfig& config) {
  server::GrpcServerOptions options;
  options.bind_address = config.server.bind;
  options.port = config::GrpcPort(config);
  options.message_bytes = config.limits.message_bytes;
  options.answer_bytes = config.limits.answer_bytes;
  options.software_version = CAIRN_VERSION;
  return options;
}

}  // namespace cairn::node
