// Bytes of the journal on disk, as docs/formats/journal.md specifies them: segment headers, record
// headers and record bodies. Nothing here touches a file.
//
// Positions count from the start of a segment file. A journal offset is a position plus the
// segment's base: it grows over the whole life of the journal.
//
// Thread safety: values and pure functions.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_FORMAT_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus::journal {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 32;
inline constexpr std::size_t kRecordAlignment = 8;

enum class RecordType : std::uint8_t {
  kEntry = 1,
  kTruncate = 2,
  kMark = 3,
  kHardState = 4,
  // First record of every segment, and only there: what must outlive the older segments.
  kSegmentState = 5,
};

// ---- Segments ------------------------------------------------------------------------------

struct SegmentHeader {
  GroupId group;
  std::uint64_t sequence = 0;  // 1, 2, 3, ...; also the file's name
  std::uint64_t salt = 0;      // random; part of every record's tag and checksum
  std::uint64_t base = 0;      // journal offset of position 0
};

std::string EncodeSegmentHeader(const SegmentHeader& header);

// Puts the right checksum into the 64 bytes of a header.
void SealSegmentHeader(char* header);

// Reads a header of this group. kCorruption: damaged; kUnimplemented: another format version;
// kFailedPrecondition: another group. The texts have no file name.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, GroupId group);

// "0000000000000001.seg"
std::string SegmentFileName(std::uint64_t sequence);
// "0000000000000001.free"
std::string FreeFileName(std::uint64_t number);
// The number in a name with this suffix (".seg", ".free"); empty for any other name.
std::optional<std::uint64_t> NumberInFileName(std::string_view name, std::string_view suffix);

// The text of an error that says where the journal is damaged and what to do about it.
Status Damaged(const std::string& path, std::uint64_t position, const std::string& why);

// ---- Records -------------------------------------------------------------------------------

// Slots up to `slot` are in a snapshot. Segments before `first_segment` hold nothing that counts
// and may be there or not.
struct CompactionMark {
  Slot slot;
  Epoch epoch;
  std::uint64_t first_segment = 0;
};

struct SegmentState {
  CompactionMark mark;
  std::string hard_state;
};

// Bytes that a record with such a body takes, padding included.
constexpr std::uint64_t RecordBytes(std::uint64_t body_bytes) {
  return (kRecordHeaderBytes + body_bytes + kRecordAlignment - 1) / kRecordAlignment *
         kRecordAlignment;
}
inline constexpr std::uint64_t kEntryFixedBytes = 17;  // slot, epoch, kind
inline constexpr std::uint64_t kTruncateBytes = RecordBytes(8);
inline constexpr std::uint64_t kMarkBytes = RecordBytes(24);
constexpr std::uint64_t EntryBytes(std::uint64_t payload_bytes) {
  return RecordBytes(kEntryFixedBytes + payload_bytes);
}
constexpr std::uint64_t HardStateBytes(std::uint64_t bytes) { return RecordBytes(bytes); }
constexpr std::uint64_t SegmentStateBytes(std::uint64_t hard_state_bytes) {
  return RecordBytes(24 + hard_state_bytes);
}

// Puts the right checksum into a record of `length` bytes, header included.
void SealRecord(std::uint64_t salt, char* record, std::size_t length);

// Appends records to a string that will be written to one place of one segment.
class RecordWriter {
 public:
  // The string's present end will lie at `position`; `synced` is the journal offset up to which
  // everything is known to be durable.
  RecordWriter(const SegmentHeader& segment, std::uint64_t position, std::uint64_t synced,
               std::string* out)
      : salt_(segment.salt),
        shift_(segment.base + position - out->size()),
        synced_(synced),
        out_(out) {}

  void AddEntry(const Entry& entry);
  void AddTruncate(Slot from);
  void AddMark(const CompactionMark& mark);
  void AddHardState(std::string_view hard_state);
  void AddSegmentState(const SegmentState& state);

 private:
  // Leaves room for a header and returns where it starts.
  std::size_t Begin();
  // Fills in the header and the padding of the record that starts there.
  void End(std::size_t start, RecordType type);

  const std::uint64_t salt_;
  const std::uint64_t shift_;  // from an index of *out_ to a journal offset
  const std::uint64_t synced_;
  std::string* const out_;
};

// A record that checked out. The body points into the bytes it was read from.
struct Record {
  RecordType type = RecordType::kEntry;
  std::uint64_t synced = 0;
  std::string_view body;
};

// The first eight bytes after the checksum of a record at `position`: the journal offset hidden by
// the salt. Nobody can make a payload look like a record, and stale records never match.
constexpr std::uint64_t RecordTag(const SegmentHeader& segment, std::uint64_t position) {
  return (segment.base + position) ^ segment.salt;
}
inline constexpr std::size_t kTagOffset = 8;  // within a record

// The whole length of the record whose header this is, without padding; empty if the tag says that
// it is none. Not yet proof of a record: its length may be damaged.
std::optional<std::uint64_t> RecordLength(const SegmentHeader& segment, std::uint64_t position,
                                          std::string_view header);

// Checks a record from header to end of body; empty if the checksum does not match.
std::optional<Record> CheckRecord(const SegmentHeader& segment, std::uint64_t position,
                                  std::string_view bytes);

// Bodies. Empty if the body has the wrong shape.
std::optional<Entry> DecodeEntry(std::string_view body);  // copies the payload
struct EntryHead {
  Slot slot;
  Epoch epoch;
};
std::optional<EntryHead> DecodeEntryHead(std::string_view body);  // does not look at the payload
std::optional<Slot> DecodeTruncate(std::string_view body);
std::optional<CompactionMark> DecodeMark(std::string_view body);
std::optional<SegmentState> DecodeSegmentState(std::string_view body);

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_FORMAT_H_
