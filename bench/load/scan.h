// Reads a whole store the way a client does. Over Thrift: getRange pages without a limit of pairs,
// each from behind the last key of the one before, while the server says has_more. Over gRPC: one
// streamed Scan.
//
// Thread safety: stateless.
#ifndef CAIRN_BENCH_LOAD_SCAN_H_
#define CAIRN_BENCH_LOAD_SCAN_H_

#include <cstdint>
#include <string>

#include "cairn/status.h"

namespace cairn::bench {

struct ScanReport {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;  // of keys and values
  std::uint64_t pages = 0;  // over gRPC: batches
  double seconds = 0;
};

// Scans from the first key to the end of the default range. kUnavailable if the server fails.
Result<ScanReport> ScanAll(const std::string& host, std::uint16_t port);
// The same over gRPC. kUnavailable, too, if the stream ends without its last batch.
Result<ScanReport> ScanAllOverGrpc(const std::string& host, std::uint16_t port);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_LOAD_SCAN_H_
