// A group of Raft cores over a network and disks that a test controls, one event at a time. After
// every step it checks what Raft promises, and remembers the first promise that is broken:
//
//   one leader an epoch at most; what is committed anywhere never changes; a new leader holds
//   everything that is committed; nothing is committed that is not durable at a quorum; one entry
//   for a slot and an epoch; what is committed never shrinks; a read barrier opens at or above
//   everything that was committed when it was asked for.
//
// A failed check inside a core counts as a broken promise, too. Deterministic: everything follows
// from the seed and the calls. Thread safety: one thread.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_TESTING_CLUSTER_H_
#define CAIRN_SRC_CONSENSUS_RAFT_TESTING_CLUSTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/base/testing/check_failure.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

// What Raft promises, and a group of cores must keep.
enum class Promise : std::uint8_t {
  kNoneBroken,
  kOneLeader,        // an epoch
  kLogsMatch,        // one entry for a slot and epoch
  kCommittedStays,   // is never cut off, replaced or taken back
  kDurableAtQuorum,  // what is committed is on the disks of a quorum
  kLeaderHasAll,     // a new leader holds everything committed
  kFreshReads,       // a barrier opens at or above what was committed before it was asked for
  kSoundness,        // no core finds itself in a state that cannot be
  kProgress          // a healed group goes on, and everybody catches up
};

class Cluster {
 public:
  struct Options {
    std::uint32_t nodes = 3;   // numbered from 0
    std::uint32_t voters = 3;  // the first so many are voters
    // The nodes behind the voters that are learners; the others are strangers.
    std::uint32_t learners = 0;
    RaftOptions raft;
    // Options of a node that are not those of all, when it starts.
    std::function<void(NodeId, RaftOptions*)> adjust = [](NodeId, RaftOptions*) {};
  };
  using What = decltype(Event::what);

  struct Disk {
    std::map<Slot, Entry> entries;
    std::string hard_state;
    Slot base;  // compacted up to here
    Epoch base_epoch;
    Membership membership;  // as of base
  };
  struct Snapshot {
    NodeId from;
    PeerId to;
    Slot slot;
    Epoch epoch;
    Membership membership;
  };
  struct Node {
    IncarnationId incarnation;
    std::unique_ptr<RaftCore> core;  // null: down
    std::unique_ptr<SeededRandom> random;
    Disk disk;
    std::deque<Persist> writing;  // handed over, not durable
    std::deque<Message> held;     // wait for their token
    PersistToken durable;
    Slot committed;
    std::optional<Snapshot> installing;
    bool removed = false;
    std::set<std::uint64_t> barriers;  // asked for and open
    std::int64_t clock_drift_ppm = 0;  // its clock gains so many microseconds a second
  };
  struct InFlight {
    std::uint64_t id = 0;  // in the order of sending
    NodeId from;
    Message message;
  };

  Cluster(const Options& options, std::uint64_t seed);

  // ---- What happens to nodes

  void Start(NodeId id);
  // Everything in memory is lost; of what was on its way to the disk the first `arrived` writes are
  // there. An installation under way is finished or undone: by chance, or as it is told.
  void Crash(NodeId id, std::size_t arrived = 0, std::optional<bool> installed = std::nullopt);
  // Crashes, empties the folder and makes a new incarnation. Start it afterwards.
  void Wipe(NodeId id);
  // Crashes, and comes back from a disk of this epoch with a log of these epochs from slot 1 on,
  // nothing of which is known to be committed. Equal slots of equal epochs hold the same.
  void Rewrite(NodeId id, Epoch epoch, const std::vector<Epoch>& log);
  // The oldest write of the node becomes durable. False if there is none.
  bool PersistOne(NodeId id);
  void PersistAll(NodeId id);
  // The engine holds everything committed and durable up to `to` (at most that far): the log is
  // cut.
  void Compact(NodeId id, Slot to);
  // Finishes the installation that the core asked for, if one is under way.
  bool FinishInstall(NodeId id);
  void Tick(NodeId id) { Step(id, consensus::Tick{}); }
  // The slot, or nothing if it was rejected.
  std::optional<Slot> Propose(NodeId id, const std::string& payload = {}, bool announce = false);
  // The barrier's number; what becomes of it is in opened() or failed().
  std::uint64_t Barrier(NodeId id);
  Effects Step(NodeId id, What what);

  // ---- The network

