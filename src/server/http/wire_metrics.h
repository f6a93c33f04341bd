// The families of /metrics about what clients connect to: connections, calls, errors, by wire.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_HTTP_WIRE_METRICS_H_
#define CAIRN_SRC_SERVER_HTTP_WIRE_METRICS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/metrics/exposition.h"
#include "src/server/http/http_server.h"

namespace cairn::server {

// What is known of a server that clients connect to; absent: it can't be known.
struct WireFigures {
  std::string wire;  // "thrift", "grpc", "http"
  std::optional<std::uint64_t> connections_open = std::nullopt;
  std::optional<std::uint64_t> connections_accepted = std::nullopt;
  std::optional<std::uint64_t> connections_refused = std::nullopt;
  std::optional<std::uint64_t> calls = std::nullopt;
  std::optional<std::uint64_t> errors = std::nullopt;
  std::optional<std::uint64_t> scans_open = std::nullopt;
  std::optional<std::uint64_t> scan_bytes = std::nullopt;
  std::optional<std::uint64_t> pipelines_open = std::nullopt;
  std::optional<std::uint64_t> answer_bytes = std::nullopt;
};

// Of the HTTP port itself.
WireFigures HttpWire(const HttpServerFigures& figures);

void AppendWireFamilies(const std::vector<WireFigures>& wires, metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_WIRE_METRICS_H_
