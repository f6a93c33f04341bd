// KV.Pipeline from the client's side: the operations of many callers over one call, which spares
// them the cost of a call each. What callers want to send while a message is on its way to the node
// travels in the next one.
//
// Only the node can say whether it has pipelines, and has room for one more: it greets. Until then,
// and while there is none, callers make single calls.
//
// Thread safety: all methods from any thread. Answers come on gRPC's threads, deadlines on the
// scheduler's.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_PIPELINE_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_PIPELINE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "src/base/mutex.h"
#include "src/client/channel.h"
#include "src/client/grpc_wire/running_calls.h"
#include "src/client/scheduler.h"

namespace grpc {
class ChannelInterface;
}

namespace cairn::client {

class PipelineStream;

struct PipelineOptions {
  std::shared_ptr<grpc::ChannelInterface> channel;
  std::shared_ptr<RunningCalls> running;
  std::shared_ptr<Scheduler> scheduler;  // of deadlines
  std::size_t max_message_bytes = 0;     // that the channel takes
  std::string node;                      // for messages
};

class Pipeline {
 public:
  explicit Pipeline(PipelineOptions options);
  ~Pipeline();

  // Sends a request, as NodeChannel::Start does; takes `done`. Null, and `done` is left alone, if
  // the request is not for a pipeline (no point operation, or a large one), or none is open.
  std::shared_ptr<Call> TryStart(const Request& request, const CallContext& context,
                                 NodeChannel::Done* done);

 private:
  // Null if there is none that is open; then one is being opened, unless that is of no use.
  std::shared_ptr<PipelineStream> Current();

  const PipelineOptions options_;
  Mutex mutex_;
  std::shared_ptr<PipelineStream> stream_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime next_open_ ABSL_GUARDED_BY(mutex_);  // not before
  bool unsupported_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_PIPELINE_H_
