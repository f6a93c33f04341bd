// Text logs: level, rotation, one line an event. Log an error once, where it is first decided.
//
//   CAIRN_LOG(kInfo, "journal: recovered {} records from {}", n, path);
//
// Before InitLogging everything from kInfo up goes to standard error. Thread safe.
#ifndef CAIRN_SRC_BASE_LOG_H_
#define CAIRN_SRC_BASE_LOG_H_

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };

// "trace", "debug", "info", "warn", "error" or "off"; empty on anything else.
std::optional<LogLevel> ParseLogLevel(std::string_view name);

struct LoggingOptions {
  LogLevel level = LogLevel::kInfo;
  // Folder of cairn.log; empty logs to standard error only.
  std::string directory;
  std::size_t max_file_size_mb = 10;
  // How many rotated files are kept beside the current one.
  std::size_t keep_file_num = 5;
  bool also_stderr = false;
};

// Sets up the process's log. Call once, early in main. Fails if the folder can't be written.
Status InitLogging(const LoggingOptions& options);
// Writes out what is buffered. Called at exit.
void FlushLogging();

bool LogEnabled(LogLevel level) noexcept;
void LogLine(LogLevel level, std::string_view line);

// A log file beside the process's own, of the same form and rotated alike, for a part that says too
// much (RocksDB). A line that can't be written, on a full disk say, is dropped. Thread safe.
class LogFile {
 public:
  // Rotates to `path`.1, `path`.2, ...
  static Result<std::unique_ptr<LogFile>> Open(const std::string& path, std::size_t max_size_mb,
                                               std::size_t keep_num);
  ~LogFile();
  void Write(LogLevel level, std::string_view line);

 private:
  class Impl;
  explicit LogFile(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn

#define CAIRN_LOG(level, ...)                                                 \
  do {                                                                        \
    if (::cairn::LogEnabled(::cairn::LogLevel::level)) {                      \
      ::cairn::LogLine(::cairn::LogLevel::level, ::fmt::format(__VA_ARGS__)); \
    }                                                                         \
  } while (false)

#endif  // CAIRN_SRC_BASE_LOG_H_
