#include "src/consensus/journal/format.h"

#include <xxhash.h>

#include <cstring>
#include <memory>
#include <utility>

#include "src/base/codec.h"

namespace cairn::consensus::journal {
namespace {

constexpr std::string_view kMagic = "CAIRNSEG";
constexpr std::size_t kHeaderChecksumOffset = kSegmentHeaderBytes - 8;
constexpr std::size_t kNameDigits = 16;
constexpr std::uint64_t kNumberLimit = std::uint64_t{1} << 62;

std::string FileName(std::uint64_t number, std::string_view suffix) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string name(kNameDigits, '0');
  for (std::size_t i = kNameDigits; number != 0; number >>= 4) name[--i] = kHex[number & 15];
  return name.append(suffix);
}

bool KnownKind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(EntryKind::kCommands) &&
         kind <= static_cast<std::uint8_t>(EntryKind::kMembership);
}

void EncodeMark(const CompactionMark& mark, Encoder* out) {
  out->Fixed64(mark.slot.value());
  out->Fixed64(mark.epoch.value());
  out->Fixed64(mark.first_segment);
}

CompactionMark DecodeMark(Decoder* in) {
  CompactionMark mark;
  mark.slot = Slot(in->Fixed64());
  mark.epoch = Epoch(in->Fixed64());
  mark.first_segment = in->Fixed64();
  return mark;
}

}  // namespace

// ---- Segments ------------------------------------------------------------------------------

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out;
  Encoder encoder(&out);
  encoder.Raw(kMagic);
  encoder.Fixed32(kFormatVersion);
  encoder.Fixed32(header.group.value());
  encoder.Fixed64(header.sequence);
  encoder.Fixed64(header.salt);
  encoder.Fixed64(header.base);
  out.resize(kSegmentHeaderBytes, '\0');
  SealSegmentHeader(out.data());
  return out;
}

void SealSegmentHeader(char* header) {
  const std::uint64_t checksum = XXH3_64bits(header, kHeaderChecksumOffset);
  std::memcpy(header + kHeaderChecksumOffset, &checksum, sizeof(checksum));
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, GroupId group) {
  if (bytes.size() < kSegmentHeaderBytes) {
    return CorruptionError("the file is shorter than a segment header");
  }
  Decoder in(bytes.substr(0, kSegmentHeaderBytes));
  if (in.Raw(kMagic.size()) != kMagic) {
    return CorruptionError("the segment header does not start with '" + std::string(kMagic) + "'");
  }
  const std::uint32_t version = in.Fixed32();
  SegmentHeader header;
  header.group = GroupId(in.Fixed32());
  header.sequence = in.Fixed64();
  header.salt = in.Fixed64();
  header.base = in.Fixed64();
  in.Raw(in.remaining() - 8);
  const bool intact = in.Fixed64() == XXH3_64bits(bytes.data(), kHeaderChecksumOffset);
  if (!intact) {
    return CorruptionError(
        version == kFormatVersion
            ? "the checksum of the segment header does not match"
            : "the checksum of the segment header does not match, and its format version is " +
                  std::to_string(version));
  }
  if (version != kFormatVersion) {
    return UnimplementedError("it has format version " + std::to_string(version) +
                              ", this program knows version " + std::to_string(kFormatVersion) +
                              " only; start the program that wrote it");
  }
  if (header.group != group) {
    return FailedPreconditionError("it belongs to group " + ToString(header.group) +
                                   ", not to group " + ToString(group) +
                                   "; check which data folder is configured");
  }
  // Sums of them must not overflow; no journal lives that long.
  if (header.sequence >= kNumberLimit || header.base >= kNumberLimit) {
    return CorruptionError("the sequence number or the base is out of range");
  }
  return header;
}

std::string SegmentFileName(std::uint64_t sequence) { return FileName(sequence, ".seg"); }
std::string FreeFileName(std::uint64_t number) { return FileName(number, ".free"); }

