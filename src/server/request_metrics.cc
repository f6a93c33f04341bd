#include "src/server/request_metrics.h"

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>
#include <utility>

namespace cairn::server {
namespace {

struct OperationKind {
  bool read;
  bool transaction;
};

template <std::size_t... kIndex>
constexpr auto KindsOf(std::index_sequence<kIndex...> /*indexes*/) {
  return std::array{OperationKind{
      kv::OperationTraits<std::variant_alternative_t<kIndex, kv::KvOperation>>::kType ==
          kv::OperationType::kRead,
      std::is_same_v<std::variant_alternative_t<kIndex, kv::KvOperation>, kv::AtomicCommit>}...};
}

// By the index of the alternative.
constexpr auto kKinds = KindsOf(std::make_index_sequence<std::variant_size_v<kv::KvOperation>>());
// What is counted beside those is read.
constexpr OperationKind KindOf(std::size_t operation) {
  return operation < kKinds.size() ? kKinds[operation] : OperationKind{true, false};
}

// By the number of the call.
constexpr std::array<std::string_view, kNodeCalls> kNodeCallNames = {
    "ping",
    "list_column_families",
    "get_cluster_status",
    "get_node_status",
    "get_statistics",
    "list_members",
    "add_member",
    "promote_member",
    "remove_member",
    "replace_member",
    "transfer_leadership",
    "take_snapshot",
    "upgrade",
    "prepare_digest",
    "get_digest",
    "advance_log",
    "backup",
    "set_fault",
};
static_assert(!kNodeCallNames.back().empty(), "each call has a name");

}  // namespace

std::string_view CountedName(std::size_t operation) {
  if (operation == kGetKeyOperation) return "get_key";
  if (operation == kScanOperation) return "scan";
  if (operation >= kFirstNodeCall) return kNodeCallNames[operation - kFirstNodeCall];
  return kv::AllOperationNames()[operation];
}

std::string_view NameOf(Wire wire) {
  switch (wire) {
    case Wire::kThrift:
      return "thrift";
    case Wire::kGrpc:
      return "grpc";
  }
  return "unknown";
}

RequestMetrics::~RequestMetrics() {
  for (auto& operations : histograms_) {
    for (auto& outcomes : operations) {
      for (auto& histogram : outcomes) delete histogram.load();
    }
  }
}

void RequestMetrics::RecordAt(Wire wire, std::size_t operation, std::size_t outcome,
                              Duration took) {
  const std::size_t code = std::min(outcome, kOutcomes - 1);
  std::atomic<metrics::Histogram*>& place =
      histograms_[static_cast<std::size_t>(wire)][operation][code];
  metrics::Histogram* histogram = place.load(std::memory_order_acquire);
  if (histogram == nullptr) {
    auto made = std::make_unique<metrics::Histogram>(metrics::LatencyBounds());
    if (place.compare_exchange_strong(histogram, made.get(), std::memory_order_acq_rel)) {
      histogram = made.release();
    }
  }
  histogram->Record(metrics::Nanoseconds(took));
}

RequestMetrics::Totals RequestMetrics::Sum() const {
  Totals totals;
  for (const auto& operations : histograms_) {
    for (std::size_t operation = 0; operation < kFirstNodeCall; ++operation) {
      if (operation == kScanOperation) continue;
      for (std::size_t code = 0; code < kOutcomes; ++code) {
        const metrics::Histogram* histogram =
            operations[operation][code].load(std::memory_order_acquire);
        if (histogram == nullptr) continue;
        const metrics::Histogram::Reading reading = histogram->Read();
        const auto outcome = static_cast<StatusCode>(code);
        (KindOf(operation).read ? totals.reads : totals.writes) += reading.total;
        totals.nanoseconds += reading.sum;
        if (!KindOf(operation).transaction) continue;
        if (outcome == StatusCode::kOk) totals.committed += reading.total;
        if (outcome == StatusCode::kConflict || outcome == StatusCode::kTransactionTooOld) {
          totals.aborted += reading.total;
        }
      }
    }
  }
  return totals;
}

void RequestMetrics::Render(metrics::Exposition* page) const {
  page->Family("cairn_request_duration_seconds", metrics::Kind::kHistogram,
               "Time from taking a request in to its answer, by wire, operation and outcome.");
  for (std::size_t wire = 0; wire < kWires; ++wire) {
    for (std::size_t operation = 0; operation < kCountedOperations; ++operation) {
      for (std::size_t code = 0; code < kOutcomes; ++code) {
        const metrics::Histogram* histogram =
            histograms_[wire][operation][code].load(std::memory_order_acquire);
        if (histogram == nullptr) continue;
        page->Sample(
            {{"wire", NameOf(static_cast<Wire>(wire))},
             {"operation", CountedName(operation)},
             {"outcome",
              code == kStalled ? "STALLED" : StatusCodeName(static_cast<StatusCode>(code))}},
            histogram->Read(), 1e9);
      }
    }
  }
}

}  // namespace cairn::server
