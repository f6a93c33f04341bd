// How a snapshot travels from one node to another: bodies of peer frames of kinds 4 and 5. Format:
// docs/formats/snapshot_messages.md. Decoding faces the network: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_REPLICATION_SNAPSHOT_MESSAGES_H_
#define CAIRN_SRC_REPLICATION_SNAPSHOT_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"

namespace cairn::replication {

// How far a transfer is: everything before this byte of this file. One past the last file: all.
struct SnapshotPosition {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const SnapshotPosition&, const SnapshotPosition&) = default;
};

// What is to be sent. Said until it is answered; the answer says where to go on.
struct SnapshotOffer {
  struct File {
    std::string name;  // no path
    std::uint64_t size = 0;
    friend bool operator==(const File&, const File&) = default;
  };
  std::uint64_t id = 0;  // random; another one for each checkpoint
  IncarnationId to;      // whom it is for
  Epoch epoch;           // of the leadership that sends it
  std::string meta;      // storage::StateMeta, encoded
  std::vector<File> files;
  friend bool operator==(const SnapshotOffer&, const SnapshotOffer&) = default;
};

// Of all its files; UINT64_MAX if that is more than the number holds.
std::uint64_t BytesOf(const SnapshotOffer& offer);
// Of what lies before the position, likewise; it lies within the offer.
std::uint64_t BytesBefore(const SnapshotOffer& offer, const SnapshotPosition& position);

// A piece of a file.
struct SnapshotChunk {
  std::uint64_t id = 0;
  SnapshotPosition at;
  std::string data;
  friend bool operator==(const SnapshotChunk&, const SnapshotChunk&) = default;
};

// How far the receiver is: chunks are taken in order only, so this is where to go on.
struct SnapshotAck {
  enum class Verdict : std::uint8_t {
    kGoOn = 1,
    kDone = 2,     // it is installed, or was not needed any more
    kRefused = 3,  // it can't be taken: `reason`
  };
  std::uint64_t id = 0;
  Verdict verdict = Verdict::kGoOn;
  SnapshotPosition have;
  std::string reason;
  friend bool operator==(const SnapshotAck&, const SnapshotAck&) = default;
};

// Bounds of what is taken.
inline constexpr std::size_t kMaxSnapshotFiles = 1'000'000;
inline constexpr std::size_t kMaxSnapshotNameBytes = 255;

std::string Encode(const SnapshotOffer& offer);
std::string Encode(const SnapshotChunk& chunk);
std::string Encode(const SnapshotAck& ack);
// kCorruption for bytes that are no message, or name files that no checkpoint holds (a path, a name
// twice): the receiver writes under these names.
Result<std::variant<SnapshotOffer, SnapshotChunk>> DecodeSnapshotMessage(std::string_view bytes);
Result<SnapshotAck> DecodeSnapshotAck(std::string_view bytes);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_SNAPSHOT_MESSAGES_H_
