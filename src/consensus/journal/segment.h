// An open segment file, and a reader that walks its records.
//
// Thread safety: `header`, `path`, `capacity` and positioned reads of `file` may be used from any
// thread; everything else belongs to the journal thread.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/consensus/journal/format.h"

namespace cairn::consensus::journal {

struct Segment {
  SegmentHeader header;
  std::string path;
  std::shared_ptr<File> file;  // shared with the pool when the file is used again
  std::uint64_t capacity = 0;  // the file's size
  std::uint64_t end = 0;       // position behind the last record
  // Blocks up to here were written before, not only allocated.
  std::uint64_t written_to = 0;

  [[nodiscard]] std::uint64_t EndOffset() const { return header.base + end; }
};

// Opens an existing segment and reads its header. kCorruption names the file.
Result<std::shared_ptr<Segment>> OpenSegment(const std::string& directory, std::uint64_t sequence,
                                             GroupId group, FileSystem* files);

// Reads a segment's bytes through a window, so that memory stays bounded by the window or the
// largest record.
class SegmentReader {
 public:
  // Nothing at or behind `limit` is read. `segment` must outlive the reader.
  SegmentReader(const Segment* segment, std::uint64_t limit) : segment_(segment), limit_(limit) {}

  [[nodiscard]] std::uint64_t limit() const { return limit_; }

  // Up to `size` bytes at `position`; fewer at the limit or the end of the file. Valid until the
  // next call.
  Result<std::string_view> Peek(std::uint64_t position, std::size_t size);

  // The record at `position`; empty if there is no valid one. Its body is valid until the next
  // call.
  Result<std::optional<Record>> RecordAt(std::uint64_t position);

 private:
  const Segment* const segment_;
  const std::uint64_t limit_;
  std::uint64_t window_start_ = 0;
  std::string window_;
};

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_H_
