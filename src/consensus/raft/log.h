// The part of the log that a Raft core keeps in memory: the epoch of every slot after the last
// compaction, and the payloads of the newest ones. Older payloads are fetched from the journal.
//
// Invariants: slots are contiguous from base_slot + 1 to last_slot; epochs never fall with rising
// slots; the slots without payload are the oldest ones.
//
// Thread safety: owned by the core.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_LOG_H_
#define CAIRN_SRC_CONSENSUS_RAFT_LOG_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus::raft {

class Log {
 public:
  // Starts anew behind a snapshot.
  void Reset(Slot base_slot, Epoch base_epoch);
  // The entry must follow last_slot(). Without payload it may only follow others without.
  void Append(const Entry& entry);
  // Forgets `slot` and all after it. Must be above base_slot().
  void TruncateFrom(Slot slot);
  // Moves the base up to `slot`, which must be held. A slot at or below the base does nothing.
  void CompactTo(Slot slot);
  // Drops the oldest payloads up to `slot` until the others take at most `max_bytes`.
  void Evict(Slot slot, std::uint64_t max_bytes);

  [[nodiscard]] Slot base_slot() const { return base_slot_; }
  [[nodiscard]] Epoch base_epoch() const { return base_epoch_; }
  [[nodiscard]] Slot last_slot() const { return base_slot_.Plus(entries_.size()); }
  [[nodiscard]] Epoch last_epoch() const {
    return entries_.empty() ? base_epoch_ : entries_.back().epoch;
  }
  // Nothing for slots below the base or above the end.
  [[nodiscard]] std::optional<Epoch> EpochAt(Slot slot) const;
  // The highest slot at or below `slot` whose epoch is at most `epoch`; the base at the least.
  [[nodiscard]] Slot LastSlotUpTo(Slot slot, Epoch epoch) const;
  // The entries from `first` on that are held with payload, as many as fit into `max_bytes` and one
  // at least. Empty if `first` has no payload here any more, or is past the end.
  [[nodiscard]] std::vector<Entry> Read(Slot first, std::uint64_t max_bytes) const;
  [[nodiscard]] std::uint64_t cached_bytes() const { return cached_bytes_; }

 private:
  [[nodiscard]] std::size_t IndexOf(Slot slot) const {
    return slot.value() - base_slot_.value() - 1;
  }

  Slot base_slot_;
  Epoch base_epoch_;
  std::deque<Entry> entries_;
  Slot first_cached_{1};  // payloads are held from here on
  std::uint64_t cached_bytes_ = 0;
};

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_LOG_H_
