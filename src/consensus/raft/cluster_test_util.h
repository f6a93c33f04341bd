// A cluster of cores over a network and disks that misbehave, one event at a time, from one seed.
// After every step it checks what Raft promises: one leader an epoch at most; logs that agree on a
// slot's epoch agree on everything before it; what is committed anywhere never changes; nothing is
// committed that is not durable at a quorum.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_CLUSTER_TEST_UTIL_H_
#define CAIRN_SRC_CONSENSUS_RAFT_CLUSTER_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

class TestCluster {
 public:
  struct Options {
    std::uint32_t nodes = 3;
    std::uint32_t voters = 3;  // the first so many; the others are learners
    RaftOptions raft;
  };

  TestCluster(const Options& options, std::uint64_t seed) : options_(options), random_(seed) {
    for (std::uint32_t n = 0; n < options.nodes; ++n) {
      membership_.members.push_back({NodeId(n), IncarnationId(n + 1), n < options.voters});
    }
    for (std::uint32_t n = 0; n < options.nodes; ++n) {
      nodes_[NodeId(n)].membership = membership_;
      Start(NodeId(n));
    }
  }

  struct Disk {
    std::map<Slot, Entry> entries;
    std::string hard_state;
  };

  struct Node {
    std::unique_ptr<RaftCore> core;
    Disk disk;
    Membership membership;  // of the snapshot at base
    Slot base;              // compacted up to here
    Epoch base_epoch;
    std::deque<Persist> pending;  // handed over, not durable
    std::deque<Message> held;     // wait for their token
    PersistToken durable;
    Slot committed;
    Slot applied;
    std::set<std::uint64_t> open_barriers;
    std::vector<std::pair<std::uint64_t, Slot>> opened;
  };

  // ---- Actions

  void Start(NodeId id) {
    Node& node = nodes_[id];
    RaftOptions raft = options_.raft;
    raft.self = id;
    node.core = std::make_unique<RaftCore>(raft, &random_);
    node.pending.clear();
    node.held.clear();
    node.durable = PersistToken();
    node.applied = node.committed = node.base;
    Recovered event;
    event.hard_state = node.disk.hard_state;
    event.snapshot_slot = node.base;
    event.snapshot_epoch = node.base_epoch;
    event.membership = node.membership;
    for (const auto& [slot, entry] : node.disk.entries) event.entries.push_back(entry);
    Step(id, std::move(event));
  }

  // Loses what is not durable, in memory and on the way to the disk.
  void Crash(NodeId id) {
    Node& node = nodes_[id];
    // Some of what was on its way may have arrived: the journal writes in order.
    for (std::uint64_t n = random_.Below(node.pending.size() + 1); n > 0; --n) WriteOne(node);
    node.core.reset();
    FailOpenBarriers(node);
  }

  void PersistOne(NodeId id) {
    Node& node = nodes_[id];
    if (!node.core || node.pending.empty()) return;
    const PersistToken token = node.pending.front().token;
    WriteOne(node);
    node.durable = token;
    while (!node.held.empty() && node.held.front().after <= token) {
      Post(id, std::move(node.held.front()));
      node.held.pop_front();
    }
    Step(id, Persisted{token});
  }

  void Tick(NodeId id) { Step(id, consensus::Tick{}); }

  bool Propose(NodeId id) {
    const ProposalId proposal(++next_id_);
    const Effects effects = Step(
        id,
        consensus::Propose{proposal, EntryKind::kCommands,
                           std::make_shared<const std::string>("p" + std::to_string(next_id_))});
    return !effects.accepted.empty();
  }

  // A barrier must open at or above everything that was committed anywhere when it was asked for.
  void Barrier(NodeId id) {
    Node& node = nodes_[id];
    if (!node.core) return;
    const std::uint64_t barrier = ++next_id_;
    barrier_floor_[barrier] = highest_committed_;
    node.open_barriers.insert(barrier);
    Step(id, ReadBarrier{BarrierId(barrier)});
  }

  void Compact(NodeId id) {
    Node& node = nodes_[id];
    if (!node.core) return;
    Slot to = std::min(node.applied, DurableSlot(node));
    if (to <= node.base) return;
    to = Slot(node.base.value() + 1 + random_.Below(to.value() - node.base.value()));
    for (auto it = node.disk.entries.begin(); it != node.disk.entries.end() && it->first <= to;) {
      node.base_epoch = it->second.epoch;
      if (it->second.kind == EntryKind::kMembership) {
        node.membership = *Membership::Decode(*it->second.payload);
      }
      it = node.disk.entries.erase(it);
    }
    node.base = to;
    Step(id, Compacted{to});
  }

