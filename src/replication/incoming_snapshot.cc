#include "src/replication/incoming_snapshot.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/log.h"
#include "src/base/planted_bug.h"

namespace cairn::replication {
namespace {

constexpr std::uint64_t kPieceBytes = 256 << 10;

// The hash of a mark over the bytes [from, to) of a file.
Result<std::uint64_t> HashOf(const File& file, std::uint64_t from, std::uint64_t to) {
  std::uint64_t hash = 0;
  std::string piece;
  for (std::uint64_t at = from; at < to; at += piece.size()) {
    const std::uint64_t size = std::min(kPieceBytes, to - at);
    CAIRN_RETURN_IF_ERROR(file.ReadAt(at, size, &piece));
    if (piece.size() != size) return CorruptionError("it is shorter than was marked");
    hash = HashOfPieces(hash, piece);
  }
  return hash;
}

}  // namespace

Result<IncomingSnapshot> IncomingSnapshot::Create(FileSystem* files, std::string folder,
                                                  NodeId from, SnapshotOffer offer,
                                                  std::uint64_t mark_every_bytes) {
  IncomingSnapshot incoming(files, std::move(folder), from, std::move(offer), mark_every_bytes);
  const std::string head =
      EncodeSnapshotRecordHead(from, incoming.offer_, &incoming.head_checksum_);
  const auto create = [&]() -> Status {
    CAIRN_RETURN_IF_ERROR(files->CreateDirectories(incoming.folder_));
    CAIRN_RETURN_IF_ERROR(files->WriteFileAtomically(incoming.record_path(), head));
    CAIRN_ASSIGN_OR_RETURN(incoming.record_,
                           files->Open(incoming.record_path(), OpenMode::kReadWrite));
    return Status::Ok();
  };
  if (Status created = create(); !created.ok()) {
    incoming.Remove();
    return created;
  }
  incoming.record_bytes_ = head.size();
  return incoming;
}

Result<IncomingSnapshot> IncomingSnapshot::Open(FileSystem* files, std::string folder,
                                                std::uint64_t mark_every_bytes) {
  CAIRN_ASSIGN_OR_RETURN(const std::string bytes,
                         files->ReadFile(folder + std::string(kRecordSuffix)));
  CAIRN_ASSIGN_OR_RETURN(SnapshotRecord record, DecodeSnapshotRecord(bytes));
  IncomingSnapshot incoming(files, std::move(folder), record.from, record.offer, mark_every_bytes);
  incoming.have_ = record.have();
  incoming.marked_ = incoming.have_.offset;
  incoming.head_checksum_ = record.head_checksum;
  incoming.record_bytes_ = record.bytes;
  CAIRN_RETURN_IF_ERROR(incoming.CheckLastMark(record));
  CAIRN_RETURN_IF_ERROR(incoming.CutBack(record));
  return incoming;
}

Status IncomingSnapshot::CheckLastMark(const SnapshotRecord& record) {
  if (record.marks.empty()) return Status::Ok();
  const SnapshotMark& last = record.marks.back();
  std::uint64_t begin = 0;
  if (record.marks.size() > 1) {
    const SnapshotPosition& before = record.marks[record.marks.size() - 2].to;
    if (before.file == last.to.file) begin = before.offset;
  }
  CAIRN_ASSIGN_OR_RETURN(const auto file, files_->Open(PathOf(last.to.file), OpenMode::kRead));
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t hash, HashOf(*file, begin, last.to.offset));
  if (hash == last.hash) return Status::Ok();
  return CorruptionError(PathOf(last.to.file) + " is not what was received, from byte " +
                         std::to_string(begin) + " to " + std::to_string(last.to.offset));
}

