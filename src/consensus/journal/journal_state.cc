#include "src/consensus/journal/journal_state.h"

namespace cairn::consensus::journal {

std::optional<std::string> JournalState::Replay(std::uint64_t segment, std::uint64_t position,
                                                const Record& record) {
  switch (record.type) {
    case RecordType::kEntry: {
      const auto head = DecodeEntryHead(record.body);
      if (!head.has_value()) return "an entry record is malformed";
      const auto length = static_cast<std::uint32_t>(kRecordHeaderBytes + record.body.size());
      AddEntry(head->slot, {segment, position, length, head->epoch});
      return std::nullopt;
    }
    case RecordType::kTruncate: {
      const auto slot = DecodeTruncate(record.body);
      if (!slot.has_value()) return "a truncation record is malformed";
      TruncateFrom(*slot);
      return std::nullopt;
    }
    case RecordType::kMark: {
      const auto mark = DecodeMark(record.body);
      if (!mark.has_value()) return "a compaction record is malformed";
      SetMark(*mark);
      return std::nullopt;
    }
    case RecordType::kHardState:
      SetHardState(record.body);
      return std::nullopt;
    case RecordType::kSegmentState: {
      const auto state = DecodeSegmentState(record.body);
      if (!state.has_value()) return "a segment state record is malformed";
      SetMark(state->mark);
      SetHardState(state->hard_state);
      return std::nullopt;
    }
  }
  return "a record has the unknown type " + std::to_string(static_cast<int>(record.type)) +
         " (written by a newer version?)";
}

}  // namespace cairn::consensus::journal
