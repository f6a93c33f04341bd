// KV.Scan as a RangeStream.
//
// gRPC reads one batch ahead of the taker, and HTTP/2's window of bytes; beyond that the node
// waits.
//
// Thread safety: as RangeStream.
#ifndef CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_STREAM_H_
#define CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_STREAM_H_

#include <memory>
#include <string>

#include "src/client/channel.h"
#include "src/client/grpc_wire/running_calls.h"

namespace cairn::v1 {
class ScanRequest;
}
namespace grpc {
class ChannelInterface;
}

namespace cairn::client {

// `node` names the other side in messages.
std::unique_ptr<RangeStream> OpenGrpcStream(const std::shared_ptr<grpc::ChannelInterface>& channel,
                                            std::shared_ptr<RunningCalls> running,
                                            v1::ScanRequest request, const std::string& node);
// A stream that fails at once.
std::unique_ptr<RangeStream> FailedStream(Status status);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_GRPC_WIRE_GRPC_STREAM_H_
