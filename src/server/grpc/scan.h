// Streamed scans: a range of any size, at one version, batch by batch as the client takes them.
//
//   resolve begin, end -> read a batch -> write it -> (taken) -> read the next -> ... -> finish
//
// A scan holds one batch: the next is read when gRPC has taken the last one off, which it does at
// the client's pace (HTTP/2 flow control). Selectors that count keys are resolved once, at the
// version of the scan, so that a later batch does not count again.
//
// Thread safety: all from any thread. A scan's steps follow each other; its cancellation may come
// between.
#ifndef CAIRN_SRC_SERVER_GRPC_SCAN_H_
#define CAIRN_SRC_SERVER_GRPC_SCAN_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/cairn.pb.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/kv/result.h"
#include "src/metrics/metrics.h"
#include "src/server/grpc/backend.h"

namespace grpc {
class CallbackServerContext;
}

namespace cairn::server {

class ScanCall;

// The scans that are running.
class ScanTable {
 public:
  explicit ScanTable(std::uint32_t max) : max_(max) {}

  // False: there are too many.
  bool Add(ScanCall* scan);
  void Remove(ScanCall* scan);
  // Ends the scans whose client has taken nothing since `then`.
  void EndStalled(MonotonicTime then);

  [[nodiscard]] std::uint64_t open() const;
  metrics::Counter bytes;

 private:
  const std::uint32_t max_;
  mutable Mutex mutex_;
  std::unordered_set<ScanCall*> scans_ ABSL_GUARDED_BY(mutex_);
};

grpc::ServerWriteReactor<v1::ScanResponse>* StartScan(Backend* backend, ScanTable* scans,
                                                      grpc::CallbackServerContext* call,
                                                      const v1::ScanRequest& request);

// Moves pairs of an answer into a message.
void FillPairs(std::vector<kv::KeyValue> pairs,
               google::protobuf::RepeatedPtrField<v1::KeyValue>* to);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_SCAN_H_
