// Allocated files that wait to become segments, so that a roll needs no room on the disk and,
// mostly, no new blocks: overwriting blocks that were written before makes fdatasync cheaper.
//
// Their names end in ".free". What they contain does not matter.
//
// Thread safety: none; the journal thread owns it.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_POOL_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_POOL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/consensus/journal/journal.h"

namespace cairn::consensus::journal {

class SegmentPool {
 public:
  struct FreeFile {
    std::string path;
    std::shared_ptr<File> file;
    std::uint64_t size = 0;
    std::uint64_t written_to = 0;  // blocks up to here were written before, not only allocated
  };

  // `files` must outlive the pool.
  SegmentPool(const JournalOptions& options, FileSystem* files)
      : directory_(options.directory),
        segment_bytes_(options.segment_bytes),
        keep_(options.spare_segments),
        files_(files) {}

  // Takes over the ".free" files among `names`, as the folder lists them; removes those of another
  // size and those that are too many.
  Status Adopt(const std::vector<std::string>& names);

  // Hands out a file of at least `bytes`, allocating one if needed. kResourceExhausted if there is
  // no room; then nothing is left behind.
  Result<FreeFile> Take(std::uint64_t bytes);

  // Keeps a segment's file for later, or removes it if there are enough. Its present name may
  // survive a crash.
  Status Recycle(FreeFile file);

  // Puts a file back that was taken and not used.
  void Return(FreeFile file) { spares_.push_back(std::move(file)); }

  // Makes sure that a file of at least `bytes` can be taken. kResourceExhausted if not.
  Status Ensure(std::uint64_t bytes);

  // Allocates the spare files that options ask for. A full disk is no error: the next roll tries
  // again.
  Status TopUp();

  // Bytes of all files that wait.
  [[nodiscard]] std::uint64_t Bytes() const;

 private:
  Result<FreeFile> Create(std::uint64_t bytes);

  const std::string directory_;
  const std::uint64_t segment_bytes_;
  const std::uint32_t keep_;
  FileSystem* const files_;
  std::vector<FreeFile> spares_;
  std::uint64_t next_number_ = 1;  // for names
};

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENT_POOL_H_
