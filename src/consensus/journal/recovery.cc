#include "src/consensus/journal/recovery.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

namespace cairn::consensus::journal {
namespace {

// Called for each valid record; says what is wrong with it, or nothing.
using Visitor = std::function<std::optional<std::string>(std::uint64_t, const Record&)>;

// Walks the valid records from the first one on and returns the position behind the last of them.
// Every segment starts with a segment state, which was durable before the file got its name, and
// has it nowhere else.
Result<std::uint64_t> Walk(const Segment& segment, std::uint64_t limit, const Visitor& visit) {
  SegmentReader reader(&segment, limit);
  std::uint64_t position = kSegmentHeaderBytes;
  while (true) {
    CAIRN_ASSIGN_OR_RETURN(const std::optional<Record> record, reader.RecordAt(position));
    const bool first = position == kSegmentHeaderBytes;
    if (!record.has_value()) {
      if (!first) return position;
      return Damaged(segment.path, position, "the segment state record does not check out");
    }
    if ((record->type == RecordType::kSegmentState) != first) {
      return Damaged(segment.path, position, "a segment state record is not where it belongs");
    }
    if (const std::optional<std::string> wrong = visit(position, *record); wrong.has_value()) {
      return Damaged(segment.path, position, *wrong);
    }
    position += RecordBytes(record->body.size());
  }
}

// What lies behind the last valid record of the last segment.
struct Tail {
  std::uint64_t known_synced = 0;             // the highest that any record there tells
  std::uint64_t end = 0;                      // position behind everything that looks like a record
  std::vector<std::uint64_t> tagged;          // positions whose tag would fit
  std::optional<std::uint64_t> valid_record;  // position of the record that told known_synced
};

Result<Tail> SearchTail(const Segment& segment, std::uint64_t start) {
  constexpr std::size_t kStep = 1 << 20;
  Tail tail;
  tail.end = start;
  SegmentReader scan(&segment, segment.capacity);
  SegmentReader reader(&segment, segment.capacity);
  for (std::uint64_t at = start; at + kRecordHeaderBytes <= segment.capacity; at += kStep) {
    CAIRN_ASSIGN_OR_RETURN(const std::string_view bytes, scan.Peek(at, kStep + kRecordHeaderBytes));
    for (std::size_t i = 0; i < kStep && i + kRecordHeaderBytes <= bytes.size();
         i += kRecordAlignment) {
      const std::uint64_t position = at + i;
      std::uint64_t tag = 0;
      std::memcpy(&tag, bytes.data() + i + kTagOffset, sizeof(tag));
      if (tag != RecordTag(segment.header, position)) continue;
      tail.tagged.push_back(position);
      const auto length =
          RecordLength(segment.header, position, bytes.substr(i, kRecordHeaderBytes));
      tail.end = std::max(tail.end, std::min(position + length.value_or(0), segment.capacity));
      CAIRN_ASSIGN_OR_RETURN(const std::optional<Record> record, reader.RecordAt(position));
      if (record.has_value() && record->synced >= tail.known_synced) {
        tail.known_synced = record->synced;
        tail.valid_record = position;
      }
    }
  }
  return tail;
}

// Makes the last segment end at segment.end for good: what follows can never be taken for records
// again, and what precedes is durable. Bytes behind `known_synced` are written again before they
// are synced, because after a failed fdatasync the page cache may show bytes that are neither on
// the disk nor dirty.
Status Repair(const Segment& segment, std::uint64_t known_synced,
              const std::vector<std::uint64_t>& tagged) {
  for (const std::uint64_t position : tagged) {
    CAIRN_RETURN_IF_ERROR(
        segment.file->WriteAt(position + kTagOffset, std::string(sizeof(std::uint64_t), '\0')));
  }
  constexpr std::uint64_t kStep = 1 << 20;
  std::string bytes;
  std::uint64_t at = known_synced - segment.header.base;
  while (at < segment.end) {
    CAIRN_RETURN_IF_ERROR(segment.file->ReadAt(at, std::min(kStep, segment.end - at), &bytes));
    CAIRN_RETURN_IF_ERROR(segment.file->WriteAt(at, bytes));
    at += bytes.size();
  }
  return segment.file->Sync();
}

// Replays the last segment, decides what its tail is and repairs it.
Status RecoverLast(Segment* segment, RecoveredJournal* out) {
  std::uint64_t known_synced = segment->header.base + kSegmentHeaderBytes;
  CAIRN_ASSIGN_OR_RETURN(
      segment->end,
      Walk(*segment, segment->capacity, [&](std::uint64_t position, const Record& record) {
        known_synced = std::max(known_synced, record.synced);
        return out->state.Replay(segment->header.sequence, position, record);
      }));
  CAIRN_ASSIGN_OR_RETURN(const Tail tail, SearchTail(*segment, segment->end));
  known_synced = std::max(known_synced, tail.known_synced);
  if (known_synced > segment->EndOffset()) {
    std::string why = "the record does not check out, but was known to be durable";
    if (tail.valid_record.has_value()) {
      why += " (the record at offset " + std::to_string(*tail.valid_record) + " tells)";
    }
    return Damaged(segment->path, segment->end, why);
  }
  out->torn_bytes = tail.end - segment->end;
  return Repair(*segment, known_synced, tail.tagged);
}

// Replays a segment that has a successor. It was synced before the successor was made, so it must
// be valid up to the very byte where the successor goes on.
Status RecoverSealed(Segment* segment, const Segment& next, JournalState* state) {
  const std::uint64_t limit = next.header.base - segment->header.base;
  if (next.header.base < segment->header.base || limit > segment->capacity ||
      limit % kRecordAlignment != 0) {
    return Damaged(next.path, 0,
                   "the segment starts at journal offset " + std::to_string(next.header.base) +
                       ", which " + segment->path + " can't reach");
  }
  CAIRN_ASSIGN_OR_RETURN(segment->end,
                         Walk(*segment, limit, [&](std::uint64_t position, const Record& record) {
                           return state->Replay(segment->header.sequence, position, record);
                         }));
  if (segment->end != limit) {
    return Damaged(
        segment->path, segment->end,
        "the record does not check out, but was known to be durable (" + next.path + " follows)");
  }
  return Status::Ok();
}

// The first segment that counts, as the last one tells.
Result<std::uint64_t> FirstNeeded(const Segment& last) {
  std::uint64_t first = 0;
  const auto visit = [&](std::uint64_t, const Record& record) -> std::optional<std::string> {
    if (record.type == RecordType::kMark) {
      if (const auto mark = DecodeMark(record.body)) first = mark->first_segment;
    } else if (record.type == RecordType::kSegmentState) {
      if (const auto state = DecodeSegmentState(record.body)) first = state->mark.first_segment;
    }
    return std::nullopt;
  };
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t end, Walk(last, last.capacity, visit));
  if (first == 0 || first > last.header.sequence) {
    return Damaged(last.path, end, "it names " + SegmentFileName(first) + " as the first segment");
  }
  return first;
}

}  // namespace

