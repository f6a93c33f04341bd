// A node over Thrift: framed binary messages, pipelined over a pool of connections.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_THRIFT_WIRE_THRIFT_CHANNEL_H_
#define CAIRN_SRC_CLIENT_THRIFT_WIRE_THRIFT_CHANNEL_H_

#include <memory>

#include "src/base/endpoint.h"
#include "src/client/channel.h"
#include "src/client/net/connection_pool.h"

namespace cairn::client {

std::shared_ptr<NodeChannel> MakeThriftChannel(const Endpoint& endpoint, const PoolOptions& options,
                                               std::shared_ptr<IoLoop> loop,
                                               std::shared_ptr<SerialExecutor> resolver);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_THRIFT_WIRE_THRIFT_CHANNEL_H_
