// KV.Pipeline: many point operations over one call, answered as they are done.
//
//   read a message -> begin its operations -> read the next ...
//   an operation is done -> its answer waits -> a message of answers is written -> (taken) -> ...
//
// While one message of answers is on its way to the client the next one grows, so that the busier
// the node is, the more answers share the cost of a message and of a system call.
//
// Memory. A call holds one message of requests, kMaxRunning operations, and answers that wait: it
// begins nothing more while they are kMaxHeldBytes, and at most kMaxReads reads are on their way
// when it stops. What the client has sent beyond that stays in the network (HTTP/2 flow control).
//
// Thread safety: all from any thread. What a call holds is guarded by its lock, which is never held
// while gRPC or the node is called.
#ifndef CAIRN_SRC_SERVER_GRPC_PIPELINE_H_
#define CAIRN_SRC_SERVER_GRPC_PIPELINE_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <unordered_set>

#include "api/cairn.pb.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/server/grpc/backend.h"

namespace grpc {
class CallbackServerContext;
}

namespace cairn::server {

class PipelineCall;

// The calls of KV.Pipeline that are running.
class PipelineTable {
 public:
  explicit PipelineTable(std::uint32_t max) : max_(max) {}

  // kResourceExhausted: there are too many; kUnavailable after EndAll.
  Status Add(PipelineCall* call);
  void Remove(PipelineCall* call);
  // Ends the calls whose client has taken nothing since `then`.
  void EndStalled(MonotonicTime then);
  // Ends every call: it begins nothing more, answers what it has begun, and is done.
  void EndAll();

  [[nodiscard]] std::uint64_t open() const;

 private:
  const std::uint32_t max_;
  mutable Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::unordered_set<PipelineCall*> calls_ ABSL_GUARDED_BY(mutex_);
};

// Bounds of one call; api/cairn.proto and docs/api.md tell them.
inline constexpr int kMaxRunning = 1024;               // operations, and those of one message
inline constexpr int kMaxReads = 64;                   // of them, reads
inline constexpr std::size_t kMaxHeldBytes = 4 << 20;  // of answers

grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* StartPipeline(
    Backend* backend, PipelineTable* pipelines, grpc::CallbackServerContext* call);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_PIPELINE_H_
