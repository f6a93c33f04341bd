// RocksDB's files behind our own seam, so that tests can run it on a disk that loses, tears and
// fills.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_ENV_ADAPTER_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_ENV_ADAPTER_H_

#include <rocksdb/env.h>

#include <memory>

#include "src/base/file.h"

namespace cairn::storage::rocks {

// An environment whose files are those of `files`, with the machine's clock and threads. `files`
// must outlive it. Made for tests: reads are copied twice, and sleeps are cut short.
std::unique_ptr<rocksdb::Env> NewSeamEnv(FileSystem* files);

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_ENV_ADAPTER_H_
