// What a node tells the others about itself, every second or so: where its clients reach it and how
// far it is. Nothing rests on it but what operators and clients are told; it may be lost or old.
// Format: docs/formats/node_report.md. Decoding faces the network: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_REPLICATION_NODE_REPORT_H_
#define CAIRN_SRC_REPLICATION_NODE_REPORT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::replication {

// Where a node listens for clients, "host:port"; empty: it does not.
struct ClientEndpoints {
  std::string thrift;
  std::string grpc;
  std::string http;
  friend bool operator==(const ClientEndpoints&, const ClientEndpoints&) = default;
};

struct NodeReport {
  ClientEndpoints endpoints;
  consensus::Role role = consensus::Role::kFollower;
  Epoch epoch;
  Slot last_slot;
  Slot committed_slot;
  Slot applied_slot;
  Version applied_version;
  Duration uptime{0};
  // Why it takes no writes, or not yet, or why those that it took wait; empty: it is well.
  std::string problem;
  std::uint64_t known_features = 0;  // that its version of Cairn knows (kv::kKnownFeatures)
  friend bool operator==(const NodeReport&, const NodeReport&) = default;
};

// A report and when it came.
struct PeerReport {
  NodeId node;
  IncarnationId incarnation;
  NodeReport report;
  MonotonicTime received;

  // Whether a member sent it. A learner that was just added is known by its number alone; a voter's
  // number may be used by somebody else, who is not meant.
  [[nodiscard]] bool IsOf(const consensus::Membership& membership) const;
};

std::string Encode(const NodeReport& report);
// kCorruption for bytes that are no report.
Result<NodeReport> DecodeNodeReport(std::string_view bytes);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_NODE_REPORT_H_
