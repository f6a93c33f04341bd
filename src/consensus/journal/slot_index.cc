#include "src/consensus/journal/slot_index.h"

#include <algorithm>

namespace cairn::consensus::journal {

void SlotIndex::Set(Slot slot, const Location& location) {
  ++live_[location.segment];
  if (InDense(slot)) {
    Location& held = dense_[slot.value() - dense_first_.value()];
    CountDead(held);
    held = location;
  } else if (dense_.empty() || slot == DenseEnd()) {
    if (dense_.empty()) dense_first_ = slot;
    dense_.push_back(location);
    PullIntoDense();
  } else {
    const auto [it, fresh] = sparse_.try_emplace(slot, location);
    if (!fresh) {
      CountDead(it->second);
      it->second = location;
    }
  }
}

void SlotIndex::DropFrom(Slot slot) {
  while (!dense_.empty() && DenseEnd().Prev() >= slot) {
    CountDead(dense_.back());
    dense_.pop_back();
  }
  const auto first = sparse_.lower_bound(slot);
  for (auto it = first; it != sparse_.end(); ++it) CountDead(it->second);
  sparse_.erase(first, sparse_.end());
  PullIntoDense();
}

void SlotIndex::DropThrough(Slot slot) {
  while (!dense_.empty() && dense_first_ <= slot) {
    CountDead(dense_.front());
    dense_.pop_front();
    dense_first_ = dense_first_.Next();
  }
  const auto end = sparse_.upper_bound(slot);
  for (auto it = sparse_.begin(); it != end; ++it) CountDead(it->second);
  sparse_.erase(sparse_.begin(), end);
  PullIntoDense();
}

const Location* SlotIndex::Find(Slot slot) const {
  if (InDense(slot)) return &dense_[slot.value() - dense_first_.value()];
  const auto it = sparse_.find(slot);
  return it == sparse_.end() ? nullptr : &it->second;
}

std::optional<Slot> SlotIndex::NextHeld(Slot slot) const {
  if (InDense(slot)) return slot;
  std::optional<Slot> next;
  if (!dense_.empty() && slot < dense_first_) next = dense_first_;
  const auto it = sparse_.lower_bound(slot);
  if (it != sparse_.end() && (!next.has_value() || it->first < *next)) next = it->first;
  return next;
}

std::optional<Slot> SlotIndex::First() const { return NextHeld(Slot(0)); }

std::optional<Slot> SlotIndex::Last() const {
  if (dense_.empty()) return std::nullopt;
  const Slot dense_last = DenseEnd().Prev();
  if (sparse_.empty() || sparse_.rbegin()->first < dense_last) return dense_last;
  return sparse_.rbegin()->first;
}

Slot SlotIndex::SlotBefore(std::uint64_t bytes) const {
  std::uint64_t behind = 0;
  std::size_t dense = dense_.size();
  auto sparse = sparse_.rbegin();
  // From the highest slot down, whichever of the two holds it.
  while (dense > 0 || sparse != sparse_.rend()) {
    const bool from_sparse =
        sparse != sparse_.rend() && (dense == 0 || sparse->first >= dense_first_.Plus(dense));
    if (behind >= bytes) return from_sparse ? sparse->first : dense_first_.Plus(dense - 1);
    behind += from_sparse ? (sparse++)->second.length : dense_[--dense].length;
  }
  return Slot();
}

std::optional<std::uint64_t> SlotIndex::FirstSegmentAfter(Slot slot) const {
  std::optional<std::uint64_t> first;
  const auto look = [&](const Location& held) {
    first = std::min(first.value_or(held.segment), held.segment);
  };
  const std::uint64_t below =
      slot < dense_first_ ? 0 : slot.value() - dense_first_.value() + 1;  // of the dense ones
  for (std::uint64_t i = below; i < dense_.size(); ++i) look(dense_[i]);
  for (auto it = sparse_.upper_bound(slot); it != sparse_.end(); ++it) look(it->second);
  return first;
}

std::uint64_t SlotIndex::LiveIn(std::uint64_t segment) const {
  const auto it = live_.find(segment);
  return it == live_.end() ? 0 : it->second;
}

void SlotIndex::CountDead(const Location& location) {
  const auto it = live_.find(location.segment);
  if (--it->second == 0) live_.erase(it);
}

void SlotIndex::PullIntoDense() {
  if (dense_.empty()) {
    if (sparse_.empty()) return;
    dense_first_ = sparse_.begin()->first;
  }
  auto it = sparse_.find(DenseEnd());
  while (it != sparse_.end() && it->first == DenseEnd()) {
    dense_.push_back(it->second);
    it = sparse_.erase(it);
  }
}

}  // namespace cairn::consensus::journal
