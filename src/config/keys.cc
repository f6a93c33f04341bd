#include "src/config/keys.h"

#include <array>

namespace cairn::config {
namespace {

constexpr std::array<std::string_view, 2> kModes = {"standalone", "replicated"};
constexpr std::array<std::string_view, 2> kAlgorithms = {"raft", "paxos"};
constexpr std::array<std::string_view, 3> kLevels = {"local", "leader", "read_index"};
constexpr std::array<std::string_view, 2> kEvictions = {"none", "lru"};
constexpr std::array<std::string_view, 7> kCompressions = {"none", "snappy", "zlib", "bzip2",
                                                           "lz4",  "lz4hc",  "zstd"};
constexpr std::array<std::string_view, 5> kPriorities = {
    "by_compensated_size", "oldest_largest_seq_first", "oldest_smallest_seq_first",
    "min_overlapping_ratio", "round_robin"};
constexpr std::array<std::string_view, 7> kStatistics = {"disable_all",
                                                         "except_tickers",
                                                         "except_histogram_or_timers",
                                                         "except_timers",
                                                         "except_detailed_timers",
                                                         "except_time_for_mutex",
                                                         "all"};
constexpr std::array<std::string_view, 6> kLogLevels = {"trace", "debug", "info",
                                                        "warn",  "error", "off"};

constexpr std::uint64_t kDayMs = 86'400'000;
constexpr std::uint64_t kYearSeconds = 31'536'000;
constexpr std::uint64_t kMiB = 1 << 20;

constexpr std::array<SectionSpec, 20> kSections = {{
    {"deployment", "Who this node is. A file without this section describes a standalone node."},
    {"server", "What the node listens on and how much it takes in."},
    {"http",
     "The port for metrics, health and diagnosis (docs/metrics.md). It only tells: nothing can be "
     "changed through it."},
    {"database", "Where the data lies."},
    {"storage", "How long old versions live, and the size of the journal."},
    {"rocksdb", "Memory, files and threads of RocksDB."},
    {"bloom_filter", "Filters that spare point reads the files without the key."},
    {"compression", "Compression by level."},
    {"concurrency", "Bounds on work done at once."},
    {"compaction", "How RocksDB arranges its levels."},
    {"cache", "What the block cache holds beside data."},
    {"memory", "A bound on write buffers over all column families."},
    {"logging", "The text log of the node, and RocksDB's own LOG file in the data folder."},
    {"performance", "What RocksDB measures of itself."},
    {"consensus",
     "How writes are ordered and made durable. Elections, heartbeats and endpoints are without "
     "effect "
     "on a single node."},
    {"peer_tls",
     "Encryption and mutual authentication between nodes, on all of them or on none. Without "
     "effect on a single node."},
    {"reads", "What reads promise when the client does not say."},
    {"cluster", "How nodes watch each other. Without effect on a single node."},
    {"limits",
     "Bounds on requests, checked when one is taken in. Raising them is safe; what is stored "
     "already stays readable after lowering them. Others are fixed: a transaction has at most "
     "65535 "
     "writes (transaction_operations), 65535 conflict keys (conflict_keys) and 65535 conflict "
     "ranges (conflict_ranges); the name of a column family has 255 bytes "
     "(column_family_name_bytes); a session's numbers run at most 1024 ahead of the lowest "
     "outstanding one (session_window); an answer with a range to clients of the earlier service "
     "has 8388608 bytes (legacy_range_answer_bytes)."},
    {"dram",
     "The memory plane: values in this node's memory, for other processes. They are gone "
     "when the node ends, and no transaction sees them."},
}};

// Each macro makes one entry of the table; the accessor and the names come from one pair of words.
#define CAIRN_ACCESS_(section, key) [](NodeConfig& c) -> decltype(auto) { return (c.section.key); }
#define CAIRN_BOOL_(section, key, doc) \
  KeySpec { #section, #key, BoolField{CAIRN_ACCESS_(section, key) }, doc }
#define CAIRN_INTEGER_(section, key, min, max, doc) \
  KeySpec { #section, #key, IntegerField{CAIRN_ACCESS_(section, key), min, max }, doc }
#define CAIRN_PORT_(section, key, doc) \
  KeySpec { #section, #key, PortField{CAIRN_ACCESS_(section, key) }, doc }
#define CAIRN_NUMBER_(section, key, min, max, doc) \
  KeySpec { #section, #key, NumberField{CAIRN_ACCESS_(section, key), min, max }, doc }
#define CAIRN_TEXT_(section, key, may_be_empty, doc) \
  KeySpec { #section, #key, TextField{CAIRN_ACCESS_(section, key), may_be_empty }, doc }
#define CAIRN_ENDPOINTS_(section, key, doc) \
  KeySpec { #section, #key, EndpointsField{CAIRN_ACCESS_(section, key) }, doc }
#define CAIRN_TEXTS_(section, key, doc) \
  KeySpec { #section, #key, TextsField{CAIRN_ACCESS_(section, key) }, doc }
#define CAIRN_CHOICE_(section, key, names, doc)                                               \
  KeySpec {                                                                                   \
#section, #key,                                                                             \
        ChoiceField{names,                                                                      \
                    [](const NodeConfig& c) { return static_cast<std::size_t>(c.section.key); }, \
                    [](NodeConfig& c, std::size_t index) {                                      \
                      c.section.key = static_cast<decltype(c.section.key)>(index);              \
                    }},                                                                         \
        doc \
  }

const KeySpec kKeys[] = {
    CAIRN_CHOICE_(deployment, mode, kModes,
                  "standalone: one node by itself. replicated: a member of the cluster that "
                  "replica_endpoints lists."),
    CAIRN_INTEGER_(deployment, instance_id, 0, 9999,
                   "Number of this node. In replicated mode the index of its entry in "
                   "replica_endpoints. The default ports are counted up by it."),
    CAIRN_ENDPOINTS_(deployment, replica_endpoints,
                     "Thrift addresses of all members, \"host:port\", in the order of their "
                     "instance_id. Needed in replicated mode."),

    CAIRN_TEXT_(server, bind, false,
                "Address to listen on. The default takes connections from this machine only; "
                "\"0.0.0.0\" takes them from anywhere, and the old wire has no authentication."),
    CAIRN_PORT_(server, thrift_port,
                "Port of the Thrift service. Unless given: the port of this node's entry in "
                "replica_endpoints, else 9090 + instance_id. 0 chooses a free one."),
    CAIRN_PORT_(
        server, grpc_port,
        "Port of the gRPC services. Unless given: 50051 + instance_id, and a node that finds it "
        "taken goes on without gRPC. 0 chooses a free one."),
    CAIRN_PORT_(
        server, http_port,
        "Port for metrics and health ([http]). Unless given: 8090 + instance_id, and a node "
        "that finds it taken goes on without it. 0 chooses a free one."),
    CAIRN_INTEGER_(
        server, max_connections, 1, 1'000'000,
        "Client connections at once; a further one is told so and closed. An idle connection "
        "costs some kilobytes and a file descriptor."),
    CAIRN_INTEGER_(server, request_timeout_ms, 1, kDayMs,
                   "Time in which a request is answered that brings no deadline of its own. After "
                   "it: TIMEOUT."),

    CAIRN_BOOL_(http, enabled, "Whether the port is served."),
    CAIRN_TEXT_(http, bind, false,
                "Address to listen on. The default takes connections from this machine only; "
                "there is no authentication, and the pages tell addresses, sizes and settings."),
    CAIRN_INTEGER_(http, max_connections, 1, 10'000,
                   "Connections at once. A further one takes the place of one that is idle, or is "
                   "told 503."),

    CAIRN_TEXT_(database, base_path, false,
                "Folder of the data, made if missing. In replicated mode a node uses "
                "base_path/node_<instance_id>. A relative path starts at the working directory."),

    CAIRN_INTEGER_(storage, mvcc_window_seconds, 1, kYearSeconds,
                   "How long old versions are kept. A transaction or snapshot older than this gets "
                   "TRANSACTION_TOO_OLD."),
    CAIRN_INTEGER_(
        storage, session_idle_seconds, 1, kYearSeconds,
        "A client session unused for this long is expired, and with it the record of what "
        "was applied for it."),
    CAIRN_INTEGER_(
        storage, journal_segment_mb, 1, 1024,
        "Size of one journal file, allocated ahead. A file is larger where the largest transaction "
        "needs it: [limits] transaction_bytes + 4 MiB at least."),
    CAIRN_INTEGER_(storage, journal_spare_segments, 0, 64,
                   "Journal files kept for reuse beside the current one."),
    CAIRN_INTEGER_(
        storage, max_journal_mb, 2, kMiB,
        "The database is flushed when the journal holds more than this, so it bounds the "
        "journal's size on disk and what a restart has to replay."),
    CAIRN_INTEGER_(
        storage, retain_journal_mb, 0, kMiB,
        "In a cluster so much of the journal stays for nodes that were away; one that missed more "
        "gets a snapshot. The journal may then grow to twice this. Where the disk has no room, "
        "nothing stays."),

    CAIRN_INTEGER_(rocksdb, write_buffer_size_mb, 1, 65'536,
                   "Size at which a column family's write buffer is written to a file."),
    CAIRN_INTEGER_(rocksdb, max_write_buffer_number, 2, 64,
                   "Write buffers of a column family, the one being filled included. Writes wait "
                   "when all are full."),
    CAIRN_INTEGER_(rocksdb, block_cache_size_mb, 0, 4 * kMiB,
                   "Cache of uncompressed blocks, shared by all column families. Filled by reads, "
                   "so an idle node does not hold it."),
    CAIRN_INTEGER_(rocksdb, block_size_kb, 1, 65'536,
                   "Uncompressed size of a block: the unit of reading and caching."),
    CAIRN_INTEGER_(rocksdb, max_background_jobs, 1, 1024, "Flushes and compactions at once."),
    CAIRN_INTEGER_(rocksdb, bytes_per_sync, 0, 1024 * kMiB,
                   "The kernel is asked to write files out each time this many bytes were added; 0 "
                   "leaves it to the kernel."),
    CAIRN_BOOL_(rocksdb, dynamic_level_bytes,
                "Sizes levels from the last one up, which bounds the space that dead data takes."),

    CAIRN_BOOL_(bloom_filter, enabled, "Whether files carry bloom filters."),
    CAIRN_NUMBER_(bloom_filter, bits_per_key, 1, 100,
                  "Bits of filter a key; 10 gives about one false positive in a hundred."),

    CAIRN_CHOICE_(compression, l0_compression, kCompressions, "Compression of level 0."),
    CAIRN_CHOICE_(compression, l1_compression, kCompressions,
                  "Compression of level 1 and of the levels below it but the last."),
    CAIRN_CHOICE_(compression, bottom_compression, kCompressions,
                  "Compression of the last level, which holds most of the data."),

    CAIRN_INTEGER_(concurrency, max_read_concurrency, 0, 100'000,
                   "Reads inside the database at once; more wait their turn. 0: no bound."),

    CAIRN_CHOICE_(compaction, compaction_priority, kPriorities,
                  "Which file of a level is compacted first."),
    CAIRN_INTEGER_(compaction, target_file_size_base_mb, 1, 65'536, "Size of a file on level 1."),
    CAIRN_INTEGER_(compaction, target_file_size_multiplier, 1, 100,
                   "How much larger the files of each further level are."),
    CAIRN_INTEGER_(compaction, max_bytes_for_level_base_mb, 1, 16 * kMiB,
                   "Size of level 1 as a whole."),
    CAIRN_NUMBER_(compaction, max_bytes_for_level_multiplier, 1, 1000,
                  "How much larger each further level is."),

    CAIRN_BOOL_(
        cache, cache_index_and_filter_blocks,
        "Keeps indexes and filters in the block cache, so that they count against its size."),
    CAIRN_BOOL_(cache, pin_l0_filter_and_index_blocks_in_cache, "Never evicts those of level 0."),
    CAIRN_NUMBER_(cache, high_priority_pool_ratio, 0, 1,
                  "Share of the cache that data blocks can't push indexes and filters out of."),

    CAIRN_INTEGER_(memory, write_buffer_manager_limit_mb, 1, 4 * kMiB,
                   "Flushes begin when all write buffers together hold this much."),
    CAIRN_BOOL_(memory, enable_write_buffer_manager, "Whether that bound is enforced."),

    CAIRN_CHOICE_(logging, log_level, kLogLevels,
                  "Least severe messages that are logged, by the node and by RocksDB."),
    CAIRN_INTEGER_(logging, max_log_file_size_mb, 1, 1'048'576,
                   "A log file that has reached this size is rotated."),
    CAIRN_INTEGER_(logging, keep_log_file_num, 1, 1000, "Rotated log files kept."),
    CAIRN_TEXT_(logging, log_dir, true,
                "Folder of cairn.log, made if missing. Empty: the node logs to standard error."),
    CAIRN_BOOL_(logging, also_stderr, "With log_dir: log to standard error as well."),

    CAIRN_CHOICE_(performance, statistics_level, kStatistics,
                  "How much RocksDB measures; see its StatsLevel."),
    CAIRN_BOOL_(performance, enable_statistics,
                "Whether it measures at all. Cache hit rates are unknown without."),
    CAIRN_INTEGER_(performance, stats_dump_period_sec, 0, kYearSeconds,
                   "How often RocksDB writes its statistics to its LOG; 0: never."),

    CAIRN_CHOICE_(consensus, algorithm, kAlgorithms,
                  "Consensus algorithm of the cluster; the same on all its nodes."),
    CAIRN_INTEGER_(
        consensus, election_timeout_ms, 10, kDayMs,
        "A follower that hears nothing from the leader for this long starts an election. "
        "At least twice heartbeat_interval_ms."),
    CAIRN_INTEGER_(consensus, heartbeat_interval_ms, 1, kDayMs,
                   "How often a leader shows that it is there."),
    CAIRN_INTEGER_(consensus, max_batch_size, 1, 100'000,
                   "Commands in one log entry, made durable by one fdatasync."),
    CAIRN_INTEGER_(consensus, max_outstanding_proposals, 1, 10'000'000,
                   "Writes that wait for their answer; a further one gets RESOURCE_EXHAUSTED."),
    CAIRN_INTEGER_(consensus, group_commit_max_delay_us, 0, 1'000'000,
                   "Longest time that a write waits for others to share its fdatasync, when many "
                   "clients write at once; a quarter of what writes take at present, if that is "
                   "longer. 0: it never waits."),
    CAIRN_ENDPOINTS_(consensus, endpoints,
                     "Addresses on which members reach each other, in the order of their "
                     "instance_id. Unless given: each port of replica_endpoints less 2000."),

    CAIRN_TEXT_(peer_tls, certificate, true,
                "File of this node's certificate (PEM), with what stands between it and ca. "
                "Empty: no TLS, and whoever reaches the peers' port may speak as a node."),
    CAIRN_TEXT_(peer_tls, key, true,
                "File of its private key (PEM, without a passphrase). Nobody but the node should "
                "be able to read it."),
    CAIRN_TEXT_(peer_tls, ca, true,
                "File of the authority (PEM) that signs the nodes' certificates: best one that "
                "signs nothing else. Nodes whose certificate it has not signed are turned away."),
    CAIRN_TEXTS_(peer_tls, names,
                 "Peers must carry one of these: a DNS name or address in their certificate, or "
                 "its common name if it has no DNS name. Empty: every certificate of ca will do."),

    CAIRN_CHOICE_(reads, consistency_level, kLevels,
                  "local: what this node has applied, which may be old, but what was written "
                  "through the node is there, and a version that a client asks for is new on "
                  "every node. leader and read_index: linearizable, served "
                  "by the leader, or by any node after asking the leader."),
    CAIRN_BOOL_(reads, allow_stale_reads,
                "Whether local reads are served by a node that is out of date; if not they get "
                "STALE."),
    CAIRN_INTEGER_(reads, max_staleness_ms, 0, kDayMs,
                   "How far behind a node may be before it counts as out of date."),

    CAIRN_INTEGER_(cluster, health_check_interval_ms, 1, kDayMs,
                   "How often nodes check on each other."),
    CAIRN_INTEGER_(cluster, leader_discovery_timeout_ms, 1, kDayMs,
                   "How long a request waits for a leader to be known."),
    CAIRN_INTEGER_(cluster, node_timeout_ms, 1, kDayMs,
                   "A node not heard of for this long is unreachable."),
    CAIRN_INTEGER_(cluster, snapshot_mb_per_second, 0, kMiB,
                   "Bound on what a node sends to others in snapshots, so that clients keep the "
                   "rest of network "
                   "and disk; 0: none."),
    CAIRN_BOOL_(
        cluster, leases,
        "A leader that a majority answered serves linearizable reads for nearly an election "
        "timeout without asking again. Such reads then rest on clocks (docs/operations.md). The "
        "same on all members, with the same election_timeout_ms; stop all to change it."),
    CAIRN_INTEGER_(cluster, max_clock_drift_ppm, 0, 500'000,
                   "With leases: by how much the rates of two members' monotonic clocks may "
                   "differ at most, in millionths. A lease is shorter by that."),

    CAIRN_INTEGER_(limits, key_bytes, 16, kMiB, "Longest key."),
    CAIRN_INTEGER_(limits, value_bytes, 1024, 256 * kMiB, "Longest value."),
    CAIRN_INTEGER_(limits, transaction_bytes, 4096, 512 * kMiB,
                   "Keys, values and conflict sets of one transaction together."),
    CAIRN_INTEGER_(limits, range_answer_bytes, 4096, 512 * kMiB,
                   "Keys and values of one range answer; the rest follows on request."),
    CAIRN_INTEGER_(
        limits, message_bytes, 5 * kMiB, 1024 * kMiB,
        "One message of a client. Over Thrift a longer one is refused with the limit's name and "
        "closes the connection; over gRPC it gets RESOURCE_EXHAUSTED, \"Received message "
        "larger than max\"."),
    CAIRN_INTEGER_(limits, answer_bytes, kMiB, 1024 * 1024 * kMiB,
                   "Answers of 4 KiB and more that clients have not taken yet, together, over each "
                   "of Thrift and gRPC; beyond it calls get RESOURCE_EXHAUSTED. One always fits."),
    CAIRN_INTEGER_(limits, column_families, 1, 100'000, "Column families of the node."),

    CAIRN_TEXT_(dram, listen_addr, true,
                "Where memory is served, \"host:port\"; of a name all its addresses; port 0 "
                "chooses a free one. Empty: nowhere. "
                "There is no authentication: a network that strangers don't reach."),
    CAIRN_TEXT_(dram, advertise_addr, true,
                "How the other nodes of the pool call this one. Empty: listen_addr, with the "
                "host's name for 0.0.0.0."),
    CAIRN_ENDPOINTS_(dram, remote_addrs,
                     "The other nodes of the pool, among which keys are spread. All nodes must "
                     "write all addresses alike."),
    CAIRN_INTEGER_(dram, capacity_mb, 1, 16 * kMiB,
                   "How much memory the values take, unless the spec says it. A full node refuses "
                   "writes, or evicts."),
    CAIRN_CHOICE_(dram, eviction, kEvictions,
                  "lru: a full node drops the values that were used least recently. none: it "
                  "refuses writes."),
    CAIRN_TEXT_(dram, tensorstore_addr, true,
                "Where the pool is served to TensorStore's driver tsgrpc_kvstore, \"host:port\". "
                "Empty: nowhere."),
    CAIRN_TEXT_(dram, spec, true,
                "The rest of the pool's spec, as JSON or a file of it: routing by range or map, "
                "timeouts. The keys of this section stand above it."),
};

#undef CAIRN_ACCESS_
#undef CAIRN_BOOL_
#undef CAIRN_INTEGER_
#undef CAIRN_PORT_
#undef CAIRN_NUMBER_
#undef CAIRN_TEXT_
#undef CAIRN_ENDPOINTS_
#undef CAIRN_TEXTS_
#undef CAIRN_CHOICE_

}  // namespace

std::string_view NameOf(Compression value) {
  return kCompressions[static_cast<std::size_t>(value)];
}
std::string_view NameOf(CompactionPriority value) {
  return kPriorities[static_cast<std::size_t>(value)];
}
std::string_view NameOf(StatisticsLevel value) {
  return kStatistics[static_cast<std::size_t>(value)];
}
std::string_view NameOf(LogLevel value) { return kLogLevels[static_cast<std::size_t>(value)]; }

std::span<const SectionSpec> Sections() { return kSections; }
std::span<const KeySpec> Keys() { return kKeys; }

const KeySpec* FindKey(std::string_view section, std::string_view name) {
  for (const KeySpec& key : kKeys) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

bool IsSection(std::string_view name) {
  for (const SectionSpec& section : kSections) {
    if (section.name == name) return true;
  }
  return false;
}

}  // namespace cairn::config
