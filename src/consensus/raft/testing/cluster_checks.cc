// The promises that a Cluster holds its cores to.
#include <algorithm>

#include "src/consensus/raft/testing/cluster.h"

namespace cairn::consensus::raft {

void Cluster::Broken(Promise promise, const std::string& what) {
  if (broken_) return;
  broken_ = what;
  broken_promise_ = promise;
}

bool Cluster::ChangeMayBeUnderWay() const {
  return std::any_of(entries_.begin(), entries_.end(), [this](const auto& written) {
    return written.second.kind == EntryKind::kMembership &&
           written.first.first > highest_committed_;
  });
}

void Cluster::CheckEntries(NodeId id, const Persist& persist) {
  for (const Entry& entry : persist.entries) {
    const auto [it, first] = entries_.emplace(std::pair(entry.slot, entry.epoch), entry);
    if (*it->second.payload != *entry.payload) {
      Broken(Promise::kLogsMatch, "node " + ToString(id) + " writes another entry at " +
                                      ToString(entry.slot) + "/" + ToString(entry.epoch));
    }
  }
  if (persist.truncate_from && *persist.truncate_from <= nodes_.at(id).committed) {
    Broken(Promise::kCommittedStays, "node " + ToString(id) + " truncates from slot " +
                                         ToString(*persist.truncate_from) + ", which is committed");
  }
}

bool Cluster::Holds(const PeerId& peer, Slot slot, Epoch epoch) const {
  // What a lost disk acknowledged was acknowledged; that the others make up for it is what the
  // other checks show.
  const auto lost = lost_disks_.find(peer);
  const auto it = nodes_.find(peer.node);
  const bool lives = it != nodes_.end() && it->second.incarnation == peer.incarnation;
  if (!lives && lost == lost_disks_.end()) return false;
  const Disk& disk = lives ? it->second.disk : lost->second;
  if (slot <= disk.base) return true;
  const auto entry = disk.entries.find(slot);
  return entry != disk.entries.end() && entry->second.epoch == epoch;
}

// What was committed for the first time must be on the disks of a quorum of the membership that the
// committing leader goes by.
void Cluster::CheckQuorumHolds(NodeId id, const Node& node, Slot slot, Epoch epoch) {
  const auto majority_holds = [&](const Voters& voters) {
    std::size_t count = 0;
    for (const PeerId& voter : voters) count += Holds(voter, slot, epoch);
    return voters.empty() || count >= MajorityOf(voters.size());
  };
  // The entry may itself be the membership; then that one decides, as on the leader.
  const Membership& membership = node.core->membership();
  if (majority_holds(membership.Voters()) && majority_holds(membership.outgoing_voters)) return;
  Broken(Promise::kDurableAtQuorum, "node " + ToString(id) + " commits " + ToString(slot) + "/" +
                                        ToString(epoch) + ", which is not durable at a quorum");
}

void Cluster::CheckCommit(NodeId id, Node& node, Slot committed) {
  if (committed < node.committed) {
    Broken(Promise::kCommittedStays, "node " + ToString(id) + " goes back from slot " +
                                         ToString(node.committed) + " to " + ToString(committed));
    return;
  }
  const Slot before = std::exchange(node.committed, committed);
  // The core appends and commits in one step; what it commits may be among what is being written.
  for (Slot slot = before.Next(); slot <= committed; slot = slot.Next()) {
    const std::optional<Epoch> epoch = node.core->log().EpochAt(slot);
    if (!epoch || slot <= node.core->log().base_slot()) continue;
    const auto [chosen, first] = chosen_.emplace(slot, *epoch);
    if (chosen->second != *epoch) {
      Broken(Promise::kCommittedStays, "slot " + ToString(slot) + " is committed with epoch " +
                                           ToString(*epoch) + " on node " + ToString(id) +
                                           " and was committed with epoch " +
                                           ToString(chosen->second));
      return;
    }
    if (first && node.core->role() == Role::kLeader && slot == committed) {
      CheckQuorumHolds(id, node, slot, *epoch);
    }
    const auto entry = entries_.find({slot, *epoch});
    if (first && entry != entries_.end() && entry->second.kind == EntryKind::kMembership) {
      committed_membership_ = *Membership::Decode(*entry->second.payload);
    }
  }
  highest_committed_ = std::max(highest_committed_, committed);
}

void Cluster::CheckLeader(NodeId id, const Node& node) {
  if (!node.core || node.core->role() != Role::kLeader) return;
  const auto [it, first] = leader_of_.emplace(node.core->epoch(), id);
  if (it->second != id) {
    Broken(Promise::kOneLeader, "two leaders in epoch " + ToString(node.core->epoch()) +
                                    ": nodes " + ToString(it->second) + " and " + ToString(id));
  }
  if (!first) return;
  for (auto chosen = chosen_.rbegin(); chosen != chosen_.rend(); ++chosen) {
    if (chosen->first <= node.core->log().base_slot()) return;
    if (node.core->log().EpochAt(chosen->first) == chosen->second) continue;
    Broken(Promise::kLeaderHasAll,
           "node " + ToString(id) + " leads without slot " + ToString(chosen->first) +
               ", which was committed with epoch " + ToString(chosen->second));
    return;
  }
}

std::string Cluster::Describe() const {
  std::string text;
  for (const auto& [id, node] : nodes_) {
    text += "node " + ToString(peer(id));
    if (!node.core) {
      text += " down\n";
      continue;
    }
    const RaftCore& core = *node.core;
    text += " role " + std::to_string(static_cast<int>(core.role())) + " epoch " +
            ToString(core.epoch()) + " last " + ToString(core.log().last_slot()) + "/" +
            ToString(core.log().last_epoch()) + " committed " + ToString(core.committed()) +
            (node.removed ? " removed" : "") + " members";
    for (const Membership::Member& member : core.membership().members) {
      text += " " + ToString(member.node) + (member.voter ? "" : "l") +
              (member.joining ? "+" : "") + (member.leaving ? "-" : "");
    }
    for (const PeerId& voter : core.membership().outgoing_voters) {
      text += " out " + ToString(voter.node);
    }
    text += "\n";
  }
  return text;
}

}  // namespace cairn::consensus::raft
