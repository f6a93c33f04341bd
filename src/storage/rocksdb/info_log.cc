#include "src/storage/rocksdb/info_log.h"

#include <cstdarg>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/log.h"

namespace cairn::storage::rocks {
namespace {

class NullLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

LogLevel FromRocks(rocksdb::InfoLogLevel level) {
  switch (level) {
    case rocksdb::DEBUG_LEVEL:
      return LogLevel::kDebug;
    case rocksdb::WARN_LEVEL:
      return LogLevel::kWarn;
    case rocksdb::ERROR_LEVEL:
    case rocksdb::FATAL_LEVEL:
      return LogLevel::kError;
    default:
      return LogLevel::kInfo;
  }
}

class InfoLog final : public rocksdb::Logger {
 public:
  InfoLog(rocksdb::InfoLogLevel level, std::unique_ptr<LogFile> file)
      : rocksdb::Logger(level), file_(std::move(file)) {}

  void Logv(const char* format, va_list arguments) override {
    Write(LogLevel::kInfo, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level >= GetInfoLogLevel()) Write(FromRocks(level), format, arguments);
  }

 private:
  void Write(LogLevel level, const char* format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int size = std::vsnprintf(nullptr, 0, format, arguments);
    if (size > 0) {
      std::string line(static_cast<std::size_t>(size) + 1, '\0');
      std::vsnprintf(line.data(), line.size(), format, again);
      line.resize(line.find_last_not_of(std::string_view("\n\0", 2)) + 1);
      file_->Write(level, line);
    }
    va_end(again);
  }

  const std::unique_ptr<LogFile> file_;
};

}  // namespace

Result<std::shared_ptr<rocksdb::Logger>> MakeInfoLog(const RocksDbOptions& options,
                                                     rocksdb::InfoLogLevel level,
                                                     const std::string& database_directory) {
  if (options.file_system != nullptr) {
    return std::shared_ptr<rocksdb::Logger>(std::make_shared<NullLogger>());
  }
  const std::string& directory =
      options.log_directory.empty() ? database_directory : options.log_directory;
  CAIRN_ASSIGN_OR_RETURN(
      std::unique_ptr<LogFile> file,
      LogFile::Open(directory + "/LOG", options.max_log_file_size_mb, options.keep_log_file_num));
  return std::shared_ptr<rocksdb::Logger>(std::make_shared<InfoLog>(level, std::move(file)));
}

}  // namespace cairn::storage::rocks
