#include "src/consensus/journal/segment.h"

#include <algorithm>
#include <utility>

namespace cairn::consensus::journal {
namespace {

constexpr std::size_t kWindowBytes = 1 << 20;

}  // namespace

Result<std::shared_ptr<Segment>> OpenSegment(const std::string& directory, std::uint64_t sequence,
                                             GroupId group, FileSystem* files) {
  auto segment = std::make_shared<Segment>();
  segment->path = directory + "/" + SegmentFileName(sequence);
  CAIRN_ASSIGN_OR_RETURN(segment->file, files->Open(segment->path, OpenMode::kReadWrite));
  CAIRN_ASSIGN_OR_RETURN(segment->capacity, segment->file->Size());
  std::string bytes;
  CAIRN_RETURN_IF_ERROR(segment->file->ReadAt(0, kSegmentHeaderBytes, &bytes));
  Result<SegmentHeader> header = DecodeSegmentHeader(bytes, group);
  if (!header.ok()) {
    const Status& status = header.status();
    if (status.code() == StatusCode::kCorruption)
      return Damaged(segment->path, 0, status.message());
    return CorruptionError("journal " + segment->path + " can't be used: " + status.message());
  }
  segment->header = *header;
  if (segment->header.sequence != sequence) {
    return Damaged(segment->path, 0,
                   "the file holds segment " + std::to_string(segment->header.sequence) +
                       ", its name says " + std::to_string(sequence));
  }
  segment->end = kSegmentHeaderBytes;
  segment->written_to = segment->capacity;  // not known; most likely
  return segment;
}

Result<std::string_view> SegmentReader::Peek(std::uint64_t position, std::size_t size) {
  if (position >= limit_) return std::string_view();
  size = std::min<std::uint64_t>(size, limit_ - position);
  if (position < window_start_ || position + size > window_start_ + window_.size()) {
    const std::uint64_t wanted =
        std::min<std::uint64_t>(std::max(size, kWindowBytes), limit_ - position);
    CAIRN_RETURN_IF_ERROR(segment_->file->ReadAt(position, wanted, &window_));
    window_start_ = position;
  }
  return std::string_view(window_).substr(position - window_start_, size);
}

Result<std::optional<Record>> SegmentReader::RecordAt(std::uint64_t position) {
  CAIRN_ASSIGN_OR_RETURN(const std::string_view header, Peek(position, kRecordHeaderBytes));
  const std::optional<std::uint64_t> length = RecordLength(segment_->header, position, header);
  if (!length.has_value() || RecordBytes(*length - kRecordHeaderBytes) > limit_ - position) {
    return std::optional<Record>();
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string_view bytes, Peek(position, *length));
  return CheckRecord(segment_->header, position, bytes);
}

}  // namespace cairn::consensus::journal
