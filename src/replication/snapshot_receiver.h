// Collects a snapshot that a leader sends, in a folder beside the state, and says when it is
// complete and durable. What becomes of it is decided elsewhere; Finish tells the outcome.
//
// One at a time: a later leadership's offer, or another one of the same leader, takes the place of
// what was being collected. Chunks are taken in order; each is answered with how far it is.
//
// A node that ends meanwhile goes on where it was: TakeUp finds what is synced, and the next answer
// says how far that is. One that ends after all was there begins anew, as the folder was handed
// over.
//
// Memory: one chunk. Disk: what the offer says, which is refused if there is no room for it and for
// its installation, asked when it begins and again when it is complete.
//
// Thread safety: everything belongs to one executor (upkeep), where the hooks run too; but
// progress(), from any thread.
#ifndef CAIRN_SRC_REPLICATION_SNAPSHOT_RECEIVER_H_
#define CAIRN_SRC_REPLICATION_SNAPSHOT_RECEIVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/kv/operation.h"
#include "src/replication/incoming_snapshot.h"
#include "src/replication/snapshot_messages.h"
#include "src/storage/engine.h"

namespace cairn::replication {

class SnapshotReceiver {
 public:
  // Twice SnapshotSenderOptions::give_up_after.
  static constexpr Duration kForgotten = std::chrono::minutes(2);

  struct Hooks {
    std::function<void(NodeId to, const std::string& body)> send;
    // The snapshot `id` is complete and synced in the folder; Finish(id) follows, later.
    std::function<void(std::uint64_t id, const std::string& folder, const storage::StateMeta& meta)>
        complete;
  };

  // How far the one that is being taken is.
  struct Progress {
    NodeId from;
    Slot slot;
    std::uint64_t have_bytes = 0;
    std::uint64_t total_bytes = 0;
  };

  // Collects in folders of `directory`, for the node's life `self`.
  // `known_features`: a state that has others switched on is refused. `mark_every_bytes`: a crash
  // costs so much at most, and what was on its way.
  SnapshotReceiver(std::string directory, IncarnationId self, FileSystem* files, Hooks hooks,
                   std::uint64_t known_features = kv::kKnownFeatures,
                   std::uint64_t mark_every_bytes = std::uint64_t{4} << 20)
      : directory_(std::move(directory)),
        self_(self),
        files_(files),
        hooks_(std::move(hooks)),
        known_features_(known_features),
        mark_every_bytes_(mark_every_bytes) {}

  // At the start, before any message: takes up what a former process was collecting, if it can be
  // used and is beyond `applied`, and empties the directory of everything else, so also of what was
  // being sent. What is damaged is removed with a log line. An error if something can't be removed.
  Status TakeUp(Slot applied);
  // A frame of kind kSnapshot. kCorruption for one that is damaged: nothing changes.
  Status OnMessage(NodeId from, std::string_view body);
  // The complete snapshot was installed, or turned out not to be needed: its sender is told. The
  // folder, if it is still there, is removed.
  void Finish(std::uint64_t id);
  // The state has reached `applied` by the log: what was being collected and is not beyond it is
  // removed.
  void DropUpTo(Slot applied);
  // Now and then: what nobody has sent anything of for kForgotten is dropped. Its sender has given
  // up, and would offer another one.
  void Tick(MonotonicTime now);
  // Nothing: none is being taken or installed. Any thread.
  [[nodiscard]] std::optional<Progress> progress() const {
    MutexLock lock(&progress_mutex_);
    return progress_;
  }

 private:
  struct Incoming {
    IncomingSnapshot files;
    storage::StateMeta meta;
    bool complete = false;  // and handed over
    bool heard = true;      // something came since the last Tick
    MonotonicTime since{};  // the Tick that heard last
  };

  void OnOffer(NodeId from, SnapshotOffer offer);
  void OnChunk(NodeId from, const SnapshotChunk& chunk);
  Status Begin(NodeId from, SnapshotOffer offer);
  // The meta of an offer to this node that can be taken.
  [[nodiscard]] Result<storage::StateMeta> CheckOffer(const SnapshotOffer& offer) const;
  Result<Incoming> TakeUpFolder(const std::string& folder, Slot applied);
  void CompleteIfWhole();
  // Is there room for `bytes` more, and to install the whole? kResourceExhausted says what lacks.
  [[nodiscard]] Status CheckRoom(std::uint64_t bytes) const;
  void Refuse(NodeId from, std::uint64_t id, const std::string& reason);
  void Drop();
  void UpdateProgress();
  void Answer(SnapshotAck::Verdict verdict, const std::string& reason = {});

  const std::string directory_;
  const IncarnationId self_;
  FileSystem* const files_;
  const Hooks hooks_;
  const std::uint64_t known_features_;
  const std::uint64_t mark_every_bytes_;
  std::uint64_t next_folder_ = 1;
  std::optional<Incoming> incoming_;
  std::uint64_t finished_ = 0;  // the id of the last one that was: its sender may ask again

  mutable Mutex progress_mutex_;
  std::optional<Progress> progress_ ABSL_GUARDED_BY(progress_mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_SNAPSHOT_RECEIVER_H_