  // Delivers, loses or doubles one message, any of those on their way.
  void DeliverOne(std::uint64_t loss_percent) {
    if (network_.empty()) return;
    const std::size_t i = random_.Below(network_.size());
    std::pair<NodeId, Message> sent = network_[i];
    const bool doubled = random_.OneIn(1, 20);
    if (!doubled) {
      network_[i] = std::move(network_.back());
      network_.pop_back();
    }
    if (random_.Below(100) < loss_percent || IsCut(sent.first, sent.second.to)) return;
    if (nodes_[sent.second.to].core == nullptr) return;
    Step(sent.second.to, MessageReceived{sent.first, std::move(sent.second.body)});
  }

  void Advance(Duration by) { now_ = now_ + by; }

  Effects Step(NodeId id, decltype(Event::what) what) {
    Node& node = nodes_[id];
    if (!node.core) return {};
    Effects effects = node.core->Step(Event{now_, std::move(what)});
    CarryOut(id, node, effects);
    Check();
    return effects;
  }

  void Cut(NodeId a, NodeId b) { cuts_.insert({a, b}); }
  void HealNetwork() { cuts_.clear(); }

  // Lets everything settle without loss: ticks when due, disks and network at once.
  void Run(Duration duration) {
    const MonotonicTime end = now_ + duration;
    while (now_ < end) {
      bool busy = true;
      for (int i = 0; busy && i < 100'000; ++i) {
        busy = !network_.empty();
        if (busy) DeliverOne(0);
        for (auto& [id, node] : nodes_) {
          while (!node.pending.empty() && node.core) {
            PersistOne(id);
            busy = true;
          }
        }
      }
      Advance(std::chrono::milliseconds(10));
      for (auto& [id, node] : nodes_) Tick(id);
    }
  }

  // ---- Sights

  std::optional<NodeId> Leader() {
    std::optional<NodeId> leader;
    Epoch highest;
    for (auto& [id, node] : nodes_) {
      if (node.core && node.core->role() == Role::kLeader && node.core->epoch() >= highest) {
        leader = id;
        highest = node.core->epoch();
      }
    }
    return leader;
  }
  // One line a node, for failures.
  std::string Describe() {
    std::string text;
    for (auto& [id, node] : nodes_) {
      text += "node " + ToString(id);
      if (!node.core) {
        text += " down\n";
        continue;
      }
      const RaftCore& core = *node.core;
      text += " role " + std::to_string(static_cast<int>(core.role())) + " epoch " +
              ToString(core.epoch()) + " last " + ToString(core.log().last_slot()) + "/" +
              ToString(core.log().last_epoch()) + " committed " + ToString(core.committed()) +
              " voters";
      for (const NodeId voter : core.membership().Voters()) text += " " + ToString(voter);
      for (const NodeId voter : core.membership().outgoing_voters) text += " -" + ToString(voter);
      text += "\n";
    }
    return text;
  }
  Node& node(NodeId id) { return nodes_[id]; }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  Random& random() { return random_; }
  Slot highest_committed() const { return highest_committed_; }
  std::uint64_t barriers_opened() const { return barriers_opened_; }
  std::uint64_t snapshots_sent() const { return snapshots_sent_; }
  const std::map<Slot, std::pair<Epoch, std::string>>& chosen() const { return chosen_; }
  MonotonicTime now() const { return now_; }

 private:
  static Slot DurableSlot(const Node& node) {
    return node.disk.entries.empty() ? node.base : node.disk.entries.rbegin()->first;
  }
  bool IsCut(NodeId a, NodeId b) const { return cuts_.count({a, b}) != 0; }
  void Post(NodeId from, Message message) { network_.emplace_back(from, std::move(message)); }

  void FailOpenBarriers(Node& node) { node.open_barriers.clear(); }

  static void WriteOne(Node& node) {
    Persist& persist = node.pending.front();
    if (persist.truncate_from) {
      node.disk.entries.erase(node.disk.entries.lower_bound(*persist.truncate_from),
                              node.disk.entries.end());
    }
    for (const Entry& entry : persist.entries) {
      if (entry.slot > node.base) node.disk.entries[entry.slot] = entry;
    }
    if (persist.hard_state) node.disk.hard_state = *persist.hard_state;
    node.pending.pop_front();
  }

