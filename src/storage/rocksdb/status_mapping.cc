#include "src/storage/rocksdb/status_mapping.h"

#include <string>
#include <utility>

namespace cairn::storage::rocks {

Status FromRocks(const rocksdb::Status& status) {
  using Code = rocksdb::Status::Code;
  std::string message = "rocksdb: " + status.ToString();
  // Of a missing table RocksDB names the last name it tried, that of LevelDB's time.
  if (const std::size_t at = message.find(".ldb"); at != std::string::npos) {
    message.replace(at, 4, ".sst");
  }
  switch (status.code()) {
    case Code::kOk:
      return Status::Ok();
    case Code::kNotFound:
      return NotFoundError(std::move(message));
    case Code::kCorruption:
      return CorruptionError(std::move(message));
    case Code::kNotSupported:
      return UnimplementedError(std::move(message));
    case Code::kInvalidArgument:
      return InvalidArgumentError(std::move(message));
    case Code::kIOError:
      if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit) {
        return ResourceExhaustedError(std::move(message));
      }
      if (status.IsPathNotFound()) {
        return CorruptionError("a file of the database is missing: " + message);
      }
      return IoError(std::move(message));
    default:
      return UnavailableError(std::move(message));
  }
}

rocksdb::IOStatus ToRocks(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return rocksdb::IOStatus::OK();
    case StatusCode::kNotFound:
      return rocksdb::IOStatus::PathNotFound(status.message());
    case StatusCode::kResourceExhausted:
      return rocksdb::IOStatus::NoSpace(status.message());
    case StatusCode::kCorruption:
      return rocksdb::IOStatus::Corruption(status.message());
    case StatusCode::kInvalidArgument:
      return rocksdb::IOStatus::InvalidArgument(status.message());
    case StatusCode::kUnimplemented:
      return rocksdb::IOStatus::NotSupported(status.message());
    default:
      return rocksdb::IOStatus::IOError(status.message());
  }
}

}  // namespace cairn::storage::rocks
