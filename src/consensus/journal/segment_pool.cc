#include "src/consensus/journal/segment_pool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/consensus/journal/format.h"

namespace cairn::consensus::journal {
namespace {

// A roll allocates the next spare file at once, before compaction has given one back: without
// keeping more than the spare ones, a steady journal would allocate and remove a file each time.
constexpr std::size_t kMoreRecycled = 2;

}  // namespace

Status SegmentPool::Adopt(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::optional<std::uint64_t> number = NumberInFileName(name, ".free");
    if (!number.has_value()) continue;
    next_number_ = std::max(next_number_, *number + 1);
    const std::string path = directory_ + "/" + name;
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, files_->Open(path, OpenMode::kReadWrite));
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
    // Its blocks may be missing although its size is right, after a crash while it was made.
    if (size == segment_bytes_ && spares_.size() < keep_ + kMoreRecycled &&
        file->Allocate(size).ok()) {
      spares_.push_back({path, std::move(file), size, 0});
    } else {
      CAIRN_RETURN_IF_ERROR(files_->Remove(path));
    }
  }
  return Status::Ok();
}

Result<SegmentPool::FreeFile> SegmentPool::Take(std::uint64_t bytes) {
  for (auto it = spares_.begin(); it != spares_.end(); ++it) {
    if (it->size < bytes) continue;
    FreeFile found = std::move(*it);
    spares_.erase(it);
    return found;
  }
  return Create(bytes);
}

Status SegmentPool::Recycle(FreeFile file) {
  if (file.size != segment_bytes_ || spares_.size() >= keep_ + kMoreRecycled) {
    return files_->Remove(file.path);
  }
  const std::string name = directory_ + "/" + FreeFileName(next_number_++);
  CAIRN_RETURN_IF_ERROR(files_->Rename(file.path, name));
  file.path = name;
  spares_.push_back(std::move(file));
  return Status::Ok();
}

Status SegmentPool::Ensure(std::uint64_t bytes) {
  for (const FreeFile& spare : spares_) {
    if (spare.size >= bytes) return Status::Ok();
  }
  CAIRN_ASSIGN_OR_RETURN(FreeFile made, Create(bytes));
  spares_.push_back(std::move(made));
  return Status::Ok();
}

Status SegmentPool::TopUp() {
  while (spares_.size() < keep_) {
    Result<FreeFile> made = Create(segment_bytes_);
    if (!made.ok()) {
      if (made.status().code() == StatusCode::kResourceExhausted) break;
      return made.status();
    }
    spares_.push_back(std::move(*made));
  }
  return Status::Ok();
}

std::uint64_t SegmentPool::Bytes() const {
  std::uint64_t bytes = 0;
  for (const FreeFile& spare : spares_) bytes += spare.size;
  return bytes;
}

Result<SegmentPool::FreeFile> SegmentPool::Create(std::uint64_t bytes) {
  constexpr std::uint64_t kBlock = 4096;
  FreeFile made;
  made.size = bytes <= segment_bytes_ ? segment_bytes_ : (bytes + kBlock - 1) / kBlock * kBlock;
  made.path = directory_ + "/" + FreeFileName(next_number_++);
  CAIRN_ASSIGN_OR_RETURN(made.file, files_->Open(made.path, OpenMode::kCreate));
  if (Status allocated = made.file->Allocate(made.size); !allocated.ok()) {
    made.file.reset();
    CAIRN_RETURN_IF_ERROR(files_->Remove(made.path));
    return allocated;
  }
  return made;
}

}  // namespace cairn::consensus::journal
