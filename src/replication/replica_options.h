// What a replica is told, what it reaches the world through, and what it says of itself.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_REPLICATION_REPLICA_OPTIONS_H_
#define CAIRN_SRC_REPLICATION_REPLICA_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/kv/limits.h"
#include "src/storage/engine.h"
#include "src/transport/peer_transport.h"

namespace cairn::replication {

// The longest command that is sent to other nodes; beyond it a proposal gets kInvalidArgument. With
// its framing, and what shares its entry, it must fit into a frame of the peers
// (TcpTransportOptions::max_frame_bytes): one that does not would be sent again for ever.
inline constexpr std::uint64_t kMaxReplicatedCommandBytes = 64 << 20;

struct ReplicaOptions {
  NodeId node;
  GroupId group;
  // Of this node's data folder, and the cluster that it belongs to: in every frame it sends. Frames
  // of another cluster are dropped.
  IncarnationId incarnation;
  std::uint64_t cluster = 0;
  // Random, another one each time the process starts: it names the process to others.
  std::uint64_t boot = 0;
  // The members that the group was formed with: in force as long as the state holds no membership.
  consensus::Membership initial_membership;
  // Commands in one log entry.
  std::uint32_t max_batch_size = 100;
  // Proposals whose fate is open, also of clients that gave up; beyond it kResourceExhausted.
  std::uint32_t max_outstanding_proposals = 1000;
  // And the bytes of their commands.
  std::uint64_t max_outstanding_bytes = 256 << 20;
  // Own batches that are on their way to the local disk at once; the next one gathers meanwhile.
  std::uint32_t max_batches_in_flight = 1;
  // Payloads of committed entries that wait for the engine in memory; beyond it they are read from
  // the journal when their turn comes.
  std::uint64_t max_apply_queue_bytes = 64 << 20;
  // Committed entries that wait for the engine, in all. Beyond it nothing more is taken into the
  // journal: a follower whose engine is full stops acknowledging. 0: four times max_journal_bytes.
  std::uint64_t max_apply_backlog_bytes = 0;
  // The longest that a proposal waits for company before its batch is sent (see batch_pacer.h).
  Duration max_batch_delay = std::chrono::microseconds(1000);
  kv::Limits limits;
  // The engine is flushed when the live part of the journal exceeds this.
  std::uint64_t max_journal_bytes = 256 << 20;
  // In a group so much of the log stays, for nodes that were away, when the journal is cut: it is
  // once its live part exceeds max_journal_bytes and twice this. Without room on the disk it is cut
  // to what the engine has flushed.
  std::uint64_t retain_journal_bytes = 64 << 20;
  // Versions older than this may be dropped.
  Duration mvcc_window = std::chrono::seconds(300);
  // A session unused for this long is expired.
  Duration session_idle = std::chrono::seconds(600);
  // How often the replica asks for a read barrier by itself, so that it knows how old its state is
  // (Staleness) although nobody reads. 0: never.
  Duration freshness_interval{0};
  // How often this node tells the others how it is (node_report.h). 0: never.
  Duration report_interval{0};
  // The snapshot that the engine's state began with, if one was installed: the journal is reset to
  // it if a crash came before that.
  Slot installed_slot;
  Epoch installed_epoch;
  // Of snapshots to all peers together; 0: no bound.
  std::uint64_t snapshot_bytes_per_second = 0;
  // A leader that could take no writes for so long, for want of room on its disk, asks a voter
  // without such trouble to lead. 0: never.
  Duration hand_over_after = std::chrono::seconds(1);
  // How often a full disk is tried again.
  Duration disk_retry = std::chrono::milliseconds(100);
};

// Everything the replica reaches the world through. All pointers must outlive the replica's Stop.
struct ReplicaEnvironment {
  const Clock* clock = nullptr;
  SerialExecutor* core = nullptr;
  SerialExecutor* journal = nullptr;
  SerialExecutor* apply = nullptr;
  SerialExecutor* upkeep = nullptr;
  // To the other nodes. Null for a group of one.
  transport::PeerTransport* transport = nullptr;
  // Snapshots: where they are made and collected (a folder on the engine's file system, emptied at
  // the start but for one that is being taken), and what makes a complete one the engine's state
  // (storage::SwapEngine::Install; apply executor). Without them this node sends and takes none.
  FileSystem* files = nullptr;
  std::string snapshot_directory;
  std::function<Status(const std::string& folder, const storage::StateMeta&,
                       const std::function<Status(storage::Engine*)>& prepare)>
      install_snapshot;
  // Told of the membership in force, at the start and whenever it changes; on the core executor.
  // May be empty.
  std::function<void(const consensus::Membership&)> membership_changed;
  // Called once, with why, when the node must end: a failed fsync, a damaged record, an entry that
  // can't be decoded. The replica does nothing more after it.
  std::function<void(const Status&)> fatal;
};

// What happens to a write where another node leads. kForwarded: it is refused, since another node
// sent it here, which waits for it; so its commit is announced (consensus::Propose).
enum class Elsewhere : std::uint8_t { kRefuse, kForward, kForwarded };

struct ReplicaStatus {
  consensus::Leadership leadership;
  consensus::Membership membership;  // in force; empty in a group of one without membership
  Slot last_slot;                    // last one in the log
  Slot durable_slot;                 // everything up to it is synced in the local journal
  Slot committed_slot;
  Slot applied_slot;
  Version applied_version;
  Version watermark;
  std::uint64_t outstanding = 0;  // proposals that wait for their answer
  Status health;                  // not OK while proposals are refused
  // Of a leader: how long entries of its log have waited with none applied (stall.h); nothing while
  // none waits.
  std::optional<Duration> stalled_for;
  bool recovered = false;      // replayed to the last commit known at start
  bool removed = false;        // this node was removed from the group, for good
  std::uint64_t features = 0;  // switched on in the state, as bits
  std::uint64_t snapshots_installed = 0;
  std::uint64_t forwarded = 0;   // writes that other nodes sent here
  std::uint64_t bad_frames = 0;  // from peers: damaged, or of another group or cluster
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_REPLICA_OPTIONS_H_
