#include "src/consensus/core/testing/lone_voter.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cairn::consensus {
namespace {

const PeerId kSelf{NodeId(0), IncarnationId(1)};

std::string PayloadOf(const Entry& entry) { return entry.payload ? *entry.payload : ""; }

}  // namespace

LoneVoter::LoneVoter(CoreFactory factory, std::uint64_t seed)
    : factory_(std::move(factory)), random_(seed) {
  membership_.members.push_back({kSelf.node, kSelf.incarnation, true});
}

void LoneVoter::Expect(bool holds, const std::string& what) {
  if (!holds && !broken_) broken_ = what;
}

Slot LoneVoter::highest_committed() const {
  return chosen_.empty() ? disk_.base : std::max(disk_.base, chosen_.rbegin()->first);
}

Slot LoneVoter::last_durable() const {
  return disk_.entries.empty() ? disk_.base : std::max(disk_.base, disk_.entries.rbegin()->first);
}

bool LoneVoter::HoldsTheProposalOf(Slot slot) const {
  const auto chosen = chosen_.find(slot);
  const auto accepted = accepted_payloads_.find(slot);
  return chosen != chosen_.end() && accepted != accepted_payloads_.end() &&
         PayloadOf(chosen->second) == accepted->second;
}

// ---- What happens

void LoneVoter::Start() {
  core_ = factory_(kSelf, &random_);
  writing_.clear();
  last_token_ = PersistToken();
  committed_ = disk_.base;
  accepted_slot_ = Slot();
  handed_over_ = last_durable();
  leads_ = false;
  asked_.clear();
  barrier_floors_.clear();
  wake_at_.reset();
  // What the engine flushed: some of what is committed; those entries may come without payload.
  const Slot applied =
      disk_.base.Plus(random_.Below(highest_committed().value() - disk_.base.value() + 1));
  Recovered event{disk_.hard_state, disk_.base, disk_.base_epoch, membership_, {}, applied};
  for (const auto& [slot, entry] : disk_.entries) {
    event.entries.push_back(entry);
    if (slot <= applied) event.entries.back().payload.reset();
  }
  Step(std::move(event));
}

void LoneVoter::Crash(std::size_t arrived) {
  for (; arrived > 0 && !writing_.empty(); --arrived) WriteOne();
  core_.reset();
  leads_ = false;
}

void LoneVoter::WriteOne() {
  const Persist persist = std::move(writing_.front());
  writing_.pop_front();
  if (persist.truncate_from) {
    disk_.entries.erase(disk_.entries.lower_bound(*persist.truncate_from), disk_.entries.end());
  }
  for (const Entry& entry : persist.entries) disk_.entries[entry.slot] = entry;
  if (persist.hard_state) disk_.hard_state = *persist.hard_state;
}

bool LoneVoter::PersistOne() {
  if (!core_ || writing_.empty()) return false;
  const PersistToken token = writing_.front().token;
  WriteOne();
  Step(Persisted{token});
  return true;
}

void LoneVoter::PersistAll() {
  while (!broken_ && PersistOne()) {
  }
}

void LoneVoter::Pass() {
  now_ = now_ + std::chrono::milliseconds(1);
  if (wake_at_) now_ = std::max(now_, *wake_at_);
  Step(Tick{});
}

void LoneVoter::Lead() {
  for (int i = 0; i < 100 && !broken_; ++i) {
    PersistAll();
    if (leads_) return;
    Pass();
  }
  Expect(false, "the only voter does not come to lead");
}

std::optional<Slot> LoneVoter::Propose() {
  const std::uint64_t id = ++next_id_;
  const std::string payload = "p" + std::to_string(id);
  asked_[id] = payload;
  proposed_.insert(payload);
  const Effects effects = Step(consensus::Propose{ProposalId(id), EntryKind::kCommands,
                                                  std::make_shared<const std::string>(payload)});
  Expect(effects.accepted.size() + effects.rejected.size() == 1, "a proposal was not answered");
  if (effects.accepted.empty()) return std::nullopt;
  return effects.accepted.front().slot;
}

std::uint64_t LoneVoter::Barrier() {
  const std::uint64_t id = ++next_id_;
  barrier_floors_[id] = highest_committed();
  Step(ReadBarrier{BarrierId(id)});
  return id;
}

bool LoneVoter::AskForTheImpossible() {
  const std::uint64_t id = ++next_id_;
  asked_[id] = "";
  const Effects effects = Step(ChangeMembership{ProposalId(id), Membership{}});
  return effects.rejected.size() == 1 && effects.rejected.front().id == ProposalId(id);
}

