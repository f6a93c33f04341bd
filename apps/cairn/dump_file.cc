#include "apps/cairn/dump_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "apps/cairn/bulk.h"

namespace cairn::cli {
namespace {

// What symbolic links lead to, be it there or not; what is no regular file keeps its name, which
// may be all that it has (/dev/stdout).
std::string Target(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;
  std::error_code error;
  const auto there = fs::status(path, error);
  if (fs::exists(there) && !fs::is_regular_file(there)) return path;
  fs::path target = path;
  for (int links = 0; links < kMostLinks && fs::is_symlink(target, error); ++links) {
    const fs::path next = fs::read_symlink(target, error);
    if (error) break;
    target = target.parent_path() / next;  // an absolute one replaces all
  }
  return target;
}

// Else there is at most a header that does not say what the dump is of: it was cut in its midst.
bool SaysEnough(const dump::Reader& reader) {
  return reader.scope().has_value() || reader.count() > 0 || reader.family().has_value() ||
         reader.ended();
}

}  // namespace

DumpFile::~DumpFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  // Of what failed before anything was written, nothing stays.
  if (created_ && bytes_ == 0) std::remove(part().c_str());
}

Status DumpFile::Errno(const char* what) const {
  return IoError(std::string(what) + " '" + (path_.empty() ? "standard output" : part()) +
                 "': " + std::strerror(errno));
}

Status DumpFile::Create(const std::string& path) {
  path_ = Target(path);
  std::error_code ignored;
  const auto there = std::filesystem::status(path_, ignored);
  if (std::filesystem::is_directory(there)) {
    return InvalidArgumentError("cannot write '" + path + "': it is a folder");
  }
  direct_ = std::filesystem::exists(there) && !std::filesystem::is_regular_file(there);
  file_ = std::fopen(part().c_str(), "wb");
  if (file_ == nullptr) return Errno("cannot write");
  created_ = !direct_;
  return Status::Ok();
}

Result<std::optional<DumpProgress>> DumpFile::Resume(const std::string& path, dump::Format format,
                                                     dump::Writer* writer) {
  path_ = Target(path);
  std::ifstream in(path_ + ".part", std::ios::binary);
  if (!in) return std::optional<DumpProgress>();
  dump::Reader reader(format);
  LineReader lines(in);
  DumpProgress progress;
  std::string line;
  std::string header;  // not adopted: without its second line, the dump begins anew
  std::uint64_t keep = 0;
  while (!reader.ended()) {
    CAIRN_ASSIGN_OR_RETURN(const bool more, lines.Next(&line));
    if (!more || !lines.whole()) break;
    auto pair = reader.Take(line);
    if (!pair.ok()) {
      return CorruptionError("'" + path + ".part', line " + std::to_string(reader.lines()) + ": " +
                             pair.status().message() + "; remove it to dump anew");
    }
    keep = lines.offset();
    if (!reader.ended() && !SaysEnough(reader)) {
      header += line + "\n";
    } else if (!reader.ended()) {
      writer->Adopt(std::exchange(header, "") + line, pair->has_value());
    }
    if (reader.family() != progress.family) {
      progress.family = reader.family();
      progress.last_key.reset();
    }
    if (pair->has_value()) progress.last_key = (*pair)->key;
  }
  progress.of_families = reader.of_families();
  if (!reader.version().has_value() || !SaysEnough(reader)) return std::optional<DumpProgress>();
  if (!reader.scope().has_value()) {
    return FailedPreconditionError("'" + path +
                                   ".part' does not say what was asked for: it is of "
                                   "an older program; remove it to dump anew");
  }
  progress.scope = *reader.scope();
  progress.version = *reader.version();
  progress.whole = reader.ended();
  file_ = std::fopen(part().c_str(), "r+b");
  if (file_ == nullptr || ::ftruncate(::fileno(file_), static_cast<off_t>(keep)) != 0 ||
      std::fseek(file_, 0, SEEK_END) != 0) {
    return Errno("cannot go on with");
  }
  bytes_ = keep;
  return std::optional(progress);
}

Status DumpFile::Write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) return Errno("cannot write");
  bytes_ += text.size();
  return Status::Ok();
}

Status DumpFile::Finish() {
  if (std::fflush(file_) != 0) return Errno("cannot write");
  created_ = false;
  if (path_.empty() || direct_) return Status::Ok();
  if (::fdatasync(::fileno(file_)) != 0) return Errno("cannot sync");
  if (std::rename(part().c_str(), path_.c_str()) != 0) return Errno("cannot rename");
  return Status::Ok();
}

}  // namespace cairn::cli
