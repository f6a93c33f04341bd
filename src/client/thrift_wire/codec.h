// Between requests and the framed binary messages of api/kvstore.thrift.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLIENT_THRIFT_WIRE_CODEC_H_
#define CAIRN_SRC_CLIENT_THRIFT_WIRE_CODEC_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "src/client/channel.h"

namespace cairn::client {

// The message of a request, with the 4 bytes of its length before it. `now` turns the deadline into
// a duration. kUnimplemented for what the Thrift interface can't say.
Result<std::string> EncodeThriftCall(const Request& request, const CallContext& context,
                                     MonotonicTime now);

// The answer to `request`. A message that is none is kUnavailable and not answered().
NodeChannel::Outcome DecodeThriftAnswer(const Request& request, std::string_view frame);

// Whether a node that sent this answer serves nothing more on the connection and closes it: it
// could not read a message, and does not know where the next one begins.
bool EndsThriftConnection(std::string_view frame);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_THRIFT_WIRE_CODEC_H_
