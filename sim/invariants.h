// What must hold at every step, seen from outside the replicas: around each core and each journal
// stands a watcher that passes everything on and reports it to the one ledger of the world.
//
//   * one leader an epoch at most
//   * logs match: an entry of one slot and epoch is the same everywhere, and so is the one before
//   it
//   * what is committed anywhere never changes, and is what every node applies
//   * a core is told that something is durable only after it was synced, and a message leaves only
//     after what it promises was
//   * nothing is applied that is not committed and durable here
//   * after a restart the journal holds all that was synced
//   * the journal is cut only below what the engine has flushed
//   * states of replicas that applied the same slot have one hash
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_INVARIANTS_H_
#define CAIRN_SIM_INVARIANTS_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/effects.h"
#include "sim/story_line.h"
#include "sim/violation.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/consensus/journal/journal.h"
#include "src/storage/engine.h"

namespace cairn::sim {

// A hash of a state as a reader sees it: sixteen hexadecimal digits.
std::string HashText(std::uint64_t hash);

class Invariants {
 public:
  // `report` gets the first violation of each kind of trouble; the run ends there. `trace` gets a
  // line for what a reader of the story wants to see; may be empty.
  using Report = std::function<void(ViolationKind, const std::string&)>;
  using TraceMessage = std::function<void(NodeId from, NodeId to, const std::string& body)>;

  Invariants(std::uint32_t nodes, Effects* effects, Report report)
      : report_(std::move(report)), effects_(effects), disks_(nodes), runs_(nodes) {}

  // Sees each core message that a core receives. May be empty.
  void SetMessageTrace(TraceMessage trace) { trace_message_ = std::move(trace); }
  // Sees what nodes do besides: roles, syncs, commits, applied slots, snapshots. May be empty.
  using Trace = std::function<void(StoryLine::Kind, NodeId, const std::string&)>;
  void SetTrace(Trace trace) { trace_ = std::move(trace); }

  // Sees every step of every core and what came of it. May be empty.
  using Observer = std::function<void(NodeId, const consensus::Event&, const consensus::Effects&)>;
  void SetObserver(Observer observer) { observer_ = std::move(observer); }

  // Watchers for one run of the node's process. They end with it.
  std::unique_ptr<consensus::Core> Watch(NodeId node, std::unique_ptr<consensus::Core> core);
  std::unique_ptr<consensus::Journal> Watch(NodeId node,
                                            std::unique_ptr<consensus::Journal> journal,
                                            const storage::Engine* engine);

  // The node's disk is gone for good: it owes nothing any more.
  void Wiped(NodeId node) { disks_[node.value()] = Disk(); }
  // `node` hands a frame to the network.
  void Sends(NodeId node, const std::string& frame);
  // `node` holds the state of `slot`, whose hash is this.
  void StateHash(NodeId node, Slot slot, std::uint64_t hash);

  // What StateHash was told of that slot, and by which node; null if nothing.
  [[nodiscard]] const std::pair<std::uint64_t, NodeId>* HashAt(Slot slot) const {
    const auto it = hashes_.find(slot);
    return it == hashes_.end() ? nullptr : &it->second;
  }

  // Every entry that is committed, from slot 1 on without holes (entries that no node had in its
  // log when they were committed elsewhere included: the first to commit had them).
  struct Chosen {
    consensus::Entry entry;
    NodeId first;  // who committed it first
  };
  [[nodiscard]] const std::map<Slot, Chosen>& chosen() const { return chosen_; }
  [[nodiscard]] Slot highest_committed() const { return highest_committed_; }
  [[nodiscard]] Epoch highest_epoch() const {
    return leaders_.empty() ? Epoch() : leaders_.rbegin()->first;
  }
  [[nodiscard]] std::uint64_t elections() const { return leaders_.size(); }
  // Snapshots that were installed.
  [[nodiscard]] std::uint64_t snapshots() const { return snapshots_; }
  // The node that leads in the highest epoch there was, by what it says itself.
  [[nodiscard]] std::optional<NodeId> leader() const;
  [[nodiscard]] const consensus::Leadership& leadership(NodeId node) const {
    return runs_[node.value()].leadership;
  }

 private:
  class WatchedCore;
  class WatchedJournal;

  // An entry as far as comparing goes.
  struct Mark {
    Epoch epoch;
    std::uint64_t digest = 0;
  };
  // What a disk must hold after a crash.
  struct Disk {
    std::map<Slot, Mark> entries;  // synced
    std::string hard_state;
    std::deque<consensus::Persist> unsynced;  // handed over to the journal, in order
    Slot compacted;
  };
  // Of one run of a process.
  struct Run {
    std::map<Slot, consensus::Entry> log;  // the core's
    Slot committed;
    Slot log_base;  // everything up to here is in a snapshot
    consensus::PersistToken appended;
    consensus::PersistToken synced;
    std::vector<std::pair<consensus::PersistToken, std::string>> promises;  // bodies not yet due
    // Digests of bodies that were due once in this run: the same words again promise nothing new.
    absl::flat_hash_set<std::uint64_t> due;
    consensus::Leadership leadership;
  };

  void Violation(NodeId node, ViolationKind kind, const std::string& what);
  void CheckRecovered(NodeId node, const consensus::Recovered& event);
  void BeforeStep(NodeId node, const consensus::Event& event);
  void AfterStep(NodeId node, const consensus::Effects& effects);
  void Takes(NodeId node, const consensus::Persist& persist);
  void Commits(NodeId node, Slot slot);
  void Leads(NodeId node, Epoch epoch);
  void Installs(NodeId node, Slot slot, Epoch epoch);
  [[nodiscard]] Slot DurableSlot(NodeId node) const;
  // For the story: what a sync made durable, and what came of a step.
  void TellSynced(NodeId node) const;
  void TellStep(NodeId node, const consensus::Effects& effects) const;
  static void Apply(const consensus::Persist& persist, Disk* disk);

  const Report report_;
  Effects* const effects_;
  TraceMessage trace_message_;
  Trace trace_;
  Observer observer_;
  std::vector<Disk> disks_;
  std::vector<Run> runs_;
  std::map<Epoch, NodeId> leaders_;
  std::map<Slot, Chosen> chosen_;
  Slot highest_committed_;
  // By slot and epoch: the entry, and the epoch of the one before it (0: not seen).
  struct Known {
    std::uint64_t digest = 0;
    Epoch before;
    NodeId node;
  };
  absl::flat_hash_map<std::pair<std::uint64_t, std::uint64_t>, Known> entries_;
  std::map<Slot, std::pair<std::uint64_t, NodeId>> hashes_;
  std::uint64_t snapshots_ = 0;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_INVARIANTS_H_
