// The protocols of a connection: detection by the first bytes, and Thrift's binary and compact
// protocols made safe for a server.
//
// What the guards add to Thrift 0.17: no string or container is allocated before the bytes that it
// declares have arrived (min_serialized_size there is 0 for structs, so a short message could ask
// for any number of them), types that are none are refused before they become an enum, and the
// error messages name the limit.
//
// Thread safety: one thread at a time. Internal to src/server/thrift.
#ifndef CAIRN_SRC_SERVER_THRIFT_PROTOCOL_H_
#define CAIRN_SRC_SERVER_THRIFT_PROTOCOL_H_

#include <thrift/protocol/TProtocol.h>

#include <cstdint>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/server/thrift/message_transport.h"

namespace cairn::server {

enum class WireFormat : std::uint8_t {
  kUnframedBinary,
  kUnframedCompact,
  kFramedBinary,
  kFramedCompact,
};

constexpr bool IsFramed(WireFormat format) {
  return format == WireFormat::kFramedBinary || format == WireFormat::kFramedCompact;
}

// Looks at the first bytes of a connection, without taking them. Waits for at most 6 bytes.
// kInvalidArgument, with the bytes in the message, if they begin no strict binary and no compact
// message, or kUnavailable if the stream ends.
Result<WireFormat> DetectWireFormat(MessageTransport* transport);

// The call that a protocol has read the head of, for answers to a call that can't be read on.
struct CallHead {
  bool known = false;
  std::string name;
  std::int32_t sequence = 0;
};

// A protocol over `transport` that writes what it reads of each message's head to `head`. Both must
// outlive it. Every read of it may throw Thrift's exceptions, and std::bad_alloc.
std::shared_ptr<apache::thrift::protocol::TProtocol> MakeProtocol(
    WireFormat format, const std::shared_ptr<MessageTransport>& transport,
    const MessageLimits& limits, CallHead* head);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_PROTOCOL_H_
