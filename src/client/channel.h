// The seam between a client and its wires: one node, over one protocol. The wires implement it
// (thrift_wire, grpc_wire), and so do the fake nodes of the tests.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_CHANNEL_H_
#define CAIRN_SRC_CLIENT_CHANNEL_H_

#include <absl/functional/any_invocable.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/client/request.h"

namespace cairn::client {

// One call that was started. It may be dropped at any time.
class Call {
 public:
  virtual ~Call() = default;
  // The caller no longer wants the answer: `done` may or may not run.
  virtual void Abandon() = 0;
  // For calls that were started with CallContext::driven: does the work of bringing the answer on
  // this thread, and returns when `done` has run. False if this wire brings answers on threads of
  // its own: then the caller waits for `done` in its own way.
  virtual bool Drive() = 0;
};

// A range that a node sends batch by batch, no faster than they are taken. Dropping it ends it.
// One thread at a time.
class RangeStream {
 public:
  struct Batch {
    std::vector<kv::KeyValue> pairs;
    Version read_version;   // of the whole range
    bool last = false;      // no batch follows
    bool has_more = false;  // with `last`: the limit ended it, and a further key exists
  };
  // What came. `answered` as in NodeChannel::Outcome.
  struct Next {
    Result<Batch> batch;
    bool answered = false;
  };

  virtual ~RangeStream() = default;
  // Waits for the next batch, until `deadline`. Not to be called after the last one or an error.
  // The errors are those of NodeChannel::Start.
  virtual Next Take(MonotonicTime deadline) = 0;
  // What ends a Take that waits, and every later one, with kCancelled. It may be called at any time
  // on any thread, also when the stream is gone.
  [[nodiscard]] virtual std::function<void()> Canceller() const = 0;
};

// What a stream is asked for.
struct StreamRequest {
  kv::RangeQuery range;  // max_bytes: of a batch, about; the node may send less at a time
  std::string column_family;
  Version at_version;        // 0: the newest
  std::string resume_after;  // not empty: only what comes after this key in the range's direction
};

class NodeChannel {
 public:
  // What came of a call. `answered`: the node itself said so; else the error is about the way to
  // it.
  struct Outcome {
    Result<Answer> answer;
    bool answered = false;
  };
  using Done = absl::AnyInvocable<void(Outcome)>;

  virtual ~NodeChannel() = default;

  // Sends a request. `done` runs once, inside this call or later, on any thread, by
  // context.deadline. Null if it has run already. Its errors are the node's own, or
  //   kUnavailable: no connection, or it broke; kTimeout: no answer by the deadline;
  //   kInvalidArgument: the answer is longer than this client takes,
  // all maybe_applied() if the request is a write and may have reached the node.
  virtual std::shared_ptr<Call> Start(std::shared_ptr<const Request> request,
                                      const CallContext& context, Done done) = 0;

  // Begins a stream. Of `context` only what belongs to reads counts, and no deadline. Null if this
  // wire has no streams.
  virtual std::unique_ptr<RangeStream> OpenStream(StreamRequest request,
                                                  const CallContext& context) {
    (void)request;
    (void)context;
    return nullptr;
  }

  // Ends all calls and streams with kCancelled and closes the connections. Later calls get
  // kCancelled.
  virtual void Close() = 0;
};

// Makes the channel of an address that ParseAddress takes.
using ChannelFactory = std::function<std::shared_ptr<NodeChannel>(const std::string& endpoint)>;

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_CHANNEL_H_
