#include "src/client/address.h"

#include <utility>

namespace cairn::client {
namespace {

constexpr std::string_view kMark = "://";
constexpr std::string_view kGrpcScheme = "grpc";
constexpr std::string_view kThriftScheme = "thrift";

}  // namespace

std::string Address::ToString() const {
  std::string text;
  if (wire == Wire::kGrpc) text.append(kGrpcScheme).append(kMark);
  return text + endpoint.ToString();
}

Result<Address> ParseAddress(std::string_view text) {
  Address address;
  std::string_view rest = text;
  if (const std::size_t mark = text.find(kMark); mark != std::string_view::npos) {
    const std::string_view scheme = text.substr(0, mark);
    if (scheme != kGrpcScheme && scheme != kThriftScheme) {
      return InvalidArgumentError("'" + std::string(text) + "': there is no wire '" +
                                  std::string(scheme) +
                                  "'; write host:port (Thrift) or grpc://host:port");
    }
    if (scheme == kGrpcScheme) address.wire = Wire::kGrpc;
    rest = text.substr(mark + kMark.size());
  }
  CAIRN_ASSIGN_OR_RETURN(address.endpoint, ParseEndpoint(rest));
  return address;
}

}  // namespace cairn::client
