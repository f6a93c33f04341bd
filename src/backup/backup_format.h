// The format of backups: docs/formats/backup.md. A backup is a stream of checksummed blocks: what
// it is of, the pairs of each section of the state (a column family, or the state machine's
// records), and at the end what all of it must add up to.
//
// Reading faces damaged and hostile bytes: lengths are checked before use, memory grows with what
// is there and not with what is claimed, and nothing is given out before its block's checksum was
// found right. A file that was cut has no end, and says so.
//
// Thread safety: plain values; a reader belongs to one thread.
#ifndef CAIRN_SRC_BACKUP_BACKUP_FORMAT_H_
#define CAIRN_SRC_BACKUP_BACKUP_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/digest/state_digest.h"

namespace cairn::backup {

// What a backup is of.
struct Header {
  std::uint64_t cluster = 0;  // 0: of a node by itself
  NodeId node;                // that made it
  WallTime made;
  std::string software_version;
  Slot slot;
  Epoch epoch;
  Version version;  // of the state: every commit up to it, and no other
  std::uint64_t features = 0;
  FamilyId next_family;
  friend bool operator==(const Header&, const Header&) = default;
};

// What follows, up to its SectionEnd, is of this column family, or of the state machine's records.
struct SectionBegin {
  bool records = false;
  std::string name;  // of a family
  FamilyId family;
  Version created;
  friend bool operator==(const SectionBegin&, const SectionBegin&) = default;
};

// In the order of keys.
struct Pairs {
  std::vector<std::pair<std::string, std::string>> pairs;
  friend bool operator==(const Pairs&, const Pairs&) = default;
};

struct SectionEnd {
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;
  digest::Sum sum;
  friend bool operator==(const SectionEnd&, const SectionEnd&) = default;
};

// The last block: how many come before it, and the sum over all sections.
struct Trailer {
  std::uint64_t blocks = 0;
  std::uint64_t pairs = 0;
  digest::Sum sum;
  friend bool operator==(const Trailer&, const Trailer&) = default;
};

using Block = std::variant<Header, SectionBegin, Pairs, SectionEnd, Trailer>;

// What stands before the first block.
std::string FileBegin();

// Makes blocks, one after the other, and keeps count. The caller gives them in the order of the
// format; sums are filled in by the writer.
class Writer {
 public:
  [[nodiscard]] std::string Add(const Header& header);
  [[nodiscard]] std::string Begin(const SectionBegin& section);
  [[nodiscard]] std::string Add(const Pairs& pairs);
  [[nodiscard]] std::string EndSection();
  [[nodiscard]] std::string Finish();

 private:
  std::string Frame(std::uint8_t type, std::string_view payload);

  std::uint64_t blocks_ = 0;
  SectionEnd section_;
  Trailer all_;
};

// Reads a backup and checks all of it: checksums, the order of blocks, that keys ascend, and that
// sections and the whole add up.
class Reader {
 public:
  // Puts up to `size` bytes into `to` and says how many; 0 at the end.
  using Source = std::function<Result<std::size_t>(char* to, std::size_t size)>;
  explicit Reader(Source source) : source_(std::move(source)) {}

  // The next block. kCorruption that says what is wrong at which byte; kUnimplemented for a backup
  // of a later version of Cairn. Nothing follows a Trailer: then the file was read to its end.
  Result<Block> Next();
  [[nodiscard]] std::uint64_t offset() const { return offset_; }  // of what was read

 private:
  enum class State : std::uint8_t { kStart, kSections, kInSection, kEnd };

  Result<std::string> Take(std::uint64_t size, const char* what);
  Status Expect(const Block& block);
  Status Count(const Pairs& pairs);
  [[nodiscard]] Status Damaged(const std::string& what) const;

  const Source source_;
  std::uint64_t offset_ = 0;
  std::uint64_t block_begin_ = 0;
  std::uint64_t blocks_ = 0;
  State state_ = State::kStart;
  std::string last_key_;
  SectionEnd section_;
  Trailer all_;
};

}  // namespace cairn::backup

#endif  // CAIRN_SRC_BACKUP_BACKUP_FORMAT_H_
