// The engine on RocksDB 7.8: user families with RocksDB's user-defined timestamps as versions, its
// WAL off, all families flushed atomically. No RocksDB header is needed to use it.
//
// Why so: docs/adr/0002-rocksdb-wal-off.md, docs/adr/0003-versions-as-rocksdb-timestamps.md. Keys
// and families on disk: docs/formats/state.md.
//
// Beyond the contract of Engine:
//   * Destruction flushes nothing, as a crash would not; Flush first to restart fast. Iterators
//   must
//     be gone by then.
//   * Iterators see the state of the moment they were made.
//   * After a full disk, Resume looks for room for all that is not flushed before it tries. Any
//   other
//     background error lasts until the engine is opened again; reads go on meanwhile.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_ENGINE_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_ENGINE_H_

#include <memory>
#include <string>

#include "src/storage/engine.h"
#include "src/storage/rocksdb/rocksdb_options.h"

namespace cairn::storage {

class RocksDbEngine : public Engine {
 public:
  // Opens or makes the database in `directory`. Errors: kInvalidArgument (options), kCorruption
  // (names the damaged or missing file), kIoError (also if another process has it open).
  static Result<std::unique_ptr<RocksDbEngine>> Open(const RocksDbOptions& options,
                                                     const std::string& directory);

  // Rewrites every file, dropping the versions that the watermark gave up. Takes as long as reading
  // and writing all data does. Thread safe.
  virtual Status CompactAll() = 0;
  // Reads all files and compares their checksums. kCorruption names the file. Thread safe.
  virtual Status VerifyChecksums() = 0;
};

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_ROCKSDB_ENGINE_H_
