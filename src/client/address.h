// A node's address as users write it: an endpoint, and the wire that is spoken there.
//
//   host:port, thrift://host:port    the Thrift service
//   grpc://host:port                 the gRPC service
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_CLIENT_ADDRESS_H_
#define CAIRN_SRC_CLIENT_ADDRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/endpoint.h"

namespace cairn::client {

enum class Wire : std::uint8_t { kThrift, kGrpc };

struct Address {
  Wire wire = Wire::kThrift;
  Endpoint endpoint;

  // The one text of this address: "host:port" or "grpc://host:port".
  [[nodiscard]] std::string ToString() const;
  friend bool operator==(const Address&, const Address&) = default;
};

// kInvalidArgument that quotes `text` and says what an address looks like.
Result<Address> ParseAddress(std::string_view text);

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_ADDRESS_H_
