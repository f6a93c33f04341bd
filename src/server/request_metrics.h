// Requests and how long they took, by wire, operation and outcome.
//
// Thread safety: all methods from any thread; Record neither locks nor, but for the first request
// of a kind, allocates.
#ifndef CAIRN_SRC_SERVER_REQUEST_METRICS_H_
#define CAIRN_SRC_SERVER_REQUEST_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/kv/operation.h"
#include "src/metrics/exposition.h"
#include "src/metrics/metrics.h"

namespace cairn::server {

// How a request came.
enum class Wire : std::uint8_t { kThrift, kGrpc };
inline constexpr std::size_t kWires = 2;
std::string_view NameOf(Wire wire);  // "thrift", "grpc"

// Calls that are no operation on data: the same one has the same name over both wires.
enum class NodeCall : std::uint8_t {
  kPing,
  kListColumnFamilies,
  kGetClusterStatus,
  kGetNodeStatus,
  kGetStatistics,
  kListMembers,
  kAddMember,
  kPromoteMember,
  kRemoveMember,
  kReplaceMember,
  kTransferLeadership,
  kTakeSnapshot,
  kUpgrade,
  kPrepareDigest,
  kGetDigest,
  kAdvanceLog,
  kBackup,
  kSetFault,
};
inline constexpr std::size_t kNodeCalls = static_cast<std::size_t>(NodeCall::kSetFault) + 1;

// What a request is counted as: its operation, by the index of the alternative in kv::KvOperation;
// or one of these, which are made of range reads; or a NodeCall, from kFirstNodeCall on.
inline constexpr std::size_t kGetKeyOperation = std::variant_size_v<kv::KvOperation>;
inline constexpr std::size_t kScanOperation = kGetKeyOperation + 1;
inline constexpr std::size_t kFirstNodeCall = kScanOperation + 1;
inline constexpr std::size_t kCountedOperations = kFirstNodeCall + kNodeCalls;
constexpr std::size_t CountedAs(NodeCall call) {
  return kFirstNodeCall + static_cast<std::size_t>(call);
}
// "get", "get_range", "get_key", "scan", "ping", ...
std::string_view CountedName(std::size_t operation);

class RequestMetrics {
 public:
  RequestMetrics() = default;
  ~RequestMetrics();
  RequestMetrics(const RequestMetrics&) = delete;
  RequestMetrics& operator=(const RequestMetrics&) = delete;

  // `operation`: one of kCountedOperations.
  void Record(Wire wire, std::size_t operation, StatusCode outcome, Duration took) {
    RecordAt(wire, operation, static_cast<std::size_t>(outcome), took);
  }
  // A stream that the node cut off, since its client took nothing for too long: outcome "STALLED".
  void RecordStalled(Wire wire, std::size_t operation, Duration took) {
    RecordAt(wire, operation, kStalled, took);
  }

  // Since start, of all operations on data but scans, which last as long as their clients like.
  struct Totals {
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t nanoseconds = 0;  // of reads and writes together
    std::uint64_t committed = 0;    // transactions (AtomicCommit) that succeeded
    std::uint64_t aborted = 0;      // conflicts and too old
  };
  // Each figure is exact, together they may be a moment apart. Reads every histogram: for pages and
  // statistics, not for each request.
  [[nodiscard]] Totals Sum() const;

  // The family cairn_request_duration_seconds, one histogram for each wire, operation and outcome
  // that has happened. The outcome is the name of the status code, "OK", "CONFLICT", ..., or
  // "STALLED".
  void Render(metrics::Exposition* page) const;

 private:
  static constexpr std::size_t kStalled = static_cast<std::size_t>(StatusCode::kOutOfRange) + 1;
  static constexpr std::size_t kOutcomes = kStalled + 1;

  void RecordAt(Wire wire, std::size_t operation, std::size_t outcome, Duration took);

  // Made when first needed, so that the page holds what happens and no more.
  using Outcomes = std::array<std::atomic<metrics::Histogram*>, kOutcomes>;
  std::array<std::array<Outcomes, kCountedOperations>, kWires> histograms_{};
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_REQUEST_METRICS_H_