  [[nodiscard]] const std::deque<InFlight>& network() const { return network_; }
  // Delivers (or only takes away) the message at this position; a copy stays with `keep`. A message
  // whose receiver is down or that a cut is in the way of is lost.
  void Deliver(std::size_t position, bool keep = false);
  void Drop(std::size_t position);
  [[nodiscard]] const std::deque<Snapshot>& snapshots() const { return snapshots_; }
  // The snapshot at this position arrives, or is lost; its sender is told.
  void DeliverSnapshot(std::size_t position, bool lost = false);
  void Cut(NodeId from, NodeId to) { cuts_.insert({from, to}); }
  void Heal() { cuts_.clear(); }
  [[nodiscard]] bool IsCut(NodeId from, NodeId to) const { return cuts_.count({from, to}) != 0; }

  // ---- Time

  void Advance(Duration by) { now_ = now_ + by; }
  // Lets `duration` pass in steps of 10 ms without loss: disks, network, snapshots and timers at
  // once. Wiped nodes are replaced when the leader learns of them.
  void Run(Duration duration);
  // Delivers and persists until nothing is on its way; no time passes.
  void Settle();

  // ---- Sights

  // The one that leads in the highest epoch.
  [[nodiscard]] std::optional<NodeId> Leader() const;
  [[nodiscard]] std::string Describe() const;
  // What was broken first, in words, and which promise it was.
  [[nodiscard]] const std::optional<std::string>& broken() const { return broken_; }
  [[nodiscard]] Promise broken_promise() const { return broken_promise_; }
  Node& node(NodeId id) { return nodes_.at(id); }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  [[nodiscard]] PeerId peer(NodeId id) const { return {id, nodes_.at(id).incarnation}; }
  [[nodiscard]] const Membership& first_membership() const { return first_membership_; }
  Random& random() { return random_; }
  [[nodiscard]] Slot highest_committed() const { return highest_committed_; }
  [[nodiscard]] const std::map<std::uint64_t, Slot>& opened() const { return opened_; }
  [[nodiscard]] const std::set<std::uint64_t>& failed() const { return failed_; }
  // The newest membership that was committed anywhere.
  [[nodiscard]] const Membership& committed_membership() const { return committed_membership_; }
  // Whether a membership was written, or sent, that is not committed and may be yet.
  [[nodiscard]] bool ChangeMayBeUnderWay() const;
  [[nodiscard]] MonotonicTime now() const { return now_; }
  // What the node's own clock shows.
  [[nodiscard]] MonotonicTime ClockOf(const Node& node) const {
    return now_ + Duration(now_.ns / 1'000'000 * node.clock_drift_ppm);
  }
  // Told of every effect and loss, for traces.
  std::function<void(NodeId, const Effects&)> on_effects;
  std::function<void(const InFlight&, const std::string& fate)> on_message;

 private:
  void CarryOut(NodeId id, Node& node, const Effects& effects);
  void Post(NodeId from, Message message);
  void AnswerFetch(NodeId id, const Fetch& fetch);
  static void WriteOne(Disk* disk, const Persist& persist);
  static void InstallOnDisk(Disk* disk, const Snapshot& snapshot);
  void ReplaceWiped();

  void Broken(Promise promise, const std::string& what);
  void CheckEntries(NodeId id, const Persist& persist);
  void CheckCommit(NodeId id, Node& node, Slot committed);
  void CheckQuorumHolds(NodeId id, const Node& node, Slot slot, Epoch epoch);
  void CheckLeader(NodeId id, const Node& node);
  [[nodiscard]] bool Holds(const PeerId& peer, Slot slot, Epoch epoch) const;

  const Options options_;
  const ChecksThrow checks_throw_;
  SeededRandom random_;
  Membership first_membership_;
  std::map<NodeId, Node> nodes_;
  std::deque<InFlight> network_;
  std::deque<Snapshot> snapshots_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  std::deque<std::pair<NodeId, What>> later_;
  bool in_step_ = false;

  std::optional<std::string> broken_;
  Promise broken_promise_ = Promise::kNoneBroken;
  std::map<Epoch, NodeId> leader_of_;
  std::map<std::pair<Slot, Epoch>, Entry> entries_;  // every one that was ever written
  std::map<PeerId, Disk> lost_disks_;                // of former incarnations
  std::map<Slot, Epoch> chosen_;
  Membership committed_membership_;
  std::map<std::uint64_t, Slot> barrier_floor_;
  std::map<std::uint64_t, Slot> opened_;
  std::set<std::uint64_t> failed_;
  Slot highest_committed_;
  std::uint64_t next_id_ = 0;
  std::uint64_t next_message_ = 1;
  MonotonicTime now_{1'000'000'000};
};

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_TESTING_CLUSTER_H_
