#include "src/consensus/solo/solo_core.h"

#include <algorithm>
#include <variant>

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn::consensus {
namespace {

// Hard state of this core: format, epoch.
constexpr std::uint8_t kHardStateFormat = 1;

std::string EncodeHardState(Epoch epoch) {
  std::string out;
  Encoder e(&out);
  e.U8(kHardStateFormat);
  e.Varint(epoch.value());
  return out;
}

Epoch DecodeHardState(std::string_view bytes) {
  if (bytes.empty()) return Epoch();
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  const Epoch epoch(d.Varint());
  CAIRN_CHECK(d.AtEnd() && format == kHardStateFormat, "hard state: " + Printable(bytes));
  return epoch;
}

}  // namespace

Effects SoloCore::Step(const Event& event) {
  Effects effects;
  std::visit([&](const auto& what) { On(what, &effects); }, event.what);
  return effects;
}

void SoloCore::On(const Recovered& event, Effects* effects) {
  CAIRN_CHECK(!recovered_, "Recovered comes once");
  recovered_ = true;
  last_slot_ = event.snapshot_slot;
  Epoch highest = std::max(DecodeHardState(event.hard_state), event.snapshot_epoch);
  for (const Entry& entry : event.entries) {
    CAIRN_CHECK(entry.slot == last_slot_.Next(), "a hole before slot " + ToString(entry.slot));
    last_slot_ = entry.slot;
    highest = std::max(highest, entry.epoch);
  }
  epoch_ = highest.Next();
  // What is in the journal of the only voter is chosen.
  committed_ = last_slot_;
  effects->committed = committed_;
  effects->leadership = Leadership{Role::kLeader, epoch_, self_};
  effects->persist = Persist{next_token_, std::nullopt, {}, EncodeHardState(epoch_)};
  in_flight_.emplace_back(next_token_, last_slot_);
  next_token_ = next_token_.Next();
}

void SoloCore::On(const Propose& event, Effects* effects) {
  CAIRN_CHECK(recovered_);
  last_slot_ = last_slot_.Next();
  effects->persist = Persist{
      next_token_, std::nullopt, {Entry{last_slot_, epoch_, event.kind, event.payload}}, {}};
  in_flight_.emplace_back(next_token_, last_slot_);
  next_token_ = next_token_.Next();
  effects->accepted.push_back({event.id, last_slot_, epoch_});
}

void SoloCore::On(const ReadBarrier& event, Effects* effects) {
  CAIRN_CHECK(recovered_);
  effects->open_barriers.push_back({event.id, committed_});
}

void SoloCore::On(const Persisted& event, Effects* effects) {
  while (!in_flight_.empty() && in_flight_.front().first <= event.token) {
    committed_ = in_flight_.front().second;
    in_flight_.pop_front();
  }
  effects->committed = committed_;
}

void SoloCore::On(const ChangeMembership& event, Effects* effects) {
  effects->rejected.push_back(
      {event.id, FailedPreconditionError("a standalone node has no membership to change")});
}

}  // namespace cairn::consensus
