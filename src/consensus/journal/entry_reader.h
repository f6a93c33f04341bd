// Reads entries back from their segments, without the journal's lock: it holds on to the segments
// it reads. Neighbouring records are read with one call.
//
// Thread safety: none; each reader makes its own.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_ENTRY_READER_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_ENTRY_READER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/consensus/journal/segment.h"
#include "src/consensus/journal/slot_index.h"

namespace cairn::consensus::journal {

class EntryReader {
 public:
  static std::uint64_t PayloadBytes(const Location& location) {
    return location.length - kRecordHeaderBytes - kEntryFixedBytes;
  }

  // Wants the entry at this place. Call in the order of slots, under the journal's lock.
  void Add(Slot slot, const Location& location, const std::shared_ptr<Segment>& segment);

  // Reads and checks everything that was added. kCorruption names file and offset.
  Result<std::vector<Entry>> Read() const;

 private:
  struct Wanted {
    Slot slot;
    Epoch epoch;
    std::uint64_t position = 0;
    std::uint32_t length = 0;
  };
  // Records that lie next to each other.
  struct Run {
    std::shared_ptr<Segment> segment;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::vector<Wanted> wanted;
  };

  static Result<Entry> Check(const Segment& segment, const Wanted& wanted, std::string_view bytes);

  std::vector<Run> runs_;
  std::size_t count_ = 0;
};

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_ENTRY_READER_H_
