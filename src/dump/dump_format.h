// The two formats of `cairn dump` and `cairn load`: text with C escapes, and JSON lines. Both are
// lines; both start with a header that names the version and end with a footer that counts and
// checksums what came before it, so that a file that was cut is noticed. docs/formats/dump.md
// specifies them.
//
// Thread safety: none; one thread a reader or writer.
#ifndef CAIRN_SRC_DUMP_DUMP_FORMAT_H_
#define CAIRN_SRC_DUMP_DUMP_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::dump {

enum class Format : std::uint8_t { kText, kJsonLines };

struct Pair {
  std::string key;
  std::string value;
  friend bool operator==(const Pair&, const Pair&) = default;
};

// Hashes a sequence of bytes: XXH3-64, seed 0.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  void Add(std::string_view bytes);
  [[nodiscard]] std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Makes the lines of a dump, each with its newline. A dump that goes on where another one ended
// starts with Adopt instead of Header.
class Writer {
 public:
  explicit Writer(Format format) : format_(format) {}

  // `families`: the dump is of several column families (format 2), and Family stands before the
  // pairs of each. `scope`: what the dump was asked for, as printable text, so that only the same
  // request goes on with it; empty: not noted.
  std::string Header(std::int64_t version, bool families = false, std::string_view scope = {});
  std::string Family(std::string_view name);
  std::string Line(std::string_view key, std::string_view value);
  std::string Footer();
  // Takes in a line that stands in the file already.
  void Adopt(std::string_view line, bool is_pair);

  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  std::string Keep(std::string line);

  const Format format_;
  Checksum checksum_;
  std::uint64_t count_ = 0;
};

// Takes the lines of a dump, or of a hand-written file without header and footer.
class Reader {
 public:
  // Unset: found out by the first line that is not empty.
  explicit Reader(std::optional<Format> format) : format_(format) {}

  // One line without its newline. A pair, or nothing for a header, a family, a footer, a comment or
  // an empty line. kInvalidArgument: what is wrong with the line; kCorruption: the footer does not
  // fit what came before it.
  Result<std::optional<Pair>> Take(std::string_view line);
  // At the end of the input. kCorruption if there was a header and no footer: the file was cut.
  [[nodiscard]] Status Finish() const;

  [[nodiscard]] std::optional<Format> format() const { return format_; }
  // Of the header.
  [[nodiscard]] std::optional<std::int64_t> version() const { return version_; }
  // Whether the header says that the dump is of several column families, and the one that the pairs
  // belong to from here on; unset before the first.
  [[nodiscard]] bool of_families() const { return of_families_; }
  // What the dump was asked for, if it notes that.
  [[nodiscard]] const std::optional<std::string>& scope() const { return scope_; }
  [[nodiscard]] const std::optional<std::string>& family() const { return family_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  Result<std::optional<Pair>> TakeText(std::string_view line);
  Result<std::optional<Pair>> TakeComment(std::string_view line);
  Result<std::optional<Pair>> TakeJson(std::string_view line);
  Status TakeHeader(std::int64_t format_version, std::int64_t version);
  Status TakeFooter(std::uint64_t count, std::string_view checksum);
  // A pair must stand behind a family in a dump of several.
  [[nodiscard]] Status CheckFamily() const;

  std::optional<Format> format_;
  bool of_families_ = false;
  std::optional<std::string> family_;
  std::optional<std::int64_t> version_;
  std::optional<std::string> scope_;
  Checksum checksum_;
  std::uint64_t count_ = 0;
  std::uint64_t lines_ = 0;
  bool ended_ = false;
};

}  // namespace cairn::dump

#endif  // CAIRN_SRC_DUMP_DUMP_FORMAT_H_
