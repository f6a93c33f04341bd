// Events in, effects out; time; recovery. The rest is in election.cc, replication.cc,
// membership_change.cc and barriers.cc.
#include "src/consensus/raft/raft_core.h"

#include <algorithm>
#include <variant>

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn::consensus::raft {
namespace {

constexpr std::uint8_t kHardStateFormat = 1;

}  // namespace

Effects RaftCore::Step(const Event& event) {
  now_ = event.now;
  effects_ = Effects();
  persist_ = Persist();
  after_persist_.clear();
  CAIRN_CHECK(recovered_ != std::holds_alternative<Recovered>(event.what),
              "Recovered comes first, and once");
  // A leader that was stopped finds out here, before it does anything as a leader.
  if (role_ == Role::kLeader) CheckQuorum();
  std::visit([this](const auto& what) { On(what); }, event.what);
  Finish();
  return std::move(effects_);
}

// ---- Hard state: format, epoch, voted for (0 none, else node + 1), committed.

std::string RaftCore::EncodeHardState() const {
  std::string out;
  Encoder e(&out);
  e.U8(kHardStateFormat);
  e.Varint(epoch_.value());
  e.Varint(voted_for_ ? std::uint64_t{voted_for_->value()} + 1 : 0);
  e.Varint(committed_.value());
  return out;
}

void RaftCore::DecodeHardState(const std::string& bytes) {
  if (bytes.empty()) return;
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  epoch_ = Epoch(d.Varint());
  const std::uint64_t vote = d.Varint();
  if (vote != 0) voted_for_ = NodeId(static_cast<std::uint32_t>(vote - 1));
  committed_ = Slot(d.Varint());
  CAIRN_CHECK(d.AtEnd() && format == kHardStateFormat, "hard state: " + Printable(bytes));
}

void RaftCore::On(const Recovered& event) {
  recovered_ = true;
  recovered_at_ = now_;
  DecodeHardState(event.hard_state);
  log_.Reset(event.snapshot_slot, event.snapshot_epoch);
  memberships_.emplace_back(event.snapshot_slot, event.membership);
  for (const Entry& entry : event.entries) {
    log_.Append(entry);
    if (entry.kind == EntryKind::kMembership) {
      const Result<Membership> membership = Membership::Decode(*entry.payload);
      CAIRN_CHECK(membership.ok(), membership.status().message());
      memberships_.emplace_back(entry.slot, *membership);
    }
  }
  epoch_ = std::max(epoch_, log_.last_epoch());
  durable_slot_ = log_.last_slot();
  // The hint may lag behind what was committed, and never runs ahead of the log.
  committed_ = std::clamp(committed_, event.snapshot_slot, log_.last_slot());
  applied_ = event.snapshot_slot;
  effects_.committed = committed_;
  effects_.membership = membership();
  effects_.leadership = Leadership{role_, epoch_, leader_};
  ResetElectionTimer();
  // The only voter need not wait for anybody.
  if (membership().Voters() == Voters{options_.self} && !membership().IsJoint()) {
    Campaign(false, false);
  }
}

void RaftCore::On(const Tick&) {
  if (role_ == Role::kLeader) {
    if (transfer_ && now_ >= transfer_->second) transfer_.reset();
    if (now_ >= heartbeat_at_) StartRound();
    return;
  }
  if (now_ < election_at_) return;
  if (!asked_barriers_.empty()) FailBarriers(UnavailableError("there is no leader; try again"));
  // The leader that was not heard of for so long is not reported as one.
  if (leader_ && !HearsFromLeader()) SetLeadership(Role::kFollower, std::nullopt);
  if (MayCampaign()) {
    Campaign(true, false);
  } else {
    ResetElectionTimer();
  }
}

void RaftCore::On(const MessageReceived& event) {
  Result<RaftMessage> message = Decode(event.body);
  // What does not decode was checked by the transport's frame: it is of another version. Lost
  // messages do no harm.
  if (!message.ok()) return;
  std::visit([&](auto&& m) { Receive(event.from, std::forward<decltype(m)>(m)); },
             *std::move(message));
}

void RaftCore::On(const Persisted& event) {
  durable_token_ = event.token;
  while (!persists_.empty() && persists_.front().first <= event.token) {
    durable_slot_ = std::max(durable_slot_, persists_.front().second);
    persists_.pop_front();
  }
  if (role_ == Role::kLeader) MaybeCommit();
}

void RaftCore::On(const Applied& event) { applied_ = std::max(applied_, event.slot); }

void RaftCore::On(const Compacted& event) {
  const Slot slot = std::min(event.slot, std::min(committed_, durable_slot_));
  log_.CompactTo(slot);
  while (memberships_.size() > 1 && memberships_[1].first <= slot) memberships_.pop_front();
}

void RaftCore::On(const SnapshotInstalled& event) {
  if (event.slot <= committed_) return;
  log_.Reset(event.slot, event.epoch);
  memberships_.clear();
  memberships_.emplace_back(event.slot, event.membership);
  persists_.clear();
  durable_slot_ = event.slot;
  committed_ = event.slot;
  applied_ = event.slot;
  effects_.committed = committed_;
  effects_.membership = membership();
  if (event.epoch > epoch_) BecomeFollower(event.epoch, std::nullopt);
}

// ---- Effects

void RaftCore::Send(NodeId to, const RaftMessage& message) {
  effects_.messages.push_back({to, Encode(message), PersistToken()});
}

void RaftCore::SendAfterPersist(NodeId to, const RaftMessage& message) {
  after_persist_.push_back(effects_.messages.size());
  Send(to, message);
}

void RaftCore::Finish() {
  const bool writes = persist_.truncate_from || !persist_.entries.empty() || hard_state_dirty_;
  if (writes) {
    // The commit hint rides along; it never costs a write of its own.
    persist_.hard_state = EncodeHardState();
    hard_state_dirty_ = false;
    persist_.token = next_token_;
    persists_.emplace_back(next_token_,
                           persist_.entries.empty() ? Slot() : persist_.entries.back().slot);
    next_token_ = next_token_.Next();
    effects_.persist = std::move(persist_);
  }
  const PersistToken last = next_token_.Prev();
  if (last > durable_token_) {
    for (const std::size_t i : after_persist_) effects_.messages[i].after = last;
  }
  log_.Evict(std::min(applied_, durable_slot_), options_.max_cached_bytes);
  effects_.wake_at = role_ == Role::kLeader ? heartbeat_at_ : election_at_;
}

}  // namespace cairn::consensus::raft
