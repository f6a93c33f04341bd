// "host:port" as users write it.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_BASE_ENDPOINT_H_
#define CAIRN_SRC_BASE_ENDPOINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn {

struct Endpoint {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;

  // "host:port", "[::1]:port".
  [[nodiscard]] std::string ToString() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Reads "host:port" or "[IPv6]:port"; the port is 1 to 65535. kInvalidArgument that quotes `text`.
Result<Endpoint> ParseEndpoint(std::string_view text);

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_ENDPOINT_H_
