// Where a dump goes: standard output, or a file that has its name only once it is whole. Until then
// it is FILE.part, and a dump that was interrupted goes on from there. Behind a
// symbolic link, FILE is what it leads to. A device or pipe is written to as it is.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_DUMP_FILE_H_
#define CAIRN_APPS_CAIRN_DUMP_FILE_H_

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/dump/dump_format.h"

namespace cairn::cli {

// What an interrupted dump got to.
struct DumpProgress {
  std::int64_t version = 0;
  bool of_families = false;
  std::string scope;                    // what it was asked for
  std::optional<std::string> family;    // the last one that was begun
  std::optional<std::string> last_key;  // of that family
  bool whole = false;                   // only the name is missing
};

class DumpFile {
 public:
  DumpFile() = default;
  ~DumpFile();
  DumpFile(const DumpFile&) = delete;
  DumpFile& operator=(const DumpFile&) = delete;

  void UseStandardOutput() { file_ = stdout; }
  // Begins FILE.part, over an older one; or opens what is no regular file.
  Status Create(const std::string& path);
  // Goes on with FILE.part: cuts a line that was not written whole, and feeds the others to
  // `writer`. Nothing if there is no FILE.part, or not even a whole header in it.
  Result<std::optional<DumpProgress>> Resume(const std::string& path, dump::Format format,
                                             dump::Writer* writer);
  Status Write(std::string_view text);
  // Flushes; a file is synced and gets its name.
  Status Finish();

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] Status Errno(const char* what) const;
  [[nodiscard]] std::string part() const { return direct_ ? path_ : path_ + ".part"; }

  std::FILE* file_ = nullptr;
  std::string path_;     // empty: standard output
  bool direct_ = false;  // no regular file: written to as it is
  bool created_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_DUMP_FILE_H_
