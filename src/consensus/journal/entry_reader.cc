#include "src/consensus/journal/entry_reader.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/consensus/journal/format.h"

namespace cairn::consensus::journal {
namespace {

// Runs are cut at this size, so that the buffer stays small.
constexpr std::uint64_t kMaxRunBytes = 1 << 20;

}  // namespace

void EntryReader::Add(Slot slot, const Location& location,
                      const std::shared_ptr<Segment>& segment) {
  const std::uint64_t end = location.position + RecordBytes(location.length - kRecordHeaderBytes);
  const bool next = !runs_.empty() && runs_.back().segment == segment &&
                    runs_.back().end == location.position &&
                    end - runs_.back().begin <= kMaxRunBytes;
  if (!next) runs_.push_back({segment, location.position, location.position, {}});
  runs_.back().end = end;
  runs_.back().wanted.push_back({slot, location.epoch, location.position, location.length});
  ++count_;
}

Result<std::vector<Entry>> EntryReader::Read() const {
  std::vector<Entry> entries;
  entries.reserve(count_);
  std::string buffer;
  for (const Run& run : runs_) {
    CAIRN_RETURN_IF_ERROR(run.segment->file->ReadAt(run.begin, run.end - run.begin, &buffer));
    buffer.resize(run.end - run.begin, '\0');
    for (const Wanted& wanted : run.wanted) {
      CAIRN_ASSIGN_OR_RETURN(Entry entry, Check(*run.segment, wanted,
                                                std::string_view(buffer).substr(
                                                    wanted.position - run.begin, wanted.length)));
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

Result<Entry> EntryReader::Check(const Segment& segment, const Wanted& wanted,
                                 std::string_view bytes) {
  const std::optional<Record> record = CheckRecord(segment.header, wanted.position, bytes);
  if (record.has_value() && record->type == RecordType::kEntry) {
    std::optional<Entry> entry = DecodeEntry(record->body);
    if (entry.has_value() && entry->slot == wanted.slot && entry->epoch == wanted.epoch) {
      return std::move(*entry);
    }
  }
  return Damaged(segment.path, wanted.position,
                 "the entry of slot " + ToString(wanted.slot) + " does not check out");
}

}  // namespace cairn::consensus::journal
