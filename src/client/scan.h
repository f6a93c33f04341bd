// Reads a range of any size, all of it at one version: as a stream, from a wire that has streams,
// else page after page.
//
// A stream that breaks is begun again after the last key that came, at the same version, maybe on
// another node.
//
// Thread safety: a function of its caller's thread.
#ifndef CAIRN_SRC_CLIENT_SCAN_H_
#define CAIRN_SRC_CLIENT_SCAN_H_

#include <chrono>
#include <functional>
#include <string>

#include "cairn/status.h"
#include "src/client/core.h"
#include "src/kv/operation.h"

namespace cairn::client {

struct ScanJob {
  kv::RangeQuery range;  // `limit` bounds the whole, `max_bytes` a page or batch
  std::string column_family;
  Version at_version;                   // 0: the newest
  std::chrono::milliseconds timeout{};  // of each page or batch; 0: the client's own
};

// Ends early, with OK, when `each` returns false, and with kCancelled when options.cancellation is
// cancelled.
Status RunScan(ClientCore& core, ScanJob job, const RunOptions& options,
               const std::function<bool(const std::string& key, const std::string& value)>& each);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_SCAN_H_