  void CarryOut(NodeId id, Node& node, const Effects& effects) {
    if (effects.persist) node.pending.push_back(*effects.persist);
    for (const Message& message : effects.messages) {
      if (message.after > node.durable) {
        node.held.push_back(message);
      } else {
        Post(id, message);
      }
    }
    if (effects.committed) {
      ASSERT_GE(*effects.committed, node.committed);
      node.committed = *effects.committed;
    }
    for (const OpenBarrier& open : effects.open_barriers) {
      if (node.open_barriers.erase(open.id.value()) == 0) continue;
      ASSERT_GE(open.slot, barrier_floor_[open.id.value()]) << "a stale read barrier";
      ++barriers_opened_;
    }
    for (const FailedBarrier& failed : effects.failed_barriers) {
      node.open_barriers.erase(failed.id.value());
    }
    for (const Fetch& fetch : effects.fetches) {
      Fetched answer{fetch.peer, fetch.first, {}};
      for (auto it = node.disk.entries.find(fetch.first); it != node.disk.entries.end(); ++it) {
        answer.entries.push_back(it->second);
        if (answer.entries.size() == 4) break;
      }
      later_.emplace_back(id, answer);
    }
    for (const NodeId peer : effects.snapshots) SendSnapshot(id, peer);
    while (!later_.empty()) {
      auto [to, answer] = std::move(later_.front());
      later_.pop_front();
      Step(to, std::move(answer));
    }
    Apply(node);
  }

  // A snapshot travels as one piece, or is lost.
  void SendSnapshot(NodeId from, NodeId to) {
    Node& source = nodes_[from];
    Node& target = nodes_[to];
    ++snapshots_sent_;
    const bool lost =
        target.core == nullptr || IsCut(from, to) || random_.OneIn(1, 4) || !target.pending.empty();
    if (!lost && source.base > target.core->committed()) {
      target.base = source.base;
      target.base_epoch = source.base_epoch;
      target.membership = source.membership;
      target.disk.entries.clear();
      target.applied = source.base;
      Step(to, SnapshotInstalled{source.base, source.base_epoch, source.membership});
    }
    later_.emplace_back(from, SnapshotSent{to, !lost, source.base});
  }

  void Apply(Node& node) {
    if (!node.core) return;
    Slot through = std::min(node.committed, DurableSlot(node));
    // What waits for the disk may replace what is there.
    for (const Persist& persist : node.pending) {
      if (persist.truncate_from) through = std::min(through, persist.truncate_from->Prev());
      if (!persist.entries.empty()) through = std::min(through, persist.entries[0].slot.Prev());
    }
    for (Slot slot = node.applied.Next(); slot <= through; slot = slot.Next()) {
      const auto it = node.disk.entries.find(slot);
      ASSERT_NE(it, node.disk.entries.end());
      const std::pair<Epoch, std::string> value(it->second.epoch, *it->second.payload);
      const auto [chosen, first] = chosen_.emplace(slot, value);
      ASSERT_EQ(chosen->second, value) << "slot " << slot.value() << " was chosen twice";
      node.applied = slot;
    }
  }

  void Check() {
    std::map<Epoch, NodeId> leaders;
    for (auto& [id, node] : nodes_) {
      if (!node.core) continue;
      highest_committed_ = std::max(highest_committed_, node.core->committed());
      if (node.core->role() != Role::kLeader) continue;
      const auto [it, first] = leader_of_.emplace(node.core->epoch(), id);
      ASSERT_EQ(it->second, id) << "two leaders in epoch " << node.core->epoch().value();
    }
  }

  const Options options_;
  SeededRandom random_;
  Membership membership_;
  std::map<NodeId, Node> nodes_;
  std::vector<std::pair<NodeId, Message>> network_;
  std::deque<std::pair<NodeId, decltype(Event::what)>> later_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  std::map<Epoch, NodeId> leader_of_;
  std::map<Slot, std::pair<Epoch, std::string>> chosen_;
  std::map<std::uint64_t, Slot> barrier_floor_;
  std::uint64_t barriers_opened_ = 0;
  std::uint64_t snapshots_sent_ = 0;
  Slot highest_committed_;
  std::uint64_t next_id_ = 0;
  MonotonicTime now_{1'000'000'000};
};

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_CLUSTER_TEST_UTIL_H_
