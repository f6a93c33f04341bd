// The envelope of everything that replicas of a group say to each other. Format:
// docs/formats/peer_frame.md.
//
// Decoding faces the network: lengths and the checksum are checked before anything is used.
//
// Thread safety: pure functions and plain values.
#ifndef CAIRN_SRC_REPLICATION_PEER_FRAME_H_
#define CAIRN_SRC_REPLICATION_PEER_FRAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/ids.h"

namespace cairn::replication {

// What a frame's body is. Part of the format: append only.
enum class FrameKind : std::uint8_t {
  kCore = 1,             // a message of the consensus core
  kForwardRequest = 2,   // a write for the leader (forward_messages.h)
  kForwardResponse = 3,  // and its answer
  kSnapshot = 4,         // a piece of a snapshot (snapshot_messages.h)
  kSnapshotAck = 5,      // and how far the receiver is
  kFormation = 6,        // a message of the formation of a cluster
  kReport = 7,           // what a node says about itself (node_report.h)
};

struct FrameHeader {
  FrameKind kind = FrameKind::kCore;
  GroupId group;
  std::uint64_t cluster = 0;  // 0: not formed yet
  IncarnationId incarnation;  // the sender's
};

struct Frame {
  FrameHeader header;
  std::string_view body;  // into the decoded bytes
};

std::string EncodeFrame(const FrameHeader& header, std::string_view body);

// kCorruption for bytes that are no frame, kUnimplemented for one of a later version of Cairn.
Result<Frame> DecodeFrame(std::string_view bytes);

// The kind that the bytes claim to be, unchecked: for whoever only passes frames on. Nothing if
// they are too short.
std::optional<FrameKind> KindOf(std::string_view bytes);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_PEER_FRAME_H_
