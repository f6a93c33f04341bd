// Log replication, the leader's side: sections 5.3, 5.4.2 and 7 of the Raft paper.
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "src/base/planted_bug.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {

void RaftCore::On(const Propose& event) {
  if (role_ != Role::kLeader || transfer_) {
    effects_.rejected.push_back(
        {event.id, role_ == Role::kLeader
                       ? UnavailableError("leadership is being handed over; try again")
                       : NotLeaderError("this node does not lead")});
    return;
  }
  const Slot slot = AppendOwn(event.kind, event.payload);
  if (event.announce) announce_ = slot;
  effects_.accepted.push_back({event.id, slot, epoch_});
  Broadcast();
}

Slot RaftCore::AppendOwn(EntryKind kind, std::shared_ptr<const std::string> payload) {
  const Entry entry{log_.last_slot().Next(), epoch_, kind, std::move(payload)};
  log_.Append(entry);
  persist_.entries.push_back(entry);
  // Who leads and who is a member concerns all.
  if (kind != EntryKind::kCommands) announce_ = entry.slot;
  return entry.slot;
}

void RaftCore::Broadcast() {
  for (auto& [peer, progress] : peers_) SendAppend(peer, false);
}

void RaftCore::StartRound() {
  rounds_.emplace_back(++round_, now_);
  heartbeat_at_ = now_ + options_.heartbeat_interval;
  notice_.reset();
  for (auto& [peer, progress] : peers_) {
    progress.probe_sent = false;  // Whatever was out may be lost.
    SendAppend(peer, true);
  }
  OpenBarriers();
}

void RaftCore::SendAppend(const PeerId& peer, bool heartbeat) {
  Progress& progress = peers_.at(peer);
  const Slot prev = progress.next.Prev();
  const bool window_full = progress.state == Progress::State::kProbe
                               ? progress.probe_sent
                               : progress.in_flight.size() >= options_.max_in_flight &&
                                     !Planted(PlantedBug::kUnboundedWindow);
  const bool has_entries = progress.next <= log_.last_slot();
  const bool log_is_gone = !log_.EpochAt(prev).has_value();
  if (log_is_gone) AskForSnapshot(peer, progress);
  if (progress.state != Progress::State::kSnapshot && !log_is_gone && has_entries && !window_full &&
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
  const Slot at = progress.state == Progress::State::kSnapshot || log_is_gone
                      ? std::max(progress.match, log_.base_slot())
                      : prev;
  progress.told = std::max(progress.told, std::min(committed_, at));
  Send(peer, AppendRequest{
                 epoch_, at, log_.EpochAt(at).value_or(log_.base_epoch()), committed_, round_, {}});
}

// A peer that is not there would get a state that is old by the time it comes: it is sent one when
// it answers.
void RaftCore::AskForSnapshot(const PeerId& peer, Progress& progress) {
  if (progress.state == Progress::State::kSnapshot || !Answers(peer, now_)) return;
  progress.BecomeSnapshot();
  effects_.snapshots.push_back(peer);
}

void RaftCore::SendEntries(const PeerId& peer, Progress& progress, std::vector<Entry> entries) {
  const Slot prev = progress.next.Prev();
  const Slot last = entries.back().slot;
  Send(peer,
       AppendRequest{epoch_, prev, *log_.EpochAt(prev), committed_, round_, std::move(entries)});
  progress.told = std::max(progress.told, std::min(committed_, last));
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
  if (event.entries.empty()) return AskForSnapshot(event.peer, progress);
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

void RaftCore::Receive(const PeerId& from, const AppendResponse& m) {
  if (m.epoch > epoch_) return BecomeFollower(m.epoch, std::nullopt);
  const auto it = peers_.find(from);
  if (role_ != Role::kLeader || m.epoch < epoch_ || it == peers_.end()) return;
  Progress& progress = it->second;
  progress.last_heard = now_;
  progress.answered = true;
  progress.round = std::max(progress.round, m.round);
  if (m.ok) {
    const auto needed =
        std::chrono::duration_cast<std::chrono::microseconds>(options_.election_timeout).count();
    progress.promises = m.promise_us >= static_cast<std::uint64_t>(needed);
    if (progress.promises) progress.promised_round = std::max(progress.promised_round, m.round);
    Acknowledged(from, progress, m.slot);
  } else {
    Refused(from, progress, m);
  }
  if (role_ == Role::kLeader) OpenBarriers();
}

void RaftCore::Acknowledged(const PeerId& from, Progress& progress, Slot slot) {
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
  if (role_ == Role::kLeader) PromoteIfCaughtUp();
  // A commit may have ended this leadership, or this peer's membership.
  if (role_ != Role::kLeader || peers_.count(from) == 0) return;
  SendAppend(from, false);
  TellCommitted(Slot());
  MaybeFinishTransfer();
}

void RaftCore::Refused(const PeerId& from, Progress& progress, const AppendResponse& m) {
  // An answer to what was sent before the last change of course says nothing new.
  if (m.slot <= progress.match || progress.state == Progress::State::kSnapshot) return;
  if (progress.state == Progress::State::kProbe && m.slot != progress.next.Prev()) return;
  // Both sides skip whole epochs: the follower named the last slot that it has from an epoch that
  // could match, and the leader goes back to its own last slot up to that epoch.
  const Slot back = log_.LastSlotUpTo(std::min(m.hint_slot, log_.last_slot()), m.hint_epoch);
  // A follower that lacks even the base gets a snapshot: EpochAt below the base finds nothing.
  const Slot next = Planted(PlantedBug::kBackUpOneByOne) ? m.slot
                    : m.hint_slot < log_.base_slot()     ? m.hint_slot.Next()
                                                         : back.Next();
  progress.BecomeProbe(std::max(std::min(next, m.slot), progress.match.Next()));
  SendAppend(from, false);
}

void RaftCore::MaybeCommit() {
  const std::function<Slot(const PeerId&)> match_of = [this](const PeerId& node) {
    if (node == self_) {
      return Planted(PlantedBug::kLeaderCountsUnsyncedSelf)
                 ? log_.last_slot()
                 : std::min(durable_slot_, log_.last_slot());
    }
    const auto it = peers_.find(node);
    return it == peers_.end() ? Slot() : it->second.match;
  };
  const Slot slot = ReachedByQuorum<Slot>(membership(), match_of);
  // Only an entry of this epoch commits by counting, and takes those before it along (figure 8).
  if (slot == Slot::Max() || slot <= committed_) return;
  if (log_.EpochAt(slot) != epoch_ && !Planted(PlantedBug::kCommitOldEpochByCounting)) return;
  CommitTo(slot);
  TellCommitted(Slot());
  OpenBarriers();
  AfterMembershipCommitted();
}

// Followers learn of a commit with the next append. Where none follows they should not wait for a
// heartbeat; but a message of its own, and its answer, for each commit is a good part of what a
// lone client's write costs (docs/adr/0025).
void RaftCore::TellCommitted(Slot overdue) {
  const bool all = options_.commit_notice_delay <= Duration::zero();
  const Slot at_once = all ? committed_ : std::min(std::max(announce_, overdue), committed_);
  for (auto& [peer, progress] : peers_) {
    if (progress.match != log_.last_slot() || progress.told >= committed_) continue;
    if (progress.told < at_once) {
      SendAppend(peer, true);
    } else if (!notice_) {
      notice_ = {now_ + options_.commit_notice_delay, committed_};
    }
  }
}

void RaftCore::CommitTo(Slot slot) {
  committed_ = slot;
  effects_.committed = committed_;
}

}  // namespace cairn::consensus::raft
