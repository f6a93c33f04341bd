#include "src/server/http/wire_metrics.h"

#include <string_view>

namespace cairn::server {
namespace {

using metrics::Exposition;
using metrics::Kind;

// One sample for each wire that has the figure.
void WireFamily(const std::vector<WireFigures>& wires,
                std::optional<std::uint64_t> WireFigures::*figure, std::string_view name, Kind kind,
                std::string_view help, Exposition* page) {
  page->Family(name, kind, help);
  for (const WireFigures& wire : wires) {
    if ((wire.*figure).has_value()) page->Sample({{"wire", wire.wire}}, *(wire.*figure));
  }
}

}  // namespace

WireFigures HttpWire(const HttpServerFigures& figures) {
  return {.wire = "http",
          .connections_open = figures.connections_open,
          .connections_accepted = figures.connections_accepted,
          .connections_refused = figures.connections_refused,
          .calls = figures.requests,
          .errors = figures.bad_requests};
}

void AppendWireFamilies(const std::vector<WireFigures>& wires, Exposition* page) {
  WireFamily(wires, &WireFigures::connections_open, "cairn_connections_open", Kind::kGauge,
             "Connections of clients that are open.", page);
  WireFamily(wires, &WireFigures::connections_accepted, "cairn_connections_accepted_total",
             Kind::kCounter, "Connections of clients that were accepted.", page);
  WireFamily(wires, &WireFigures::connections_refused, "cairn_connections_refused_total",
             Kind::kCounter, "Connections of clients that were turned away for want of room.",
             page);
  WireFamily(wires, &WireFigures::calls, "cairn_calls_total", Kind::kCounter,
             "Calls (HTTP: requests) that arrived.", page);
  WireFamily(wires, &WireFigures::errors, "cairn_protocol_errors_total", Kind::kCounter,
             "Messages that broke the protocol of their wire, or its limits.", page);
  WireFamily(wires, &WireFigures::scans_open, "cairn_scans_open", Kind::kGauge,
             "Streamed scans that are under way.", page);
  WireFamily(wires, &WireFigures::scan_bytes, "cairn_scan_bytes_total", Kind::kCounter,
             "Bytes of keys and values that streamed scans handed to clients.", page);
  WireFamily(wires, &WireFigures::pipelines_open, "cairn_pipelines_open", Kind::kGauge,
             "Calls that carry a client's operations, many each, that are open.", page);
  WireFamily(wires, &WireFigures::answer_bytes, "cairn_answer_bytes", Kind::kGauge,
             "Bytes of keys and values of answers that wait for clients to take them.", page);
}

}  // namespace cairn::server