void LoneVoter::Compact(Slot slot) {
  slot = std::min(slot, std::min(committed_, last_durable()));
  if (slot <= disk_.base) return;
  disk_.base_epoch = disk_.entries.at(slot).epoch;
  disk_.base = slot;
  disk_.entries.erase(disk_.entries.begin(), disk_.entries.upper_bound(slot));
  Step(Compacted{slot});
}

Effects LoneVoter::Step(decltype(Event::what) what) {
  if (!core_ || broken_) return {};
  try {
    Effects effects = core_->Step(Event{now_, std::move(what)});
    CarryOut(effects);
    return effects;
  } catch (const CheckFailure& failure) {
    Expect(false,
           std::string("the core finds itself in a state that cannot be: ") + failure.what());
    return {};
  }
}

// ---- What any core promises

void LoneVoter::CarryOut(const Effects& effects) {
  if (effects.persist) TakePersist(*effects.persist);
  Expect(effects.messages.empty(), "a core without peers sends a message");
  TakeAnswers(effects);
  if (effects.committed) TakeCommitted(*effects.committed);
  for (const OpenBarrier& open : effects.open_barriers) {
    const auto floor = barrier_floors_.find(open.id.value());
    if (floor == barrier_floors_.end()) return Expect(false, "a barrier is answered twice");
    Expect(open.slot >= floor->second, "a barrier opens at slot " + ToString(open.slot) + ", and " +
                                           ToString(floor->second) + " was committed before");
    opened_[open.id.value()] = open.slot;
    barrier_floors_.erase(floor);
  }
  for (const FailedBarrier& failed : effects.failed_barriers) {
    Expect(barrier_floors_.erase(failed.id.value()) == 1, "a barrier is answered twice");
    Expect(!failed.status.ok(), "a barrier fails without an error");
  }
  if (effects.leadership) {
    leads_ = effects.leadership->role == Role::kLeader;
    Expect(!leads_ || effects.leadership->leader == kSelf.node, "a leader names another one");
  }
  wake_at_ = effects.wake_at;
}

void LoneVoter::TakePersist(const Persist& persist) {
  Expect(persist.token == last_token_.Next(), "tokens of persists have a gap");
  last_token_ = persist.token;
  if (persist.truncate_from) {
    Expect(*persist.truncate_from > highest_committed(), "what is committed is cut off");
    handed_over_ = std::min(handed_over_, persist.truncate_from->Prev());
  }
  for (const Entry& entry : persist.entries) {
    const bool known = entry.kind != EntryKind::kCommands || proposed_.count(PayloadOf(entry)) == 1;
    Expect(known, "slot " + ToString(entry.slot) + " gets what was rejected or never proposed");
    const auto chosen = chosen_.find(entry.slot);
    Expect(chosen == chosen_.end() || PayloadOf(chosen->second) == PayloadOf(entry),
           "slot " + ToString(entry.slot) + " is committed and written anew");
    handed_over_ = std::max(handed_over_, entry.slot);
  }
  writing_.push_back(persist);
}

void LoneVoter::TakeAnswers(const Effects& effects) {
  for (const AcceptedProposal& accepted : effects.accepted) {
    const auto asked = asked_.find(accepted.id.value());
    if (asked == asked_.end()) return Expect(false, "a proposal is answered twice");
    Expect(accepted.slot > accepted_slot_, "proposals are accepted out of order");
    Expect(accepted.slot > highest_committed(), "a proposal is accepted at a committed slot");
    Expect(accepted.slot <= handed_over_, "what is accepted is not handed to the journal");
    accepted_slot_ = accepted.slot;
    accepted_epoch_ = accepted.epoch;
    accepted_payloads_[accepted.slot] = asked->second;
    asked_.erase(asked);
  }
  for (const RejectedProposal& rejected : effects.rejected) {
    const auto asked = asked_.find(rejected.id.value());
    if (asked == asked_.end()) return Expect(false, "a proposal is answered twice");
    Expect(!rejected.status.ok(), "a proposal is rejected without an error");
    proposed_.erase(asked->second);
    asked_.erase(asked);
  }
}

void LoneVoter::TakeCommitted(Slot committed) {
  Expect(committed >= committed_, "what is committed shrinks");
  committed_ = committed;
  for (Slot slot = disk_.base.Next(); slot <= committed; slot = slot.Next()) {
    const auto durable = disk_.entries.find(slot);
    if (durable == disk_.entries.end()) {
      return Expect(false, "slot " + ToString(slot) + " is committed and not durable");
    }
    const auto [chosen, first] = chosen_.emplace(slot, durable->second);
    Expect(PayloadOf(chosen->second) == PayloadOf(durable->second),
           "slot " + ToString(slot) + " was committed with another payload");
  }
}

}  // namespace cairn::consensus
