// A node over gRPC: services KV and Admin of api/cairn.proto, all calls multiplexed on one HTTP/2
// connection, which gRPC makes when it is needed, and again when it broke. Point operations that no
// thread waits for share one call, a pipeline.
//
// Thread safety: all methods from any thread. `done` runs on gRPC's threads, of a
// pipelined request whose deadline passes on the scheduler's.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_CHANNEL_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_CHANNEL_H_

#include <cstddef>
#include <memory>

#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/client/channel.h"
#include "src/client/scheduler.h"

namespace cairn::client {

struct GrpcChannelOptions {
  // Of the deadlines of pipelined requests (pipeline.h). Null: every request is a call of its own.
  std::shared_ptr<Scheduler> scheduler;
  Duration connect_timeout = std::chrono::seconds(2);
  std::size_t max_message_bytes = std::size_t{64} << 20;
};

std::shared_ptr<NodeChannel> MakeGrpcChannel(const Endpoint& endpoint,
                                             const GrpcChannelOptions& options);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_CHANNEL_H_
