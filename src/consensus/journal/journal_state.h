// What the records of a journal add up to. The same steps run when records are appended and when
// they are replayed, so both end in the same state.
//
// Invariant: no held slot is at or below the mark, whatever the order of the records.
//
// Thread safety: none; the journal's lock guards it.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_STATE_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_STATE_H_

#include <optional>
#include <string>
#include <string_view>

#include "src/base/ids.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/slot_index.h"

namespace cairn::consensus::journal {

class JournalState {
 public:
  [[nodiscard]] const SlotIndex& index() const { return index_; }
  [[nodiscard]] const CompactionMark& mark() const { return mark_; }
  [[nodiscard]] const std::string& hard_state() const { return hard_state_; }
  [[nodiscard]] SegmentState ForNextSegment() const { return {mark_, hard_state_}; }

  // An entry at or below the mark is not needed and not held.
  void AddEntry(Slot slot, const Location& location) {
    if (slot > mark_.slot) index_.Set(slot, location);
  }
  void TruncateFrom(Slot slot) { index_.DropFrom(slot); }
  // What the mark covers is forgotten.
  void SetMark(const CompactionMark& mark) {
    mark_ = mark;
    index_.DropThrough(mark.slot);
  }
  void SetHardState(std::string_view hard_state) { hard_state_ = hard_state; }

  // Replays a record found at `position` of a segment. Says what is wrong with it, or nothing.
  std::optional<std::string> Replay(std::uint64_t segment, std::uint64_t position,
                                    const Record& record);

 private:
  SlotIndex index_;
  CompactionMark mark_;
  std::string hard_state_;
};

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_STATE_H_
