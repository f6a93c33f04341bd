// Sends snapshots to peers that lack what is gone from the journal: a checkpoint of the engine,
// file by file, in chunks, a window of them at a time (docs/formats/snapshot_messages.md).
//
// Memory: one window a transfer. Disk: the checkpoint shares its files with the engine (hard
// links), and is removed when the transfer ends; what a crash left is removed by whoever empties
// the folder at the start.
//
// Thread safety: everything belongs to one executor (upkeep), where the hooks run too; but
// lowest_slot, from any thread.
#ifndef CAIRN_SRC_REPLICATION_SNAPSHOT_SENDER_H_
#define CAIRN_SRC_REPLICATION_SNAPSHOT_SENDER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/consensus/core/membership.h"
#include "src/replication/snapshot_messages.h"
#include "src/storage/engine.h"

namespace cairn::replication {

struct SnapshotSenderOptions {
  std::string directory;  // checkpoints are made in folders of their own in it
  std::uint64_t seed = 0;
  std::size_t chunk_bytes = 256 << 10;
  std::size_t window_bytes = 4 << 20;
  // Bytes a second of all transfers together; 0: no bound.
  std::uint64_t bytes_per_second = 0;
  // Unanswered for so long, it asks how far the receiver is, and goes back to the last answer if
  // nothing is sent; for so much longer, it gives up: a receiver that restarts within that time
  // goes on where it was. The log behind the snapshot is kept meanwhile.
  Duration resend_after = std::chrono::milliseconds(500);
  Duration give_up_after = std::chrono::seconds(60);
  // An offer that nobody answers grows old: whoever comes back later gets a newer state.
  Duration answer_within = std::chrono::seconds(2);
  // After a peer refused one, or none could be made, the next one waits: the first time so long,
  // twice as long each time it happens again, up to the bound.
  Duration retry_after = std::chrono::seconds(1);
  Duration retry_at_most = std::chrono::seconds(8);
};

class SnapshotSender {
 public:
  struct Hooks {
    std::function<void(NodeId to, const std::string& body)> send;
    // A transfer ended; `slot` is the snapshot's. Once for each Start.
    std::function<void(const consensus::PeerId& peer, bool ok, Slot slot)> done;
  };

  SnapshotSender(const SnapshotSenderOptions& options, storage::Engine* engine, FileSystem* files,
                 Hooks hooks);

  // Sends the state to the peer, under the leadership of `epoch`, now or when it is time to try
  // again; a transfer that is under way to another life of the same node ends.
  void Start(const consensus::PeerId& peer, Epoch epoch, MonotonicTime now);
  void OnAck(NodeId from, const SnapshotAck& ack, MonotonicTime now);
  // Sends what is due. Call it every few milliseconds while !empty().
  void Tick(MonotonicTime now);
  [[nodiscard]] bool empty() const { return transfers_.empty() && waiting_.empty(); }
  // The lowest slot of a snapshot that is on its way: its receiver needs the log from there on.
  // Slot::Max() if there is none. Any thread.
  [[nodiscard]] Slot lowest_slot() const {
    return Slot(lowest_slot_.load(std::memory_order_acquire));
  }

 private:
  struct Transfer {
    consensus::PeerId peer;
    SnapshotOffer offer;
    Slot slot;
    std::string directory;
    bool accepted = false;                 // the offer was answered
    bool offered_again = false;            // since the last answer that said something new
    MonotonicTime offered{INT64_MIN / 2};  // last
    SnapshotPosition acked;
    SnapshotPosition next;
    std::uint64_t in_flight = 0;  // bytes between acked and next
    std::uint64_t bytes = 0;      // of files, sent in all
    MonotonicTime heard;          // of the last answer that said something new
    MonotonicTime sent{INT64_MIN / 2};
    bool broken = false;         // the checkpoint can't be read
    std::unique_ptr<File> file;  // the one of next.file
    std::uint64_t open_file = 0;
  };

  // A transfer that waits for its time.
  struct Waiting {
    consensus::PeerId peer;
    Epoch epoch;
  };
  struct Retry {
    MonotonicTime not_before;
    Duration wait{0};
  };

  void Begin(const consensus::PeerId& peer, Epoch epoch, MonotonicTime now);
  void BackOff(NodeId node, MonotonicTime now);
  // Makes a checkpoint in `directory`, which may be left behind on an error.
  Result<Transfer> Prepare(const consensus::PeerId& peer, Epoch epoch,
                           const std::string& directory);
  // What the receiver has, by its answer.
  static void GoOn(Transfer* transfer, const SnapshotPosition& have, MonotonicTime now);
  void SendWindow(Transfer* transfer, MonotonicTime now);
  Result<SnapshotChunk> ReadChunk(Transfer* transfer);
  void End(NodeId to, bool ok);
  void UpdateLowestSlot();
  [[nodiscard]] std::uint64_t Allowance(MonotonicTime now);

  const SnapshotSenderOptions options_;
  storage::Engine* const engine_;
  FileSystem* const files_;
  const Hooks hooks_;
  SeededRandom random_;
  std::uint64_t next_folder_ = 1;
  std::map<NodeId, Transfer> transfers_;
  std::map<NodeId, Waiting> waiting_;
  std::map<NodeId, Retry> retries_;
  // What may be sent now, with a bound on the rate.
  double tokens_ = 0;
  MonotonicTime refilled_;
  std::atomic<std::uint64_t> lowest_slot_{Slot::Max().value()};
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_SNAPSHOT_SENDER_H_
