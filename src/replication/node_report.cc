#include "src/replication/node_report.h"

#include <chrono>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {

// A hundred years: more than any node runs, and far from what overflows.
constexpr std::uint64_t kMaxUptimeS = 3'153'600'000;

}  // namespace

bool PeerReport::IsOf(const consensus::Membership& membership) const {
  bool seat_taken = false;
  for (const auto& member : membership.members) {
    if (member.node != node) continue;
    if (member.incarnation == incarnation || !member.voter) return true;
    seat_taken = true;
  }
  return !seat_taken;
}

std::string Encode(const NodeReport& report) {
  std::string out;
  Encoder e(&out);
  e.Bytes(report.endpoints.thrift);
  e.Bytes(report.endpoints.grpc);
  e.Bytes(report.endpoints.http);
  e.U8(static_cast<std::uint8_t>(report.role));
  e.Varint(report.epoch.value());
  e.Varint(report.last_slot.value());
  e.Varint(report.committed_slot.value());
  e.Varint(report.applied_slot.value());
  e.Varint(report.applied_version.value());
  e.Varint(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(report.uptime).count()));
  e.Bytes(report.problem);
  e.Varint(report.known_features);
  return out;
}

Result<NodeReport> DecodeNodeReport(std::string_view bytes) {
  Decoder d(bytes);
  NodeReport report;
  report.endpoints.thrift = std::string(d.Bytes());
  report.endpoints.grpc = std::string(d.Bytes());
  report.endpoints.http = std::string(d.Bytes());
  const std::uint8_t role = d.U8();
  if (role > static_cast<std::uint8_t>(consensus::Role::kLearner)) d.Fail();
  report.role = static_cast<consensus::Role>(role);
  report.epoch = Epoch(d.Varint());
  report.last_slot = Slot(d.Varint());
  report.committed_slot = Slot(d.Varint());
  report.applied_slot = Slot(d.Varint());
  report.applied_version = Version(d.Varint());
  const std::uint64_t uptime_s = d.Varint();
  if (uptime_s > kMaxUptimeS) d.Fail();
  report.problem = std::string(d.Bytes());
  report.known_features = d.Varint();
  // Later versions may add fields.
  if (!d.ok()) {
    return CorruptionError("a node's report of " + std::to_string(bytes.size()) +
                           " bytes does not decode: " + Printable(bytes, 32));
  }
  report.uptime = std::chrono::seconds(uptime_s);
  return report;
}

}  // namespace cairn::replication
