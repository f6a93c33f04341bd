// Log replication: sections 5.3, 5.4.2 and 7 of the Raft paper.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "src/base/check.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

// ---- Leader

void RaftCore::On(const Propose& event) {
  if (role_ != Role::kLeader || transfer_) {
    effects_.rejected.push_back(
        {event.id, role_ == Role::kLeader
                       ? UnavailableError("leadership is being handed over; try again")
                       : NotLeaderError("this node does not lead")});
    return;
  }
  const Slot slot = AppendOwn(event.kind, event.payload);
  effects_.accepted.push_back({event.id, slot, epoch_});
  Broadcast();
}

Slot RaftCore::AppendOwn(EntryKind kind, std::shared_ptr<const std::string> payload) {
  const Entry entry{log_.last_slot().Next(), epoch_, kind, std::move(payload)};
  log_.Append(entry);
  persist_.entries.push_back(entry);
  return entry.slot;
}

void RaftCore::Broadcast() {
  for (auto& [peer, progress] : peers_) SendAppend(peer, false);
}

void RaftCore::StartRound() {
  rounds_.emplace_back(++round_, now_);
  heartbeat_at_ = now_ + options_.heartbeat_interval;
  for (auto& [peer, progress] : peers_) {
    progress.probe_sent = false;  // Whatever was out may be lost.
    SendAppend(peer, true);
  }
  OpenBarriers();
}

void RaftCore::SendAppend(NodeId peer, bool heartbeat) {
  Progress& progress = peers_.at(peer);
  const Slot prev = progress.next.Prev();
  const bool window_full = progress.state == Progress::State::kProbe
                               ? progress.probe_sent
                               : progress.in_flight.size() >= options_.max_in_flight;
  const bool has_entries = progress.next <= log_.last_slot();
  if (progress.state != Progress::State::kSnapshot && !log_.EpochAt(prev)) {
    progress.BecomeSnapshot();
    effects_.snapshots.push_back(peer);
  }
  if (progress.state != Progress::State::kSnapshot && has_entries && !window_full &&
      !progress.fetching) {
    std::vector<Entry> entries = log_.Read(progress.next, options_.max_append_bytes);
    if (!entries.empty()) {
      SendEntries(peer, progress, std::move(entries));
      // The window may have room for more.
      if (progress.state == Progress::State::kReplicate) SendAppend(peer, false);
      return;
    }
    progress.fetching = true;
    effects_.fetches.push_back({peer, progress.next, options_.max_append_bytes});
  }
  if (!heartbeat) return;
  // An empty append at a place that the peer is known or guessed to have.
  const Slot at = progress.state == Progress::State::kSnapshot
                      ? std::max(progress.match, log_.base_slot())
                      : prev;
  Send(peer, AppendRequest{
                 epoch_, at, log_.EpochAt(at).value_or(log_.base_epoch()), committed_, round_, {}});
}

void RaftCore::SendEntries(NodeId peer, Progress& progress, std::vector<Entry> entries) {
  const Slot prev = progress.next.Prev();
  const Slot last = entries.back().slot;
  Send(peer,
       AppendRequest{epoch_, prev, *log_.EpochAt(prev), committed_, round_, std::move(entries)});
  if (progress.state == Progress::State::kReplicate) {
    progress.next = last.Next();
    progress.in_flight.push_back(last);
  } else {
    progress.probe_sent = true;
  }
}

void RaftCore::On(const Fetched& event) {
  const auto it = peers_.find(event.peer);
  if (role_ != Role::kLeader || it == peers_.end()) return;
  Progress& progress = it->second;
  progress.fetching = false;
  if (progress.state == Progress::State::kSnapshot || event.first != progress.next) return;
  if (event.entries.empty()) {
    progress.BecomeSnapshot();
    effects_.snapshots.push_back(event.peer);
    return;
  }
  // The journal may have been read while the log moved: only what is still the log goes out.
  const bool current = log_.EpochAt(event.first.Prev()).has_value() &&
                       std::all_of(event.entries.begin(), event.entries.end(),
                                   [&](const Entry& e) { return log_.EpochAt(e.slot) == e.epoch; });
  if (!current) return SendAppend(event.peer, false);
  SendEntries(event.peer, progress, event.entries);
  if (progress.state == Progress::State::kReplicate) SendAppend(event.peer, false);
}

void RaftCore::On(const SnapshotSent& event) {
  const auto it = peers_.find(event.peer);
  if (role_ != Role::kLeader || it == peers_.end()) return;
  if (it->second.state != Progress::State::kSnapshot) return;
  // Either way the peer is asked where it stands; it may need another one.
  it->second.BecomeProbe(event.ok ? event.slot.Next() : it->second.match.Next());
  if (event.ok) SendAppend(event.peer, true);
}

void RaftCore::Receive(NodeId from, const AppendResponse& m) {
  if (m.epoch > epoch_) return BecomeFollower(m.epoch, std::nullopt);
  const auto it = peers_.find(from);
  if (role_ != Role::kLeader || m.epoch < epoch_ || it == peers_.end()) return;
  Progress& progress = it->second;
  progress.last_heard = now_;
  progress.round = std::max(progress.round, m.round);
  if (m.ok) {
    Acknowledged(from, progress, m.slot);
  } else {
    Refused(from, progress, m);
  }
  if (role_ == Role::kLeader) OpenBarriers();
}

