// From RocksDB's statuses to ours.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_STATUS_MAPPING_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_STATUS_MAPPING_H_

#include <rocksdb/io_status.h>
#include <rocksdb/status.h>

#include "cairn/status.h"

namespace cairn::storage::rocks {

// A full disk is kResourceExhausted. A file that RocksDB expects and does not find is kCorruption,
// like a checksum that does not match: both messages name the file.
Status FromRocks(const rocksdb::Status& status);

// The other way, for files behind our seam.
rocksdb::IOStatus ToRocks(const Status& status);

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_STATUS_MAPPING_H_
