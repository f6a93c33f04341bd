#include "src/backup/backup_format.h"

#include <algorithm>
#include <optional>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "xxhash.h"

namespace cairn::backup {
namespace {

constexpr std::string_view kMagic = "CAIRNBKP";
constexpr std::uint8_t kFormat = 1;

enum Type : std::uint8_t { kHeader = 1, kSectionBegin, kPairs, kSectionEnd, kTrailer };

// Of the payload's length, and of the type.
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kTypeBytes = 1;
constexpr std::size_t kChecksumBytes = 8;
// More than the largest pair and a batch beside it.
constexpr std::uint32_t kMaxPayload = 256 << 20;
// Read at once, whatever length is claimed.
constexpr std::size_t kStep = 1 << 20;

std::uint64_t Checksum(std::uint64_t block, std::string_view type_and_payload) {
  // Seeded with the block's place: blocks can't be lost or change places.
  return XXH3_64bits_withSeed(type_and_payload.data(), type_and_payload.size(), block);
}

void Put(const digest::Sum& sum, Encoder& e) {
  e.Fixed64(sum.low);
  e.Fixed64(sum.high);
}

digest::Sum TakeSum(Decoder& d) {
  digest::Sum sum;
  sum.low = d.Fixed64();
  sum.high = d.Fixed64();
  return sum;
}

Block TakeHeader(Decoder& d) {
  Header h;
  h.cluster = d.Fixed64();
  const std::uint64_t node = d.Varint();
  if (node > NodeId::Max().value()) d.Fail();
  h.node = NodeId(static_cast<NodeId::rep>(node));
  h.made = {d.SignedVarint()};
  h.software_version = std::string(d.Bytes());
  h.slot = Slot(d.Varint());
  h.epoch = Epoch(d.Varint());
  h.version = Version(d.Varint());
  h.features = d.Varint();
  const std::uint64_t next = d.Varint();
  if (next > FamilyId::Max().value()) d.Fail();
  h.next_family = FamilyId(static_cast<FamilyId::rep>(next));
  return h;
}

Block TakeSectionBegin(Decoder& d) {
  SectionBegin s;
  const std::uint8_t records = d.U8();
  if (records > 1) d.Fail();
  s.records = records == 1;
  s.name = std::string(d.Bytes());
  const std::uint64_t family = d.Varint();
  if (family > FamilyId::Max().value()) d.Fail();
  s.family = FamilyId(static_cast<FamilyId::rep>(family));
  s.created = Version(d.Varint());
  return s;
}

Block TakePairs(Decoder& d) {
  Pairs p;
  while (d.ok() && d.remaining() > 0) {
    std::string key(d.Bytes());
    std::string value(d.Bytes());
    p.pairs.emplace_back(std::move(key), std::move(value));
  }
  if (p.pairs.empty()) d.Fail();
  return p;
}

Block TakeSectionEnd(Decoder& d) {
  SectionEnd end;
  end.pairs = d.Varint();
  end.bytes = d.Varint();
  end.sum = TakeSum(d);
  return end;
}

Block TakeTrailer(Decoder& d) {
  Trailer trailer;
  trailer.blocks = d.Varint();
  trailer.pairs = d.Varint();
  trailer.sum = TakeSum(d);
  return trailer;
}

// Nothing if it does not decode.
std::optional<Block> Decode(std::uint8_t type, std::string_view payload) {
  Decoder d(payload);
  std::optional<Block> block;
  switch (type) {
    case kHeader:
      block = TakeHeader(d);
      break;
    case kSectionBegin:
      block = TakeSectionBegin(d);
      break;
    case kPairs:
      block = TakePairs(d);
      break;
    case kSectionEnd:
      block = TakeSectionEnd(d);
      break;
    case kTrailer:
      block = TakeTrailer(d);
      break;
    default:
      return std::nullopt;
  }
  if (!d.AtEnd()) return std::nullopt;
  return block;
}

}  // namespace

// ---- Writing

std::string FileBegin() {
  std::string out(kMagic);
  Encoder(&out).U8(kFormat);
  return out;
}

std::string Writer::Frame(std::uint8_t type, std::string_view payload) {
  CAIRN_CHECK(payload.size() <= kMaxPayload, "a block of " + std::to_string(payload.size()));
  std::string out;
  out.reserve(kLengthBytes + kTypeBytes + payload.size() + kChecksumBytes);
  Encoder e(&out);
  e.Fixed32(static_cast<std::uint32_t>(payload.size()));
  e.U8(type);
  e.Raw(payload);
  e.Fixed64(Checksum(blocks_++, std::string_view(out).substr(sizeof(std::uint32_t))));
  return out;
}

std::string Writer::Add(const Header& header) {
  std::string payload;
  Encoder e(&payload);
  e.Fixed64(header.cluster);
  e.Varint(header.node.value());
  e.SignedVarint(header.made.us);
  e.Bytes(header.software_version);
  e.Varint(header.slot.value());
  e.Varint(header.epoch.value());
  e.Varint(header.version.value());
  e.Varint(header.features);
  e.Varint(header.next_family.value());
  return Frame(kHeader, payload);
}

std::string Writer::Begin(const SectionBegin& section) {
  section_ = SectionEnd();
  std::string payload;
  Encoder e(&payload);
  e.U8(section.records ? 1 : 0);
  e.Bytes(section.name);
  e.Varint(section.family.value());
  e.Varint(section.created.value());
  return Frame(kSectionBegin, payload);
}

std::string Writer::Add(const Pairs& pairs) {
  std::string payload;
  Encoder e(&payload);
  for (const auto& [key, value] : pairs.pairs) {
    e.Bytes(key);
    e.Bytes(value);
    ++section_.pairs;
    section_.bytes += key.size() + value.size();
    section_.sum.Add(digest::HashPair(key, value));
  }
  return Frame(kPairs, payload);
}

std::string Writer::EndSection() {
  std::string payload;
  Encoder e(&payload);
  e.Varint(section_.pairs);
  e.Varint(section_.bytes);
  Put(section_.sum, e);
  all_.pairs += section_.pairs;
  all_.sum.Add(section_.sum);
  return Frame(kSectionEnd, payload);
}

std::string Writer::Finish() {
  std::string payload;
  Encoder e(&payload);
  e.Varint(blocks_);
  e.Varint(all_.pairs);
  Put(all_.sum, e);
  return Frame(kTrailer, payload);
}

// ---- Reading

Status Reader::Damaged(const std::string& what) const {
  return CorruptionError("the backup is damaged at byte " + std::to_string(block_begin_) + ": " +
                         what);
}

Result<std::string> Reader::Take(std::uint64_t size, const char* what) {
  std::string bytes;
  while (bytes.size() < size) {
    const std::size_t have = bytes.size();
    const std::size_t step = std::min<std::uint64_t>(size - have, kStep);
    bytes.resize(have + step);
    CAIRN_ASSIGN_OR_RETURN(const std::size_t got, source_(bytes.data() + have, step));
    bytes.resize(have + got);
    offset_ += got;
    if (got == 0) {
      return CorruptionError("the backup ends at byte " + std::to_string(offset_) + ", inside " +
                             what + ": it is not whole");
    }
  }
  return bytes;
}

Result<Block> Reader::Next() {
  block_begin_ = offset_;
  if (state_ == State::kEnd) return InvalidArgumentError("the backup was read to its end");
  if (state_ == State::kStart) {
    CAIRN_ASSIGN_OR_RETURN(const std::string begin, Take(kMagic.size() + 1, "its first bytes"));
    if (std::string_view(begin).substr(0, kMagic.size()) != kMagic) {
      return CorruptionError("this is no backup of Cairn: it begins with " + Printable(begin));
    }
    if (static_cast<std::uint8_t>(begin.back()) != kFormat) {
      return UnimplementedError("the backup has format " +
                                std::to_string(static_cast<std::uint8_t>(begin.back())) +
                                ", which this version of Cairn does not know; use a later one");
    }
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string head, Take(kLengthBytes, "the length of a block"));
  Decoder d(head);
  const std::uint32_t length = d.Fixed32();
  if (length > kMaxPayload) return Damaged("a block of " + std::to_string(length) + " bytes");
  CAIRN_ASSIGN_OR_RETURN(const std::string rest,
                         Take(kTypeBytes + std::uint64_t{length} + kChecksumBytes, "a block"));
  const std::string_view covered = std::string_view(rest).substr(0, kTypeBytes + length);
  Decoder sum(std::string_view(rest).substr(covered.size()));
  if (sum.Fixed64() != Checksum(blocks_, covered)) return Damaged("a checksum is wrong");
  std::optional<Block> block =
      Decode(static_cast<std::uint8_t>(covered.front()), covered.substr(kTypeBytes));
  if (!block) return Damaged("a block does not decode");
  CAIRN_RETURN_IF_ERROR(Expect(*block));
  ++blocks_;
  return *std::move(block);
}

Status Reader::Expect(const Block& block) {
  const bool in_section = state_ == State::kInSection;
  if (std::holds_alternative<Header>(block) != (state_ == State::kStart)) {
    return Damaged("blocks are not in order");
  }
  if (std::holds_alternative<Header>(block)) {
    state_ = State::kSections;
  } else if (std::holds_alternative<SectionBegin>(block)) {
    if (in_section) return Damaged("a section in a section");
    section_ = SectionEnd();
    last_key_.clear();
    state_ = State::kInSection;
  } else if (const auto* pairs = std::get_if<Pairs>(&block)) {
    if (!in_section) return Damaged("pairs outside of a section");
    return Count(*pairs);
  } else if (const auto* end = std::get_if<SectionEnd>(&block)) {
    if (!in_section) return Damaged("the end of a section that did not begin");
    if (*end != section_) return Damaged("a section does not add up");
    all_.pairs += section_.pairs;
    all_.sum.Add(section_.sum);
    state_ = State::kSections;
  } else {
    if (in_section) return Damaged("a section does not end");
    all_.blocks = blocks_;
    if (std::get<Trailer>(block) != all_) return Damaged("the whole does not add up");
    char more = 0;
    CAIRN_ASSIGN_OR_RETURN(const std::size_t got, source_(&more, 1));
    if (got != 0) return Damaged("something follows its end");
    state_ = State::kEnd;
  }
  return Status::Ok();
}

Status Reader::Count(const Pairs& pairs) {
  for (const auto& [key, value] : pairs.pairs) {
    if (section_.pairs != 0 && key <= last_key_) return Damaged("keys do not ascend");
    last_key_ = key;
    ++section_.pairs;
    section_.bytes += key.size() + value.size();
    section_.sum.Add(digest::HashPair(key, value));
  }
  return Status::Ok();
}

}  // namespace cairn::backup
