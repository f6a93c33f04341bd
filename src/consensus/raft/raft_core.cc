// Events in, effects out; time; recovery; snapshots. The rest is in election.cc, replication.cc,
// follower.cc, membership_change.cc and barriers.cc.
#include "src/consensus/raft/raft_core.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/base/planted_bug.h"

namespace cairn::consensus::raft {
namespace {

constexpr std::uint8_t kHardStateFormat = 1;

}  // namespace

Effects RaftCore::Step(const Event& event) {
  const bool ticks = std::holds_alternative<Tick>(event.what) || !recovered_;
  if (ticks || !Planted(PlantedBug::kClockOfTicks)) now_ = event.now;
  effects_ = Effects();
  persist_ = Persist();
  after_persist_.clear();
  CAIRN_CHECK(recovered_ != std::holds_alternative<Recovered>(event.what),
              "Recovered comes first, and once");
  // A leader that was stopped finds out here, before it does anything as a leader.
  if (role_ == Role::kLeader && !Planted(PlantedBug::kNoCheckQuorum)) CheckQuorum();
  if (role_ == Role::kLeader && !Planted(PlantedBug::kLeadsWithHungDisk)) CheckDisk();
  std::visit([this](const auto& what) { On(what); }, event.what);
  Finish();
  return std::move(effects_);
}

// ---- Hard state: format, epoch, voted for (0 none, else node + 1 and incarnation), committed.

std::string RaftCore::EncodeHardState() const {
  std::string out;
  Encoder e(&out);
  e.U8(kHardStateFormat);
  e.Varint(epoch_.value());
  e.Varint(voted_for_ ? std::uint64_t{voted_for_->node.value()} + 1 : 0);
  if (voted_for_) e.Fixed64(voted_for_->incarnation.value());
  e.Varint(committed_.value());
  return out;
}

void RaftCore::DecodeHardState(const std::string& bytes) {
  if (bytes.empty()) return;
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  epoch_ = Epoch(d.Varint());
  const std::uint64_t vote = d.Varint();
  if (vote != 0) {
    voted_for_ = {NodeId(static_cast<std::uint32_t>(vote - 1)), IncarnationId(d.Fixed64())};
  }
  committed_ = Slot(d.Varint());
  CAIRN_CHECK(d.AtEnd() && format == kHardStateFormat, "hard state: " + Printable(bytes));
}

void RaftCore::On(const Recovered& event) {
  recovered_ = true;
  recovered_at_ = now_;
  run_ = random_->Next();
  DecodeHardState(event.hard_state);
  const Slot applied = std::max(event.applied, event.snapshot_slot);
  log_.Reset(event.snapshot_slot, event.snapshot_epoch);
  memberships_.emplace_back(applied, event.membership);
  for (const Entry& entry : event.entries) {
    log_.Append(entry);
    if (entry.kind == EntryKind::kMembership && entry.slot > applied) {
      const Result<Membership> membership = Membership::Decode(*entry.payload);
      CAIRN_CHECK(membership.ok(), membership.status().message());
      memberships_.emplace_back(entry.slot, *membership);
    }
  }
  CAIRN_CHECK(applied <= log_.last_slot(), "the state is at slot " + ToString(applied) +
                                               ", beyond the journal's end at " +
                                               ToString(log_.last_slot()));
  if (log_.last_epoch() > epoch_) {
    epoch_ = log_.last_epoch();
    voted_for_.reset();  // That was in the older epoch.
  }
  durable_slot_ = log_.last_slot();
  // The hint may lag behind what was committed, and never runs ahead of the log.
  committed_ = std::clamp(committed_, applied, log_.last_slot());
  effects_.committed = committed_;
  effects_.membership = membership();
  ResetElectionTimer();
  // The only voter need not wait for anybody, but for the lease of a leader that is being removed.
  const bool may_be_bound = options_.leases && !Planted(PlantedBug::kLoneVoterIgnoresLease);
  if (!may_be_bound && membership().Voters() == Voters{self_} && !membership().IsJoint())
    Campaign(false, false);
}

void RaftCore::On(const Tick&) {
  if (role_ == Role::kLeader) {
    if (transfer_ && now_ >= transfer_->second) transfer_.reset();
    if (now_ >= heartbeat_at_) {
      StartRound();
    } else if (notice_ && now_ >= notice_->first) {
      TellCommitted(std::exchange(notice_, std::nullopt)->second);
    }
    return;
  }
  if (now_ < election_at_) return;
  if (!asked_barriers_.empty()) FailBarriers(UnavailableError("there is no leader; try again"));
  // The leader that was not heard of for so long is not reported as one.
  if (leader_ && !HearsFromLeader()) leader_.reset();
  if (MayCampaign()) {
    Campaign(!Planted(PlantedBug::kNoPreVote), false);
  } else {
    ResetElectionTimer();
  }
}

void RaftCore::On(const MessageReceived& event) {
  Result<Framed> framed = Decode(event.body);
  // What does not decode was checked by the transport's frame: it is of another version. Lost
  // messages do no harm.
  if (!framed.ok()) return;
  if (framed->to != self_.incarnation && !Planted(PlantedBug::kWipedVoterVotes)) return;
  const PeerId from{event.from, framed->from};
  if (from == self_) return;
  std::visit([&](const auto& m) { Receive(from, m); }, framed->message);
}

void RaftCore::On(const Persisted& event) {
  durable_token_ = std::max(durable_token_, event.token);
  while (!persists_.empty() && persists_.front().token <= event.token) {
    durable_slot_ = std::max(durable_slot_, persists_.front().last_slot);
    persists_.pop_front();
  }
  if (role_ == Role::kLeader && !Planted(PlantedBug::kSyncDoesNotCommit)) MaybeCommit();
  if (role_ == Role::kCandidate && !pre_voting_ && durable_token_ >= own_vote_ &&
      votes_.count(self_) == 0) {
    votes_[self_] = Vote::kGranted;
    CountVotesSoFar();
  }
}

// What is applied is the driver's business: the core only needs what is durable.
void RaftCore::On(const Applied&) {}

// ---- Snapshots

void RaftCore::On(const Compacted& event) {
  const Slot slot = std::min(event.slot, std::min(committed_, durable_slot_));
  log_.CompactTo(slot);
  while (memberships_.size() > 1 && memberships_[1].first <= slot) memberships_.pop_front();
}

void RaftCore::On(const SnapshotReceived& event) {
  if (role_ == Role::kLeader || installing_) return;
  const bool rewind = Planted(PlantedBug::kSnapshotRewindsCommit);
  if (event.slot <= committed_ && !rewind) return;
  // A log that holds the snapshot's end holds all of it, and what follows may have been
  // acknowledged: it must not be cut. What the snapshot says is that this much is committed.
  const bool holds = Planted(PlantedBug::kSnapshotEpochIgnored)
                         ? log_.EpochAt(event.slot).has_value()
                         : log_.EpochAt(event.slot) == event.epoch;
  if (holds && !rewind && !Planted(PlantedBug::kSnapshotCutsLongerLog)) {
    CommitTo(event.slot);
    return AfterMembershipCommitted();
  }
  if (role_ == Role::kCandidate) BecomeFollower(epoch_, std::nullopt);
  installing_ = event.slot;
  effects_.install_snapshot = event.slot;
  if (Planted(PlantedBug::kSnapshotBelievedEarly)) {
    log_.Reset(event.slot, event.epoch);
    CommitTo(event.slot);
  }
}

void RaftCore::On(const SnapshotInstalled& event) {
  CAIRN_CHECK(installing_ == event.slot,
              "nobody asked for the snapshot of slot " + ToString(event.slot));
  installing_.reset();
  log_.Reset(event.slot, event.epoch);
  memberships_.clear();
  memberships_.emplace_back(event.slot, event.membership);
  for (Writing& writing : persists_) writing.last_slot = std::min(writing.last_slot, event.slot);
  durable_slot_ = event.slot;
  CommitTo(event.slot);
  effects_.membership = membership();
  AfterMembershipCommitted();
  if (event.epoch > epoch_) BecomeFollower(event.epoch, std::nullopt);
}

// ---- Effects

void RaftCore::Send(const PeerId& to, RaftMessage message) {
  IncarnationId from = self_.incarnation;
  if (Planted(PlantedBug::kWipedVoterVotes)) {
    if (const auto* member = membership().Find(self_.node)) from = member->incarnation;
  }
  effects_.messages.push_back(
      {to.node, Encode(Framed{from, to.incarnation, std::move(message)}), PersistToken()});
}

void RaftCore::SendAfterPersist(const PeerId& to, RaftMessage message) {
  after_persist_.push_back(effects_.messages.size());
  Send(to, std::move(message));
}

void RaftCore::Finish() {
  const bool writes = persist_.truncate_from || !persist_.entries.empty() || hard_state_dirty_;
  if (writes) {
    // The commit hint rides along; it never costs a write of its own.
    persist_.hard_state = EncodeHardState();
    if (std::exchange(hard_state_dirty_, false)) hard_state_token_ = next_token_;
    persist_.token = next_token_;
    const Slot last = persist_.entries.empty() ? Slot() : persist_.entries.back().slot;
    persists_.push_back({next_token_, last, now_});
    next_token_ = next_token_.Next();
    effects_.persist = std::move(persist_);
  }
  const PersistToken last = next_token_.Prev();
  if (last > durable_token_) {
    for (const std::size_t i : after_persist_) effects_.messages[i].after = last;
  }
  log_.Evict(durable_slot_, options_.max_cached_bytes);
  effects_.wake_at = role_ == Role::kLeader
                         ? (notice_ ? std::min(heartbeat_at_, notice_->first) : heartbeat_at_)
                         : election_at_;
  ReportLeadership();
}

void RaftCore::ReportLeadership() {
  Leadership now{role_, epoch_, std::nullopt};
  if (role_ == Role::kFollower && !membership().IsVoter(self_)) now.role = Role::kLearner;
  if (leader_) now.leader = leader_->node;
  if (reported_ == now) return;
  reported_ = now;
  effects_.leadership = now;
}

}  // namespace cairn::consensus::raft
