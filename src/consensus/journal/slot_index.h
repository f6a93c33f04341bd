// Where each held slot lies on disk, and how many live slots each segment has.
//
// Slots that follow one another (Raft: all of them) lie in a deque; slots that came out of order
// (Multi-Paxos) wait in an ordered map until the deque reaches them.
//
// Invariants: no slot is in both; the slot right behind the deque is never in the map; the map is
// empty if the deque is.
//
// Thread safety: none; the journal's lock guards it.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_SLOT_INDEX_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_SLOT_INDEX_H_

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <optional>

#include "src/base/ids.h"

namespace cairn::consensus::journal {

// The place of an entry's record.
struct Location {
  std::uint64_t segment = 0;   // sequence number
  std::uint64_t position = 0;  // in the segment's file
  std::uint32_t length = 0;    // header and body, without padding
  Epoch epoch;
};

class SlotIndex {
 public:
  // The latest call for a slot wins.
  void Set(Slot slot, const Location& location);
  // Forgets all slots from this one on.
  void DropFrom(Slot slot);
  // Forgets all slots up to and including this one.
  void DropThrough(Slot slot);

  // Null if the slot is not held. Valid until the next change.
  [[nodiscard]] const Location* Find(Slot slot) const;
  // The lowest held slot that is not below `slot`.
  [[nodiscard]] std::optional<Slot> NextHeld(Slot slot) const;
  [[nodiscard]] std::optional<Slot> First() const;
  [[nodiscard]] std::optional<Slot> Last() const;
  // The highest held slot whose successors take at least `bytes` together; Slot() if there is none.
  [[nodiscard]] Slot SlotBefore(std::uint64_t bytes) const;
  // The lowest segment that has the record of a held slot above `slot`. Looks at all of them.
  [[nodiscard]] std::optional<std::uint64_t> FirstSegmentAfter(Slot slot) const;
  // How many held slots have their record in this segment.
  [[nodiscard]] std::uint64_t LiveIn(std::uint64_t segment) const;

 private:
  [[nodiscard]] Slot DenseEnd() const { return dense_first_.Plus(dense_.size()); }
  [[nodiscard]] bool InDense(Slot slot) const { return slot >= dense_first_ && slot < DenseEnd(); }
  void CountDead(const Location& location);
  // Restores the invariants after the deque grew or became empty.
  void PullIntoDense();

  Slot dense_first_;
  std::deque<Location> dense_;
  absl::btree_map<Slot, Location> sparse_;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> live_;
};

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_SLOT_INDEX_H_
