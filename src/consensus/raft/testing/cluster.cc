// What happens to nodes, network and disks; the checks are in cluster_checks.cc.
#include "src/consensus/raft/testing/cluster.h"

#include <algorithm>

#include "src/base/codec.h"

namespace cairn::consensus::raft {

Cluster::Cluster(const Options& options, std::uint64_t seed) : options_(options), random_(seed) {
  for (std::uint32_t n = 0; n < options.nodes; ++n) {
    nodes_[NodeId(n)].incarnation = IncarnationId(n + 1);
    if (n < options.voters + options.learners) {
      first_membership_.members.push_back({NodeId(n), IncarnationId(n + 1), n < options.voters});
    }
  }
  committed_membership_ = first_membership_;
  for (auto& [id, node] : nodes_) node.disk.membership = first_membership_;
  for (auto& [id, node] : nodes_) Start(id);
}

void Cluster::Start(NodeId id) {
  Node& node = nodes_.at(id);
  RaftOptions raft = options_.raft;
  raft.self = id;
  raft.incarnation = node.incarnation;
  options_.adjust(id, &raft);
  node.random = std::make_unique<SeededRandom>(random_.Next());
  node.core = std::make_unique<RaftCore>(raft, node.random.get());
  node.writing.clear();
  node.held.clear();
  node.durable = PersistToken();
  node.committed = node.disk.base;
  node.installing.reset();
  Recovered event{
      node.disk.hard_state, node.disk.base, node.disk.base_epoch, node.disk.membership, {},
      node.disk.base};
  for (const auto& [slot, entry] : node.disk.entries) event.entries.push_back(entry);
  Step(id, std::move(event));
}

void Cluster::Crash(NodeId id, std::size_t arrived, std::optional<bool> installed) {
  Node& node = nodes_.at(id);
  if (!node.core) return;
  for (; arrived > 0 && !node.writing.empty(); --arrived) {
    WriteOne(&node.disk, node.writing.front());
    node.writing.pop_front();
  }
  const bool may_be_installed = node.installing && node.writing.empty();
  if (may_be_installed && (installed ? *installed : random_.OneIn(1, 2))) {
    InstallOnDisk(&node.disk, *node.installing);
  }
  node.core.reset();
  node.barriers.clear();
}

void Cluster::Wipe(NodeId id) {
  Crash(id);
  Node& node = nodes_.at(id);
  lost_disks_[peer(id)] = std::exchange(node.disk, Disk{});
  node.disk.membership = first_membership_;
  node.incarnation = IncarnationId(node.incarnation.value() + 100);
  node.removed = false;
}

void Cluster::Rewrite(NodeId id, Epoch epoch, const std::vector<Epoch>& log) {
  Crash(id);
  Disk& disk = nodes_.at(id).disk;
  disk.hard_state.clear();
  Encoder hard_state(&disk.hard_state);  // As RaftCore writes it: no vote, nothing committed.
  hard_state.U8(1);
  hard_state.Varint(epoch.value());
  hard_state.Varint(0);
  hard_state.Varint(0);
  disk.entries.clear();
  Slot slot;
  for (const Epoch of_slot : log) {
    slot = slot.Next();
    auto payload = std::make_shared<const std::string>(ToString(slot) + "/" + ToString(of_slot));
    disk.entries[slot] = Entry{slot, of_slot, EntryKind::kCommands, std::move(payload)};
  }
  Start(id);
}

bool Cluster::PersistOne(NodeId id) {
  Node& node = nodes_.at(id);
  if (!node.core || node.writing.empty()) return false;
  const PersistToken token = node.writing.front().token;
  WriteOne(&node.disk, node.writing.front());
  node.writing.pop_front();
  node.durable = token;
  while (!node.held.empty() && node.held.front().after <= token) {
    Post(id, std::move(node.held.front()));
    node.held.pop_front();
  }
  Step(id, Persisted{token});
  return true;
}

void Cluster::PersistAll(NodeId id) {
  while (!broken_ && PersistOne(id)) {
  }
}

void Cluster::Compact(NodeId id, Slot to) {
  Node& node = nodes_.at(id);
  if (!node.core || node.installing || !node.writing.empty()) return;
  const Slot last = node.disk.entries.empty() ? node.disk.base : node.disk.entries.rbegin()->first;
  to = std::min({to, node.committed, last});
  if (to <= node.disk.base) return;
  auto& entries = node.disk.entries;
  for (auto it = entries.begin(); it != entries.end() && it->first <= to;) {
    node.disk.base_epoch = it->second.epoch;
    if (it->second.kind == EntryKind::kMembership) {
      node.disk.membership = *Membership::Decode(*it->second.payload);
    }
    it = entries.erase(it);
  }
  node.disk.base = to;
  Step(id, Compacted{to});
}

bool Cluster::FinishInstall(NodeId id) {
  Node& node = nodes_.at(id);
  if (!node.core || !node.installing) return false;
  PersistAll(id);
  if (!node.core || !node.installing) return false;
  const Snapshot snapshot = *std::exchange(node.installing, std::nullopt);
  InstallOnDisk(&node.disk, snapshot);
  node.committed = std::max(node.committed, snapshot.slot);
  Step(id, SnapshotInstalled{snapshot.slot, snapshot.epoch, snapshot.membership});
  return true;
}

std::optional<Slot> Cluster::Propose(NodeId id, const std::string& payload, bool announce) {
  const ProposalId proposal(++next_id_);
  auto bytes = std::make_shared<const std::string>(payload.empty() ? "p" + std::to_string(next_id_)
                                                                   : payload);
  const Effects effects =
      Step(id, consensus::Propose{proposal, EntryKind::kCommands, std::move(bytes), announce});
  if (effects.accepted.empty()) return std::nullopt;
  return effects.accepted.front().slot;
}

std::uint64_t Cluster::Barrier(NodeId id) {
  Node& node = nodes_.at(id);
  const std::uint64_t barrier = ++next_id_;
  if (!node.core) return barrier;
  barrier_floor_[barrier] = highest_committed_;
  node.barriers.insert(barrier);
  Step(id, ReadBarrier{BarrierId(barrier)});
  return barrier;
}

Effects Cluster::Step(NodeId id, What what) {
  Node& node = nodes_.at(id);
  if (!node.core || broken_) return {};
  Effects effects;
  try {
    effects = node.core->Step(Event{ClockOf(node), std::move(what)});
  } catch (const CheckFailure& failure) {
    Broken(Promise::kSoundness, "node " + ToString(id) + ": " + failure.what());
    return {};
  }
  CarryOut(id, node, effects);
  CheckLeader(id, node);
  if (!std::exchange(in_step_, true)) {
    while (!later_.empty()) {
      auto [to, next] = std::move(later_.front());
      later_.pop_front();
      Step(to, std::move(next));
    }
    in_step_ = false;
  }
  return effects;
}

void Cluster::CarryOut(NodeId id, Node& node, const Effects& effects) {
  if (on_effects) on_effects(id, effects);
  if (effects.persist) {
    CheckEntries(id, *effects.persist);
    node.writing.push_back(*effects.persist);
  }
  for (const Message& message : effects.messages) {
    if (message.after > node.durable) {
      node.held.push_back(message);
    } else {
      Post(id, message);
    }
  }
  if (effects.committed) CheckCommit(id, node, *effects.committed);
  for (const OpenBarrier& open : effects.open_barriers) {
    if (node.barriers.erase(open.id.value()) == 0) continue;
    opened_[open.id.value()] = open.slot;
    if (open.slot < barrier_floor_[open.id.value()]) {
      Broken(Promise::kFreshReads, "a stale read: node " + ToString(id) + " may read at slot " +
                                       ToString(open.slot) + ", and slot " +
                                       ToString(barrier_floor_[open.id.value()]) +
                                       " was committed before it asked");
    }
  }
  for (const FailedBarrier& failed : effects.failed_barriers) {
    node.barriers.erase(failed.id.value());
    failed_.insert(failed.id.value());
  }
  for (const Fetch& fetch : effects.fetches) AnswerFetch(id, fetch);
  for (const PeerId& peer : effects.snapshots) {
    snapshots_.push_back({id, peer, node.disk.base, node.disk.base_epoch, node.disk.membership});
  }
  if (effects.removed) node.removed = true;
}

void Cluster::Post(NodeId from, Message message) {
  network_.push_back({next_message_++, from, std::move(message)});
}

void Cluster::AnswerFetch(NodeId id, const Fetch& fetch) {
  const Node& node = nodes_.at(id);
  Fetched answer{fetch.peer, fetch.first, {}};
  std::uint64_t bytes = 0;
  for (auto it = node.disk.entries.find(fetch.first); it != node.disk.entries.end(); ++it) {
    bytes += it->second.payload->size();
    if (!answer.entries.empty() && (bytes > fetch.max_bytes || answer.entries.size() == 4)) break;
    answer.entries.push_back(it->second);
  }
  later_.emplace_back(id, std::move(answer));
}

void Cluster::WriteOne(Disk* disk, const Persist& persist) {
  auto& entries = disk->entries;
  if (persist.truncate_from)
    entries.erase(entries.lower_bound(*persist.truncate_from), entries.end());
  for (const Entry& entry : persist.entries) {
    if (entry.slot > disk->base) entries[entry.slot] = entry;
  }
  if (persist.hard_state) disk->hard_state = *persist.hard_state;
}

void Cluster::InstallOnDisk(Disk* disk, const Snapshot& snapshot) {
  disk->entries.clear();
  disk->base = snapshot.slot;
  disk->base_epoch = snapshot.epoch;
  disk->membership = snapshot.membership;
}

void Cluster::Deliver(std::size_t position, bool keep) {
  const InFlight sent = network_.at(position);
  if (!keep) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(position));
  const bool cut = IsCut(sent.from, sent.message.to);
  const auto to = nodes_.find(sent.message.to);
  const bool down = to == nodes_.end() || !to->second.core;
  if (on_message) on_message(sent, cut ? "lost" : down ? "down" : "");
  if (cut || down) return;
  Step(sent.message.to, MessageReceived{sent.from, sent.message.body});
}

