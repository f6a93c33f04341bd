#include "src/base/endpoint.h"

#include <charconv>
#include <optional>

namespace cairn {
namespace {

// The port after the last colon; nothing if it is not a number from 1 to 65535.
std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// Letters, digits and what else host names and addresses are made of.
bool PlausibleHost(std::string_view host, bool bracketed) {
  if (host.empty() || host.size() > 253) return false;
  const std::string_view punctuation = bracketed ? ".:%" : ".-_";
  for (const char c : host) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alphanumeric && punctuation.find(c) == std::string_view::npos) return false;
  }
  return true;
}

Status BadEndpoint(std::string_view text) {
  return InvalidArgumentError("'" + std::string(text) +
                              "' is not host:port with a port from 1 to 65535 (an IPv6 address "
                              "stands in brackets: [::1]:9090)");
}

}  // namespace

std::string Endpoint::ToString() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return shown + ":" + std::to_string(port);
}

Result<Endpoint> ParseEndpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadEndpoint(text);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::optional<std::uint16_t> port = ParsePort(text.substr(colon + 1));
  if (!port.has_value() || !PlausibleHost(host, bracketed)) return BadEndpoint(text);
  return Endpoint{std::string(host), *port};
}

}  // namespace cairn