Status IncomingSnapshot::CutBack(const SnapshotRecord& record) {
  std::map<std::string_view, std::uint64_t> expected;
  for (std::uint64_t f = 0; f < have_.file; ++f) expected[offer_.files[f].name] = f;
  if (have_.offset > 0) expected[offer_.files[have_.file].name] = have_.file;
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(folder_));
  for (const std::string& name : names) {
    const auto it = expected.find(name);
    if (it == expected.end()) {  // Begun, and never marked.
      CAIRN_RETURN_IF_ERROR(files_->RemoveTree(folder_ + "/" + name));
      continue;
    }
    const std::uint64_t index = it->second;
    expected.erase(it);
    CAIRN_ASSIGN_OR_RETURN(const auto file, files_->Open(PathOf(index), OpenMode::kReadWrite));
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
    const bool in_part = index == have_.file;
    if (in_part ? size < have_.offset : size != offer_.files[index].size) {
      return CorruptionError(PathOf(index) + " has " + std::to_string(size) +
                             " bytes, which is not what was received");
    }
    if (in_part && size > have_.offset) CAIRN_RETURN_IF_ERROR(file->Truncate(have_.offset));
  }
  if (!expected.empty()) {
    return CorruptionError(folder_ + " lacks the file '" + std::string(expected.begin()->first) +
                           "', which was received");
  }
  CAIRN_ASSIGN_OR_RETURN(record_, files_->Open(record_path(), OpenMode::kReadWrite));
  // A torn mark must not follow those that are still to come.
  CAIRN_RETURN_IF_ERROR(record_->Truncate(record.bytes));
  return record_->Sync();
}

Status IncomingSnapshot::OpenFile() {
  if (file_ != nullptr) return Status::Ok();
  const OpenMode mode = have_.offset == 0 ? OpenMode::kCreate : OpenMode::kReadWrite;
  CAIRN_ASSIGN_OR_RETURN(file_, files_->Open(PathOf(have_.file), mode));
  return Status::Ok();
}

Status IncomingSnapshot::Write(const SnapshotChunk& chunk) {
  if (whole()) return Status::Ok();
  const SnapshotOffer::File& of = offer_.files[have_.file];
  if (chunk.data.size() > of.size - have_.offset || (chunk.data.empty() && of.size != 0)) {
    return CorruptionError("a chunk does not fit into the file '" + of.name + "' that was offered");
  }
  CAIRN_RETURN_IF_ERROR(OpenFile());
  CAIRN_RETURN_IF_ERROR(file_->WriteAt(have_.offset, chunk.data));
  have_.offset += chunk.data.size();
  const bool ended = have_.offset == of.size;
  if (ended || have_.offset - marked_ >= mark_every_bytes_) CAIRN_RETURN_IF_ERROR(Mark());
  if (!ended) return Status::Ok();
  file_.reset();
  marked_ = 0;
  have_ = {have_.file + 1, 0};
  return Status::Ok();
}

Status IncomingSnapshot::Mark() {
  if (!Planted(PlantedBug::kSnapshotFileNotSynced)) CAIRN_RETURN_IF_ERROR(file_->Sync());
  if (marked_ == 0) CAIRN_RETURN_IF_ERROR(files_->SyncDirectory(folder_));
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t hash, HashOf(*file_, marked_, have_.offset));
  CAIRN_RETURN_IF_ERROR(
      record_->WriteAt(record_bytes_, Encode(SnapshotMark{have_, hash}, head_checksum_)));
  CAIRN_RETURN_IF_ERROR(record_->Sync());
  record_bytes_ += kSnapshotMarkBytes;
  marked_ = have_.offset;
  return Status::Ok();
}

Status IncomingSnapshot::Seal() {
  file_.reset();
  record_.reset();
  CAIRN_RETURN_IF_ERROR(files_->SyncDirectory(folder_));
  CAIRN_RETURN_IF_ERROR(files_->Remove(record_path()));
  return files_->SyncDirectory(DirectoryOf(folder_));
}

void IncomingSnapshot::Remove() {
  file_.reset();
  record_.reset();
  Status removed = files_->RemoveTree(record_path());
  if (removed.ok()) removed = files_->RemoveTree(folder_);
  if (!removed.ok()) {
    CAIRN_LOG(kWarn, "snapshot: {} can't be removed: {}", folder_, removed.ToString());
  }
}

}  // namespace cairn::replication
