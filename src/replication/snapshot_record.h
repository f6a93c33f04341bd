// What a node writes down of a snapshot that it is being sent, so that the transfer goes on after a
// restart: who sends it, what was offered, and how much of it is synced. Format:
// docs/formats/snapshot_record.md. Decoding faces the disk: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_REPLICATION_SNAPSHOT_RECORD_H_
#define CAIRN_SRC_REPLICATION_SNAPSHOT_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/replication/snapshot_messages.h"

namespace cairn::replication {

// Everything up to here is synced, under names that are synced.
struct SnapshotMark {
  // A file that is whole ends with its own size, not with the begin of the next one.
  SnapshotPosition to;
  // HashOfPieces over the file's bytes since the mark before, or since its begin.
  std::uint64_t hash = 0;
  friend bool operator==(const SnapshotMark&, const SnapshotMark&) = default;
};

struct SnapshotRecord {
  NodeId from;
  SnapshotOffer offer;
  std::vector<SnapshotMark> marks;  // each beyond the one before
  // Of the encoded head (sender and offer); the marks of one record do not pass for another's.
  std::uint64_t head_checksum = 0;
  std::uint64_t bytes = 0;  // of head and marks: what follows in the file is torn

  // Where the transfer goes on. One past the last file: it is whole.
  [[nodiscard]] SnapshotPosition have() const;
};

inline constexpr std::size_t kSnapshotMarkBytes = 32;

// The record as it begins, without marks; `checksum` is set to what its marks are tied to.
std::string EncodeSnapshotRecordHead(NodeId from, const SnapshotOffer& offer,
                                     std::uint64_t* checksum);
std::string Encode(const SnapshotMark& mark, std::uint64_t head_checksum);
// kCorruption if the head is not whole, or what it says can't be. The marks end with the first that
// is torn, damaged, or does not lie between the one before and the end of what was offered.
Result<SnapshotRecord> DecodeSnapshotRecord(std::string_view bytes);

// The hash of a mark, of the next piece after pieces with the hash `before` (at first 0).
std::uint64_t HashOfPieces(std::uint64_t before, std::string_view piece);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_SNAPSHOT_RECORD_H_
