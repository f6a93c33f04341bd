// RocksDB's own log, LOG, written by us.
//
// RocksDB 7.8's logger writes through WritableFileWriter, which asserts when it is used again after
// a failed write; Debian's build keeps assertions. So the first line logged on a full disk after
// one that did not fit would end the process. Ours drops such lines.
//
// Thread safety: as rocksdb::Logger wants it: any thread.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_INFO_LOG_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_INFO_LOG_H_

#include <rocksdb/env.h>

#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/storage/rocksdb/rocksdb_options.h"

namespace cairn::storage::rocks {

// A log of messages from `level` up, with the rotation of the options, in options.log_directory or,
// if that is empty, in `database_directory`. One that swallows everything if files go through a
// seam: it would be lost among a test's file operations. kIoError if the file can't be made.
Result<std::shared_ptr<rocksdb::Logger>> MakeInfoLog(const RocksDbOptions& options,
                                                     rocksdb::InfoLogLevel level,
                                                     const std::string& database_directory);

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_INFO_LOG_H_
