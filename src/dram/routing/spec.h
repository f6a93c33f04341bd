// The spec of a pool: what RemoteDram::Open takes, checked and made definite.
//
// Thread safety: values and pure functions.
#ifndef CAIRN_SRC_DRAM_ROUTING_SPEC_H_
#define CAIRN_SRC_DRAM_ROUTING_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/base/endpoint.h"

namespace cairn::dram {

enum class Routing : std::uint8_t { kDirect, kHash, kRange, kExplicit };

struct RangeRule {
  KeyRange range;
  std::string server;
};

struct Spec {
  // Port 0 takes a free one.
  std::optional<Endpoint> listen;
  // How others know this server; empty: from `listen` once it listens.
  std::string advertise;
  std::vector<std::string> remotes;
  // Direct: one server, no table.
  Routing routing = Routing::kDirect;
  std::map<std::string, std::string, std::less<>> exact;
  std::map<std::string, std::string, std::less<>> prefixes;
  std::vector<RangeRule> ranges;
  // Of keys that no rule names: "none", "hash" or an address.
  std::string fallback = "none";
  std::uint64_t capacity_bytes = std::uint64_t{1} << 30;
  bool evict_lru = false;
  std::string transport = "auto";
  bool busy_poll = false;
  bool shared_memory = true;
  std::uint64_t timeout_ms = 30'000;
};

// kInvalidArgument that names the field and says what to change.
Result<Spec> ParseSpec(std::string_view json);

// "host:port", where the port may be 0: any free one.
Result<Endpoint> ParseListenAddress(const std::string& text);

// How others call a server that listens at `listening`: the spec's advertise_addr, or that address
// with the host's name in place of a wildcard.
Result<std::string> AdvertisedAddress(const Spec& spec, const Endpoint& listening);

// The spec of a client of the pool that a node's spec describes; that of a client as it is.
// kInvalidArgument also for a node whose port is not known before it listens.
Result<std::string> ClientSpecOf(std::string_view json);

// "8GiB", "512MiB", "4096": bytes.
std::optional<std::uint64_t> ParseBytes(std::string_view text);

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_ROUTING_SPEC_H_
