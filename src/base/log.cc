#include "src/base/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/check.h"

namespace cairn {
namespace {

// Read on every CAIRN_LOG; the logger itself is set once by InitLogging and never replaced after
// threads start.
std::atomic<LogLevel> g_level{LogLevel::kInfo};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%e%z %L %t %v";

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("cairn",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    made->set_pattern(kPattern);
    return made;
  }();
  return logger;
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  if (name == "trace") return LogLevel::kTrace;
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warn" || name == "warning") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  return std::nullopt;
}

Status InitLogging(const LoggingOptions& options) {
  std::vector<spdlog::sink_ptr> sinks;
  try {
    if (!options.directory.empty()) {
      sinks.push_back(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
          options.directory + "/cairn.log", options.max_file_size_mb << 20, options.keep_file_num));
    }
    if (options.directory.empty() || options.also_stderr) {
      sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    }
    auto made = std::make_shared<spdlog::logger>("cairn", sinks.begin(), sinks.end());
    made->set_level(spdlog::level::trace);
    made->set_pattern(kPattern);
    made->flush_on(spdlog::level::info);
    Logger() = std::move(made);
  } catch (const spdlog::spdlog_ex& e) {
    return IoError("cannot write logs to '" + options.directory + "': " + e.what() +
                   "; choose a writable folder with --log-dir");
  }
  g_level.store(options.level, std::memory_order_relaxed);
  return Status::Ok();
}

void FlushLogging() { Logger()->flush(); }

bool LogEnabled(LogLevel level) noexcept {
  return level >= g_level.load(std::memory_order_relaxed) && level != LogLevel::kOff;
}

void LogLine(LogLevel level, std::string_view line) {
  Logger()->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

class LogFile::Impl {
 public:
  explicit Impl(spdlog::sink_ptr sink) : logger("file", std::move(sink)) {
    logger.set_level(spdlog::level::trace);
    logger.set_pattern(kPattern);
    logger.flush_on(spdlog::level::info);
    logger.set_error_handler([](const std::string&) {});
  }
  spdlog::logger logger;
};

LogFile::LogFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogFile::~LogFile() = default;

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::string& path, std::size_t max_size_mb,
                                               std::size_t keep_num) {
  try {
    auto sink =
        std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, max_size_mb << 20, keep_num);
    return std::unique_ptr<LogFile>(new LogFile(std::make_unique<Impl>(std::move(sink))));
  } catch (const spdlog::spdlog_ex& e) {
    return IoError("cannot write log '" + path + "': " + e.what());
  }
}

void LogFile::Write(LogLevel level, std::string_view line) {
  impl_->logger.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void CheckFailed(const char* file, int line, const char* condition, const std::string& detail) {
  const std::string what = fmt::format("{}:{}: check failed: {}{}{}", file, line, condition,
                                       detail.empty() ? "" : ": ", detail);
  if (check_internal::on_failure != nullptr) check_internal::on_failure(what);
  LogLine(LogLevel::kError, what);
  FlushLogging();
  std::abort();
}

}  // namespace cairn
