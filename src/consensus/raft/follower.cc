// Log replication, the follower's side: section 5.3 of the Raft paper.
#include <algorithm>
#include <chrono>
#include <utility>

#include "src/base/check.h"
#include "src/base/planted_bug.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::Receive(const PeerId& from, const AppendRequest& m) {
  if (m.epoch < epoch_) {
    // Tells a leader of the past, and a node that pre-vote kept quiet, where the epoch is. Rounds
    // are counted anew by each process: one of a former epoch must not count for the leader of this
    // one, which may be the same node.
    const std::uint64_t round = Planted(PlantedBug::kRoundOfFormerEpoch) ? m.round : 0;
    SendAfterPersist(from, AppendResponse{epoch_, false, m.prev_slot, {}, {}, round, 0});
    return;
  }
  CAIRN_CHECK(role_ != Role::kLeader || m.epoch > epoch_,
              "two leaders in epoch " + ToString(epoch_));
  if (m.epoch > epoch_ || leader_ != from || role_ != Role::kFollower) {
    BecomeFollower(m.epoch, from);
  }
  heard_from_leader_ = now_;
  ResetElectionTimer();
  if (m.entries.empty()) AskLeaderAgain();

  if (installing_ && !Planted(PlantedBug::kSnapshotBelievedEarly)) {
    // The log is about to be replaced: nothing new is promised. What is committed is in the
    // snapshot.
    SendAfterPersist(from, Holds(std::min(committed_, durable_slot_), m));
    return;
  }
  if (m.prev_slot < log_.base_slot()) {
    // Older than the snapshot here: what was compacted was committed, so it matches.
    SendAfterPersist(from, Holds(log_.base_slot(), m));
    return;
  }
  if (log_.EpochAt(m.prev_slot) != m.prev_epoch && !Planted(PlantedBug::kNoPrevCheck)) {
    const Slot hint = log_.LastSlotUpTo(m.prev_slot.Prev(), m.prev_epoch);
    SendAfterPersist(from, AppendResponse{epoch_, false, m.prev_slot, hint,
                                          log_.EpochAt(hint).value_or(Epoch()), m.round, 0});
    return;
  }
  if (m.prev_slot > log_.last_slot()) return;
  TakeEntries(m.entries);
  const Slot match = m.prev_slot.Plus(m.entries.size());
  const Slot known = Planted(PlantedBug::kCommitBeyondMatch) ? log_.last_slot() : match;
  if (const Slot commit = std::min(m.committed, known); commit > committed_) {
    CommitTo(commit);
    AfterMembershipCommitted();
  }
  Acknowledge(from, m, match);
}

AppendResponse RaftCore::Holds(Slot slot, const AppendRequest& m) const {
  // Without the option it is true to its leader, too, until it restarts or takes it for lost.
  const Duration promise = options_.leases ? options_.election_timeout : Duration::zero();
  const auto promise_us = std::chrono::duration_cast<std::chrono::microseconds>(promise).count();
  return {epoch_, true, slot, {}, {}, m.round, static_cast<std::uint64_t>(promise_us)};
}

void RaftCore::Acknowledge(const PeerId& leader, const AppendRequest& m, Slot match) {
  const AppendResponse durable = Holds(match, m);
  if (Planted(PlantedBug::kAckBeforeDurable)) return Send(leader, durable);
  if (!m.entries.empty()) return SendAfterPersist(leader, durable);
  // A heartbeat is answered whatever the disk does, for as much as is durable; the epoch must be.
  if (hard_state_dirty_ || hard_state_token_ > durable_token_) {
    return SendAfterPersist(leader, durable);
  }
  Send(leader, Holds(std::min(match, durable_slot_), m));
  if (match > durable_slot_) SendAfterPersist(leader, durable);
}

void RaftCore::CutFrom(Slot slot) {
  if (slot > log_.last_slot()) return;
  log_.TruncateFrom(slot);
  ForgetMembershipsFrom(slot);
  std::erase_if(persist_.entries, [&](const Entry& entry) { return entry.slot >= slot; });
  persist_.truncate_from = std::min(persist_.truncate_from.value_or(slot), slot);
  if (Planted(PlantedBug::kDurableSurvivesTruncation)) return;
  // What is on its way to the disk behind the cut is not what will stand there.
  durable_slot_ = std::min(durable_slot_, slot.Prev());
  for (Writing& writing : persists_) writing.last_slot = std::min(writing.last_slot, slot.Prev());
}

void RaftCore::TakeEntries(const std::vector<Entry>& entries) {
  const Slot last = entries.empty() ? Slot() : entries.back().slot;
  for (const Entry& entry : entries) {
    const std::optional<Epoch> held = log_.EpochAt(entry.slot);
    const bool cut = Planted(PlantedBug::kTruncateMatchingEntries) && entry.slot == last &&
                     last < log_.last_slot() && entry.slot > committed_;
    if (held == entry.epoch && !cut) continue;
    if (held) {
      CAIRN_CHECK(entry.slot > committed_,
                  "a leader wants to change committed slot " + ToString(entry.slot));
      CutFrom(entry.slot);
    }
    log_.Append(entry);
    persist_.entries.push_back(entry);
    if (entry.kind == EntryKind::kMembership) {
      const Result<Membership> membership = Membership::Decode(*entry.payload);
      CAIRN_CHECK(membership.ok(), membership.status().message());
      SetMembership(entry.slot, *membership);
    }
  }
}

}  // namespace cairn::consensus::raft