Result<RecoveredJournal> Recover(const JournalOptions& options,
                                 const std::vector<std::string>& names, FileSystem* files) {
  RecoveredJournal out;
  std::vector<std::uint64_t> found;
  for (const std::string& name : names) {
    if (const auto number = NumberInFileName(name, ".seg")) found.push_back(*number);
  }
  if (found.empty()) return out;
  std::sort(found.begin(), found.end());

  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Segment> last,
                         OpenSegment(options.directory, found.back(), options.group, files));
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t first, FirstNeeded(*last));
  for (std::uint64_t sequence = first; sequence < found.back(); ++sequence) {
    if (!std::binary_search(found.begin(), found.end(), sequence)) {
      return CorruptionError("journal " + options.directory + "/" + SegmentFileName(sequence) +
                             " is missing; restore this node from a backup or let it rejoin as a "
                             "new member");
    }
    CAIRN_ASSIGN_OR_RETURN(out.segments[sequence],
                           OpenSegment(options.directory, sequence, options.group, files));
  }
  out.segments[found.back()] = last;
  for (auto it = out.segments.begin(); std::next(it) != out.segments.end(); ++it) {
    CAIRN_RETURN_IF_ERROR(RecoverSealed(it->second.get(), *std::next(it)->second, &out.state));
  }
  CAIRN_RETURN_IF_ERROR(RecoverLast(last.get(), &out));

  // Only now, with the mark that says so durable, and the name of the segment that holds it:
  // whoever gave it that name may have ended before the folder was synced. They are not recycled:
  // after a crash a name may still lead to a file that was already used again.
  if (found.front() < first) CAIRN_RETURN_IF_ERROR(files->SyncDirectory(options.directory));
  for (const std::uint64_t sequence : found) {
    if (sequence >= first) break;
    CAIRN_RETURN_IF_ERROR(files->Remove(options.directory + "/" + SegmentFileName(sequence)));
  }
  return out;
}

}  // namespace cairn::consensus::journal
