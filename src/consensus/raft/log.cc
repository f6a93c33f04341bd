#include "src/consensus/raft/log.h"

#include <algorithm>

#include "src/base/check.h"

namespace cairn::consensus::raft {
namespace {

std::uint64_t SizeOf(const Entry& entry) { return entry.payload ? entry.payload->size() : 0; }

}  // namespace

void Log::Reset(Slot base_slot, Epoch base_epoch) {
  base_slot_ = base_slot;
  base_epoch_ = base_epoch;
  entries_.clear();
  first_cached_ = base_slot.Next();
  cached_bytes_ = 0;
}

void Log::Append(const Entry& entry) {
  CAIRN_CHECK(entry.slot == last_slot().Next());
  CAIRN_CHECK(entry.epoch >= last_epoch());
  if (entry.payload == nullptr) {
    CAIRN_CHECK(first_cached_ == entry.slot, "a payload is missing at " + ToString(entry.slot));
    first_cached_ = entry.slot.Next();
  }
  entries_.push_back(entry);
  cached_bytes_ += SizeOf(entry);
}

void Log::TruncateFrom(Slot slot) {
  CAIRN_CHECK(slot > base_slot_);
  while (last_slot() >= slot) {
    cached_bytes_ -= SizeOf(entries_.back());
    entries_.pop_back();
  }
  first_cached_ = std::min(first_cached_, last_slot().Next());
}

void Log::CompactTo(Slot slot) {
  if (slot <= base_slot_) return;
  CAIRN_CHECK(slot <= last_slot());
  while (base_slot_ < slot) {
    cached_bytes_ -= SizeOf(entries_.front());
    base_epoch_ = entries_.front().epoch;
    base_slot_ = base_slot_.Next();
    entries_.pop_front();
  }
  first_cached_ = std::max(first_cached_, base_slot_.Next());
}

void Log::Evict(Slot slot, std::uint64_t max_bytes) {
  while (cached_bytes_ > max_bytes && first_cached_ <= std::min(slot, last_slot())) {
    Entry& entry = entries_[IndexOf(first_cached_)];
    cached_bytes_ -= SizeOf(entry);
    entry.payload.reset();
    first_cached_ = first_cached_.Next();
  }
}

std::optional<Epoch> Log::EpochAt(Slot slot) const {
  if (slot == base_slot_) return base_epoch_;
  if (slot < base_slot_ || slot > last_slot()) return std::nullopt;
  return entries_[IndexOf(slot)].epoch;
}

Slot Log::LastSlotUpTo(Slot slot, Epoch epoch) const {
  slot = std::min(slot, last_slot());
  while (slot > base_slot_ && entries_[IndexOf(slot)].epoch > epoch) slot = slot.Prev();
  return std::max(slot, base_slot_);
}

std::vector<Entry> Log::Read(Slot first, std::uint64_t max_bytes) const {
  std::vector<Entry> entries;
  if (first < first_cached_) return entries;
  std::uint64_t bytes = 0;
  for (Slot slot = first; slot <= last_slot(); slot = slot.Next()) {
    const Entry& entry = entries_[IndexOf(slot)];
    bytes += SizeOf(entry);
    if (!entries.empty() && bytes > max_bytes) break;
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace cairn::consensus::raft