void Cluster::Drop(std::size_t position) {
  if (on_message) on_message(network_.at(position), "lost");
  network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(position));
}

void Cluster::DeliverSnapshot(std::size_t position, bool lost) {
  const Snapshot snapshot = snapshots_.at(position);
  snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(position));
  Node& target = nodes_.at(snapshot.to.node);
  lost = lost || !target.core || target.incarnation != snapshot.to.incarnation ||
         IsCut(snapshot.from, snapshot.to.node);
  if (!lost) {
    const Effects effects = Step(
        snapshot.to.node, SnapshotReceived{snapshot.slot, snapshot.epoch, snapshot.membership});
    if (effects.install_snapshot) target.installing = snapshot;
  }
  Step(snapshot.from, SnapshotSent{snapshot.to, !lost, snapshot.slot});
}

void Cluster::Settle() {
  for (int i = 0; i < 100'000 && !broken_; ++i) {
    // What arrives may bring new writes.
    bool busy = !network_.empty() || !snapshots_.empty();
    for (auto& [id, node] : nodes_) {
      busy = PersistOne(id) || busy;
      busy = FinishInstall(id) || busy;
    }
    if (!network_.empty()) Deliver(0);
    if (!snapshots_.empty()) DeliverSnapshot(0);
    if (!busy && network_.empty() && snapshots_.empty()) return;
  }
}

void Cluster::ReplaceWiped() {
  const std::optional<NodeId> leader = Leader();
  if (!leader) return;
  const Membership now = nodes_.at(*leader).core->membership();
  for (const auto& [id, node] : nodes_) {
    if (!node.core || ClassifyJoin(now, peer(id)) != JoinVerdict::kReplace) continue;
    Step(*leader, ChangeMembership{ProposalId(++next_id_), now.WithReplaced(peer(id))});
    return;
  }
}

void Cluster::Run(Duration duration) {
  const MonotonicTime end = now_ + duration;
  while (now_ < end && !broken_) {
    Settle();
    Advance(std::chrono::milliseconds(10));
    for (auto& [id, node] : nodes_) Tick(id);
    ReplaceWiped();
  }
}

std::optional<NodeId> Cluster::Leader() const {
  std::optional<NodeId> leader;
  Epoch highest;
  for (const auto& [id, node] : nodes_) {
    if (node.core && node.core->role() == Role::kLeader && node.core->epoch() >= highest) {
      leader = id;
      highest = node.core->epoch();
    }
  }
  return leader;
}

}  // namespace cairn::consensus::raft