void RaftCore::Acknowledged(NodeId from, Progress& progress, Slot slot) {
  // A slot beyond the log can't be ours.
  slot = std::min(slot, log_.last_slot());
  const bool grew = slot > progress.match;
  progress.match = std::max(progress.match, slot);
  while (!progress.in_flight.empty() && progress.in_flight.front() <= progress.match) {
    progress.in_flight.pop_front();
  }
  progress.next = std::max(progress.next, progress.match.Next());
  const bool found = progress.state == Progress::State::kProbe && slot >= progress.next.Prev();
  const bool caught_up =
      progress.state == Progress::State::kSnapshot && progress.match >= log_.base_slot() && grew;
  if (found || caught_up) progress.BecomeReplicate();
  if (grew) MaybeCommit();
  // A commit may have ended this leadership, or this peer's membership.
  if (role_ != Role::kLeader || peers_.count(from) == 0) return;
  SendAppend(from, false);
  MaybeFinishTransfer();
}

void RaftCore::Refused(NodeId from, Progress& progress, const AppendResponse& m) {
  // An answer to what was sent before the last change of course says nothing new.
  if (m.slot <= progress.match || progress.state == Progress::State::kSnapshot) return;
  if (progress.state == Progress::State::kProbe && m.slot != progress.next.Prev()) return;
  // Both sides skip whole epochs: the follower named the last slot that it has from an epoch that
  // could match, and the leader goes back to its own last slot up to that epoch.
  const Slot back = log_.LastSlotUpTo(std::min(m.hint_slot, log_.last_slot()), m.hint_epoch);
  // A follower that lacks even the base gets a snapshot: EpochAt below the base finds nothing.
  const Slot next = m.hint_slot < log_.base_slot() ? m.hint_slot.Next() : back.Next();
  progress.BecomeProbe(std::max(std::min(next, m.slot), progress.match.Next()));
  SendAppend(from, false);
}

void RaftCore::MaybeCommit() {
  const std::function<Slot(NodeId)> match_of = [this](NodeId node) {
    if (node == options_.self) return std::min(durable_slot_, log_.last_slot());
    const auto it = peers_.find(node);
    return it == peers_.end() ? Slot() : it->second.match;
  };
  const Slot slot = ReachedByQuorum<Slot>(membership(), match_of);
  // Only an entry of this epoch commits by counting, and takes those before it along (figure 8).
  if (slot == Slot::Max() || slot <= committed_ || log_.EpochAt(slot) != epoch_) return;
  CommitTo(slot);
  // Followers learn of it with the next append; an idle group should not wait for a heartbeat.
  for (auto& [peer, progress] : peers_) {
    if (progress.match == log_.last_slot()) SendAppend(peer, true);
  }
  OpenBarriers();
  AfterMembershipCommitted();
}

void RaftCore::CommitTo(Slot slot) {
  committed_ = slot;
  effects_.committed = committed_;
}

// ---- Follower

void RaftCore::Receive(NodeId from, AppendRequest m) {
  if (m.epoch < epoch_) {
    // Tells a leader of the past, and a node that pre-vote kept quiet, where the epoch is.
    SendAfterPersist(from, AppendResponse{epoch_, false, m.prev_slot, Slot(), Epoch(), m.round});
    return;
  }
  CAIRN_CHECK(role_ != Role::kLeader || m.epoch > epoch_, "two leaders in one epoch");
  if (m.epoch > epoch_ || leader_ != from || role_ != Role::kFollower)
    BecomeFollower(m.epoch, from);
  heard_from_leader_ = now_;
  ResetElectionTimer();
  // What was asked and not answered by the time of a heartbeat may be lost: ask again.
  if (m.entries.empty()) {
    for (const std::uint64_t id : asked_barriers_) Send(from, BarrierRequest{epoch_, id});
  }

  if (m.prev_slot < log_.base_slot()) {
    // Older than the snapshot here: what was compacted was committed, so it matches.
    SendAfterPersist(from, AppendResponse{epoch_, true, log_.base_slot(), {}, {}, m.round});
    return;
  }
  if (log_.EpochAt(m.prev_slot) != m.prev_epoch) {
    const Slot hint = log_.LastSlotUpTo(m.prev_slot.Prev(), m.prev_epoch);
    SendAfterPersist(from, AppendResponse{epoch_, false, m.prev_slot, hint,
                                          log_.EpochAt(hint).value_or(Epoch()), m.round});
    return;
  }
  TakeEntries(m.entries);
  const Slot match = m.prev_slot.Plus(m.entries.size());
  if (const Slot commit = std::min(m.committed, match); commit > committed_) CommitTo(commit);
  if (m.entries.empty() && !hard_state_dirty_ && persists_.empty()) {
    Send(from, AppendResponse{epoch_, true, match, {}, {}, m.round});
  } else {
    SendAfterPersist(from, AppendResponse{epoch_, true, match, {}, {}, m.round});
  }
}

void RaftCore::TakeEntries(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    const std::optional<Epoch> held = log_.EpochAt(entry.slot);
    if (held == entry.epoch) continue;
    if (held) {
      CAIRN_CHECK(entry.slot > committed_,
                  "a leader wants to change committed slot " + ToString(entry.slot));
      log_.TruncateFrom(entry.slot);
      ForgetMembershipsFrom(entry.slot);
      persist_.truncate_from = entry.slot;
      durable_slot_ = std::min(durable_slot_, entry.slot.Prev());
      for (auto& [token, slot] : persists_) slot = std::min(slot, entry.slot.Prev());
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