std::optional<std::uint64_t> NumberInFileName(std::string_view name, std::string_view suffix) {
  if (name.size() != kNameDigits + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(0, kNameDigits)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    number = number << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return number;
}

Status Damaged(const std::string& path, std::uint64_t position, const std::string& why) {
  return CorruptionError("journal " + path + " is damaged at offset " + std::to_string(position) +
                         ": " + why +
                         "; restore this node from a backup or let it rejoin as a new member");
}

// ---- Records -------------------------------------------------------------------------------

void SealRecord(std::uint64_t salt, char* record, std::size_t length) {
  const std::uint64_t checksum = XXH3_64bits_withSeed(record + 8, length - 8, salt);
  std::memcpy(record, &checksum, sizeof(checksum));
}

std::size_t RecordWriter::Begin() {
  const std::size_t start = out_->size();
  out_->append(kRecordHeaderBytes, '\0');
  return start;
}

void RecordWriter::End(std::size_t start, RecordType type) {
  const std::size_t end = out_->size();
  const std::uint64_t tag = (shift_ + start) ^ salt_;
  const auto length = static_cast<std::uint32_t>(end - start - kRecordHeaderBytes);
  char* const header = out_->data() + start;
  std::memcpy(header + 8, &tag, 8);
  std::memcpy(header + 16, &synced_, 8);
  std::memcpy(header + 24, &length, 4);
  header[28] = static_cast<char>(type);
  SealRecord(salt_, header, end - start);
  out_->append((kRecordAlignment - end % kRecordAlignment) % kRecordAlignment, '\0');
}

void RecordWriter::AddEntry(const Entry& entry) {
  const std::size_t start = Begin();
  Encoder encoder(out_);
  encoder.Fixed64(entry.slot.value());
  encoder.Fixed64(entry.epoch.value());
  encoder.U8(static_cast<std::uint8_t>(entry.kind));
  if (entry.payload != nullptr) encoder.Raw(*entry.payload);
  End(start, RecordType::kEntry);
}

void RecordWriter::AddTruncate(Slot from) {
  const std::size_t start = Begin();
  Encoder(out_).Fixed64(from.value());
  End(start, RecordType::kTruncate);
}

void RecordWriter::AddMark(const CompactionMark& mark) {
  const std::size_t start = Begin();
  Encoder encoder(out_);
  EncodeMark(mark, &encoder);
  End(start, RecordType::kMark);
}

void RecordWriter::AddHardState(std::string_view hard_state) {
  const std::size_t start = Begin();
  out_->append(hard_state);
  End(start, RecordType::kHardState);
}

void RecordWriter::AddSegmentState(const SegmentState& state) {
  const std::size_t start = Begin();
  Encoder encoder(out_);
  EncodeMark(state.mark, &encoder);
  encoder.Raw(state.hard_state);
  End(start, RecordType::kSegmentState);
}

std::optional<std::uint64_t> RecordLength(const SegmentHeader& segment, std::uint64_t position,
                                          std::string_view header) {
  Decoder in(header);
  in.Fixed64();
  const std::uint64_t tag = in.Fixed64();
  in.Fixed64();
  const std::uint64_t length = in.Fixed32();
  if (!in.ok() || tag != RecordTag(segment, position)) return std::nullopt;
  return kRecordHeaderBytes + length;
}

std::optional<Record> CheckRecord(const SegmentHeader& segment, std::uint64_t position,
                                  std::string_view bytes) {
  if (RecordLength(segment, position, bytes) != bytes.size()) return std::nullopt;
  Decoder in(bytes);
  const std::uint64_t checksum = in.Fixed64();
  if (checksum != XXH3_64bits_withSeed(bytes.data() + 8, bytes.size() - 8, segment.salt)) {
    return std::nullopt;
  }
  in.Fixed64();  // the tag
  Record record;
  record.synced = in.Fixed64();
  in.Fixed32();  // the length
  record.type = static_cast<RecordType>(in.U8());
  in.Raw(3);
  record.body = in.Rest();
  return record;
}

std::optional<EntryHead> DecodeEntryHead(std::string_view body) {
  Decoder in(body);
  const EntryHead head{Slot(in.Fixed64()), Epoch(in.Fixed64())};
  const bool known = KnownKind(in.U8());
  if (!known || !in.ok() || head.slot == Slot(0) || head.slot == Slot::Max()) return std::nullopt;
  return head;
}

std::optional<Entry> DecodeEntry(std::string_view body) {
  const std::optional<EntryHead> head = DecodeEntryHead(body);
  if (!head.has_value()) return std::nullopt;
  Entry entry;
  entry.slot = head->slot;
  entry.epoch = head->epoch;
  entry.kind = static_cast<EntryKind>(body[kEntryFixedBytes - 1]);
  entry.payload = std::make_shared<const std::string>(body.substr(kEntryFixedBytes));
  return entry;
}

std::optional<Slot> DecodeTruncate(std::string_view body) {
  Decoder in(body);
  const Slot slot(in.Fixed64());
  if (!in.AtEnd()) return std::nullopt;
  return slot;
}

std::optional<CompactionMark> DecodeMark(std::string_view body) {
  Decoder in(body);
  const CompactionMark mark = DecodeMark(&in);
  if (!in.AtEnd()) return std::nullopt;
  return mark;
}

std::optional<SegmentState> DecodeSegmentState(std::string_view body) {
  Decoder in(body);
  SegmentState state;
  state.mark = DecodeMark(&in);
  state.hard_state = in.Rest();
  if (!in.ok()) return std::nullopt;
  return state;
}

}  // namespace cairn::consensus::journal
