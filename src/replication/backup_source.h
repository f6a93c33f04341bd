// A captured state as a backup (docs/formats/backup.md), block by block.
//
// Memory: one block, of about `block_bytes`, or one pair if that is larger.
//
// Thread safety: one thread.
#ifndef CAIRN_SRC_REPLICATION_BACKUP_SOURCE_H_
#define CAIRN_SRC_REPLICATION_BACKUP_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "cairn/status.h"
#include "src/backup/backup_format.h"
#include "src/replication/state_capture.h"

namespace cairn::replication {

class BackupSource {
 public:
  // `about`: cluster, node, time and software of the header; the rest is the capture's.
  BackupSource(StateCapture capture, const backup::Header& about,
               std::size_t block_bytes = 256 << 10);

  // The next bytes of the file; empty at the end.
  Result<std::string> Next();

 private:
  Result<std::string> NextOfFamily();
  Result<std::string> NextOfRecords();
  Result<std::string> EndSection(const Status& status);

  StateCapture capture_;
  const backup::Header header_;
  const std::size_t block_bytes_;
  backup::Writer writer_;
  bool begun_ = false;
  bool in_section_ = false;
  std::size_t section_ = 0;  // families, then the records
  bool finished_ = false;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_BACKUP_SOURCE_H_
