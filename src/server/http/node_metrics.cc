#include "src/server/http/node_metrics.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "src/server/http/peer_metrics.h"
#include "src/server/http/process_figures.h"
#include "src/storage/engine.h"

namespace cairn::server {
namespace {

using metrics::Exposition;
using metrics::Kind;
using metrics::Seconds;

constexpr double kNanosPerSecond = 1e9;
constexpr double kMicrosPerSecond = 1e6;

// A histogram of times in nanoseconds, shown in seconds.
void Times(std::string_view name, std::string_view help, const metrics::Histogram& histogram,
           Exposition* page) {
  page->Family(name, Kind::kHistogram, help);
  page->Sample({}, histogram.Read(), kNanosPerSecond);
}

void Amounts(std::string_view name, std::string_view help, const metrics::Histogram& histogram,
             Exposition* page) {
  page->Family(name, Kind::kHistogram, help);
  page->Sample({}, histogram.Read(), 1);
}

void Requests(const NodeService& service, Exposition* page) {
  service.requests().Render(page);
  const TransactionFigures transactions = service.Transactions();
  page->Family(
      "cairn_transactions_total", Kind::kCounter,
      "Transactions answered, by outcome: committed, or aborted (a conflict, or too old).");
  page->Sample({{"outcome", "committed"}}, transactions.committed);
  page->Sample({{"outcome", "aborted"}}, transactions.aborted);
  page->Gauge("cairn_transactions_active", "Transactions that wait for their answer.",
              transactions.active);
  page->Gauge("cairn_sessions", "Client sessions that exist.", std::uint64_t{service.Sessions()});
  page->Gauge("cairn_column_families", "Column families.",
              std::uint64_t{service.ColumnFamilies().size()});
}

void Leadership(const replication::ReplicaStatus& status, Exposition* page) {
  using consensus::Role;
  page->Family("cairn_replica_role", Kind::kGauge, "1 for the role that this node has, else 0.");
  for (const Role role : {Role::kLeader, Role::kFollower, Role::kCandidate, Role::kLearner}) {
    page->Sample({{"role", NameOf(role)}}, std::uint64_t{status.leadership.role == role});
  }
  page->Gauge("cairn_replica_epoch", "Epoch of leadership (Raft: term).",
              status.leadership.epoch.value());
  page->Gauge("cairn_replica_has_leader", "1 while this node knows a leader, else 0.",
              std::uint64_t{status.leadership.leader.has_value()});
  page->Family("cairn_replica_leader", Kind::kGauge,
               "1, with the number of the leader in the label; absent while none is known.");
  if (status.leadership.leader.has_value()) {
    page->Sample({{"node", ToString(*status.leadership.leader)}}, std::uint64_t{1});
  }
  std::uint64_t voters = 0;
  for (const auto& member : status.membership.members) voters += member.voter ? 1 : 0;
  page->Family("cairn_replica_members", Kind::kGauge,
               "Members of the group; a node by itself has none.");
  page->Sample({{"kind", "voter"}}, voters);
  page->Sample({{"kind", "learner"}}, status.membership.members.size() - voters);
}

void Positions(const replication::ReplicaStatus& status, Duration staleness, Exposition* page) {
  page->Family("cairn_replica_slot", Kind::kGauge,
               "Positions in the log: the last entry held, and the last one that is durable here, "
               "committed, applied.");
  page->Sample({{"position", "last"}}, status.last_slot.value());
  page->Sample({{"position", "durable"}}, status.durable_slot.value());
  page->Sample({{"position", "committed"}}, status.committed_slot.value());
  page->Sample({{"position", "applied"}}, status.applied_slot.value());
  page->Family("cairn_replica_staleness_seconds", Kind::kGauge,
               "Age of the last moment at which the applied state was known to hold every commit; "
               "absent until that was known.");
  if (staleness != Duration::max()) page->Sample({}, Seconds(staleness));
  page->Gauge("cairn_applied_version", "Version of the newest commit applied here.",
              status.applied_version.value());
  page->Gauge("cairn_watermark_version", "Reads below this version are refused.",
              status.watermark.value());
}

void Queues(const replication::ReplicaStatus& status, const replication::ReplicaDepths& depths,
            Exposition* page) {
  page->Gauge("cairn_replica_outstanding_proposals", "Writes that wait for their answer.",
              status.outstanding);
  page->Family(
      "cairn_replica_stalled_seconds", Kind::kGauge,
      "Of a leader: how long entries of its log have waited with none applied; 0 while none "
      "waits.");
  if (status.leadership.role == consensus::Role::kLeader) {
    page->Sample({}, Seconds(status.stalled_for.value_or(Duration::zero())));
  }
  page->Family("cairn_replica_queue_entries", Kind::kGauge,
               "What waits between the replica's threads: proposals for the core, batches for the "
               "journal, committed entries for the engine.");
  page->Sample({{"queue", "intake"}}, depths.intake);
  page->Sample({{"queue", "journal"}}, depths.persists);
  page->Sample({{"queue", "apply"}}, depths.apply_entries);
  page->Gauge("cairn_replica_apply_backlog_bytes",
              "Bytes of committed entries that wait for the engine.", depths.apply_backlog_bytes);
  page->Gauge("cairn_replica_apply_memory_bytes", "Of these, bytes that are held in memory.",
              depths.apply_memory_bytes);
  page->Gauge("cairn_replica_inbox_bytes", "Bytes of frames from peers that wait for the core.",
              depths.inbox_bytes);
}

void Replica(const replication::Replica& replica, const replication::ReplicaStatus& status,
             Exposition* page) {
  const replication::ReplicaFigures& figures = replica.figures();
  Leadership(status, page);
  page->Counter("cairn_replica_leader_changes_total",
                "Times that another leader than the last one became known.",
                figures.leader_changes.Value());
  Positions(status, replica.Staleness(), page);
  Queues(status, replica.depths(), page);
  page->Gauge("cairn_replica_recovered",
              "1 once everything that was committed before the start is applied, else 0.",
              std::uint64_t{status.recovered});
  page->Gauge("cairn_replica_accepts_writes",
              "1 while this node has room for writes, else 0: its disk is full.",
              std::uint64_t{status.health.ok()});
  page->Counter("cairn_replica_forwarded_writes_total", "Writes that other nodes sent here.",
                status.forwarded);
  page->Counter("cairn_replica_snapshots_installed_total",
                "Snapshots of another node that replaced the state of this one.",
                status.snapshots_installed);
  page->Counter("cairn_replica_bad_frames_total",
                "Frames from peers that were damaged, or of another group or cluster.",
                status.bad_frames);
  Times("cairn_commit_duration_seconds",
        "Time from proposing a batch here until it is committed and durable on this node.",
        figures.commit, page);
  Times("cairn_apply_duration_seconds", "Time to apply one log entry to the engine.", figures.apply,
        page);
  Times("cairn_fsync_duration_seconds",
        "Time of one fdatasync of the journal, as writes wait for it.", figures.sync, page);
  Amounts("cairn_batch_commands", "Commands in a batch that this node proposed.",
          figures.batch_commands, page);
  Amounts("cairn_batch_bytes", "Bytes of a batch that this node proposed.", figures.batch_bytes,
          page);
}

void Journal(const consensus::Journal& journal, Exposition* page) {
  const consensus::JournalFigures figures = journal.Figures();
  page->Gauge("cairn_journal_disk_bytes", "Size of the journal's files, spare ones included.",
              figures.bytes_on_disk);
  page->Gauge("cairn_journal_live_bytes", "Size of the journal's files that hold what is needed.",
              figures.live_bytes);
  page->Counter("cairn_journal_fsyncs_total", "fdatasyncs of the journal.", figures.syncs);
  page->Counter("cairn_journal_appended_records_total", "Records written to the journal.",
                figures.appended_records);
  page->Counter("cairn_journal_appended_bytes_total", "Bytes written to the journal.",
                figures.appended_bytes);
}

// A figure of the engine that may be absent.
void IfMeasured(const std::optional<std::uint64_t>& value, Kind kind, std::string_view name,
                std::string_view help, Exposition* page) {
  if (!value.has_value()) return;
  page->Family(name, kind, help);
  page->Sample({}, *value);
}

void Engine(const storage::EngineFigures& figures, Exposition* page) {
  const auto gauge = [page](const auto& value, std::string_view name, std::string_view help) {
    IfMeasured(value, Kind::kGauge, name, help, page);
  };
  const auto counter = [page](const auto& value, std::string_view name, std::string_view help) {
    IfMeasured(value, Kind::kCounter, name, help, page);
  };
  gauge(figures.estimated_keys, "cairn_rocksdb_estimated_keys",
        "Entries in the database, old versions included, as RocksDB estimates.");
  gauge(figures.bytes_on_disk, "cairn_rocksdb_disk_bytes", "Size of the database's files.");
  gauge(figures.memory_bytes, "cairn_rocksdb_memory_bytes",
        "Memory of write buffers, block cache and open files.");
  gauge(figures.unflushed_bytes, "cairn_rocksdb_write_buffer_bytes",
        "Memory of write buffers: what is not in files yet.");
  gauge(figures.block_cache_bytes, "cairn_rocksdb_block_cache_bytes", "Memory of the block cache.");
  counter(figures.cache_hits, "cairn_rocksdb_block_cache_hits_total",
          "Blocks that were found in the cache.");
  counter(figures.cache_misses, "cairn_rocksdb_block_cache_misses_total",
          "Blocks that had to be read from files.");
  gauge(figures.level0_files, "cairn_rocksdb_level0_files",
        "Files on level 0, over all column families.");
  gauge(figures.compaction_pending_bytes, "cairn_rocksdb_compaction_pending_bytes",
        "Bytes that compactions still have to rewrite, as RocksDB estimates.");
  gauge(figures.flushes_running, "cairn_rocksdb_flushes_running", "Flushes that run now.");
  gauge(figures.compactions_running, "cairn_rocksdb_compactions_running",
        "Compactions that run now.");
  counter(figures.flush_written_bytes, "cairn_rocksdb_flush_written_bytes_total",
          "Bytes that flushes wrote.");
  counter(figures.compaction_read_bytes, "cairn_rocksdb_compaction_read_bytes_total",
          "Bytes that compactions read.");
  counter(figures.compaction_written_bytes, "cairn_rocksdb_compaction_written_bytes_total",
          "Bytes that compactions wrote.");
  if (figures.write_stall_us.has_value()) {
    page->Family("cairn_rocksdb_write_stall_seconds_total", Kind::kCounter,
                 "Time for which writes waited because flushes or compactions did not keep up.");
    page->Sample({}, static_cast<double>(*figures.write_stall_us) / kMicrosPerSecond);
  }
}

void Disk(const std::string& data_directory, Exposition* page) {
  const auto disk = ReadDisk(data_directory);
  if (!disk.has_value()) return;
  page->Gauge("cairn_disk_size_bytes", "Size of the disk that holds the data folder.",
              disk->size_bytes);
  page->Gauge("cairn_disk_available_bytes", "Room left on the disk that holds the data folder.",
              disk->available_bytes);
}

void Parts(const PartWatch& parts, Exposition* page) {
  const std::vector<PartWatch::Sight> sights = parts.Look();
  page->Family("cairn_executor_delay_seconds", Kind::kGauge,
               "How long the last task of a probe waited for its turn on a thread of the node; of "
               "one that hangs, how long it has waited so far.");
  for (const PartWatch::Sight& part : sights) {
    const Duration delay = std::max(part.waiting, part.answered.value_or(Duration(0)));
    if (part.answered || part.waiting.count() > 0) {
      page->Sample({{"executor", part.name}}, Seconds(delay));
    }
  }
}

}  // namespace

void AppendNodeFamilies(const MetricsSources& sources, Exposition* page) {
  Requests(*sources.service, page);
  // One moment for all that the page says of the replica.
  const replication::ReplicaStatus status = sources.replica->status();
  Replica(*sources.replica, status, page);
  AppendPeerFamilies(sources.service->PeersAndProgress(), status.committed_slot, page);
  Journal(*sources.journal, page);
  if (sources.wires) AppendWireFamilies(sources.wires(), page);
  Engine(sources.service->EngineFigures(), page);
  if (sources.parts != nullptr) Parts(*sources.parts, page);
  Disk(sources.data_directory, page);
  for (const auto& append : sources.more) append(page);
}

}  // namespace cairn::server
