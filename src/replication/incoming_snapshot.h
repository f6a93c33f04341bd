// A snapshot on its way to this node, as it lies on the disk: the folder in which its files are
// collected, and beside it the record that lets a transfer go on after a restart
// (docs/formats/snapshot_record.md).
//
// What a mark of the record says was synced before the mark was written, and a mark is synced
// before the next one: so whatever a crash leaves, everything up to the last mark that can be read
// is there. What lies beyond is cut off when the folder is opened again.
//
// Memory: one chunk, and one piece while a mark is made.
//
// Thread safety: none; it belongs to the executor of the receiver.
#ifndef CAIRN_SRC_REPLICATION_INCOMING_SNAPSHOT_H_
#define CAIRN_SRC_REPLICATION_INCOMING_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/replication/snapshot_messages.h"
#include "src/replication/snapshot_record.h"

namespace cairn::replication {

class IncomingSnapshot {
 public:
  // What is added to the folder's path for the path of its record.
  static constexpr std::string_view kRecordSuffix = ".offer";

  // Makes an empty folder and its record. A mark is made at the end of each file and after so many
  // bytes within one.
  static Result<IncomingSnapshot> Create(FileSystem* files, std::string folder, NodeId from,
                                         SnapshotOffer offer, std::uint64_t mark_every_bytes);
  // Takes up what a former process collected in `folder`. kCorruption if the record is damaged, or
  // files are not as it says; kNotFound or kIoError if they can't be read. The last piece that was
  // marked is read back and must have its hash; whatever came before it was synced earlier.
  static Result<IncomingSnapshot> Open(FileSystem* files, std::string folder,
                                       std::uint64_t mark_every_bytes);

  IncomingSnapshot(IncomingSnapshot&&) = default;
  IncomingSnapshot& operator=(IncomingSnapshot&&) = delete;
  IncomingSnapshot(const IncomingSnapshot&) = delete;
  IncomingSnapshot& operator=(const IncomingSnapshot&) = delete;
  ~IncomingSnapshot() = default;

  [[nodiscard]] NodeId from() const { return from_; }
  [[nodiscard]] const SnapshotOffer& offer() const { return offer_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string record_path() const { return folder_ + std::string(kRecordSuffix); }
  // Everything before this was written.
  [[nodiscard]] const SnapshotPosition& have() const { return have_; }
  // Is everything written, and synced?
  [[nodiscard]] bool whole() const { return have_.file >= offer_.files.size(); }

  // Writes the chunk, which begins at have(). kCorruption if it does not fit into what was offered.
  Status Write(const SnapshotChunk& chunk);
  // It is whole: makes it last as a folder without a record, which nothing takes up again; whoever
  // installs it may change it from now on.
  Status Seal();
  // Removes all of it; an error is logged.
  void Remove();

 private:
  IncomingSnapshot(FileSystem* files, std::string folder, NodeId from, SnapshotOffer offer,
                   std::uint64_t mark_every_bytes)
      : files_(files),
        folder_(std::move(folder)),
        from_(from),
        offer_(std::move(offer)),
        mark_every_bytes_(mark_every_bytes) {}

  [[nodiscard]] std::string PathOf(std::uint64_t file) const {
    return folder_ + "/" + offer_.files[file].name;
  }
  Status OpenFile();
  // Makes the files those of the record, up to its last mark.
  Status CutBack(const SnapshotRecord& record);
  Status CheckLastMark(const SnapshotRecord& record);
  // Syncs the open file up to have_, whose offset is the file's still, and says so in the record.
  Status Mark();

  FileSystem* files_;
  std::string folder_;
  NodeId from_;
  SnapshotOffer offer_;
  std::uint64_t mark_every_bytes_;
  SnapshotPosition have_;
  std::uint64_t marked_ = 0;    // of the file have_.file, so many bytes
  std::unique_ptr<File> file_;  // the one of have_.file
  std::unique_ptr<File> record_;
  std::uint64_t head_checksum_ = 0;
  std::uint64_t record_bytes_ = 0;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_INCOMING_SNAPSHOT_H_
