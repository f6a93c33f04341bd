#include "apps/cairnd/dram.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/dram/routing/spec.h"

namespace cairn::node {
namespace {

using metrics::Kind;
using nlohmann::json;

// A figure of the store and its family.
struct Family {
  const char* figure;
  const char* name;
  Kind kind;
  const char* help;
};
constexpr Family kFamilies[] = {
    {"keys", "cairn_dram_keys", Kind::kGauge, "Keys that this node holds."},
    {"value_bytes", "cairn_dram_value_bytes", Kind::kGauge, "Bytes of their values."},
    {"capacity_bytes", "cairn_dram_capacity_bytes", Kind::kGauge, "Bytes it may take."},
    {"used_bytes", "cairn_dram_used_bytes", Kind::kGauge,
     "Bytes that are in use, those of readers of old values too."},
    {"largest_free_bytes", "cairn_dram_largest_free_bytes", Kind::kGauge,
     "The largest value that finds room."},
    {"connections", "cairn_dram_connections", Kind::kGauge,
     "Clients and peers that are connected."},
    {"reads", "cairn_dram_reads_total", Kind::kCounter, "Reads, of this node too."},
    {"writes", "cairn_dram_writes_total", Kind::kCounter, "Writes and deletes."},
    {"evicted", "cairn_dram_evicted_total", Kind::kCounter, "Values dropped for room."},
    {"refused_for_room", "cairn_dram_refused_for_room_total", Kind::kCounter,
     "Writes that found no room."},
    {"turned_away", "cairn_dram_turned_away_total", Kind::kCounter,
     "Clients and peers that route keys differently."},
};

Result<json> SpecBelow(const std::string& given) {
  if (given.empty()) return json(json::object());
  std::string text = given;
  if (given.find('{') == std::string::npos) {
    std::ifstream file(given);
    if (!file) return NotFoundError("[dram] spec: can't read the file '" + given + "'");
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  json spec = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!spec.is_object()) return InvalidArgumentError("[dram] spec: is no JSON object: " + given);
  return spec;
}

}  // namespace

Result<std::string> DramSpecOf(const config::DramConfig& config) {
  CAIRN_ASSIGN_OR_RETURN(json spec, SpecBelow(config.spec));
  spec["listen_addr"] = config.listen_addr;
  if (!config.advertise_addr.empty()) spec["advertise_addr"] = config.advertise_addr;
  if (!config.remote_addrs.empty()) {
    spec.erase("remote_addr");
    spec["remote_addrs"] = config.remote_addrs;
  }
  if (!spec.contains("capacity_bytes")) spec["capacity_bytes"] = config.capacity_mb << 20;
  if (config.eviction == config::DramEviction::kLru) spec["eviction"] = "lru";
  return spec.dump();
}

Status CheckDram(const config::DramConfig& config) {
  if (config.listen_addr.empty()) {
    const bool asked = !config.remote_addrs.empty() || !config.tensorstore_addr.empty() ||
                       !config.advertise_addr.empty() || !config.spec.empty();
    if (!asked) return {};
    return InvalidArgumentError(
        "[dram] listen_addr: is empty, yet other keys of the section are "
        "set: give \"host:port\", or drop them");
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string spec, DramSpecOf(config));
  if (const auto parsed = dram::ParseSpec(spec); !parsed.ok()) {
    return InvalidArgumentError("[dram]: " + parsed.status().message());
  }
  if (config.tensorstore_addr.empty()) return {};
  const auto address = dram::ParseListenAddress(config.tensorstore_addr);
  if (address.ok()) return {};
  return InvalidArgumentError("[dram] tensorstore_addr: " + address.status().message());
}

Result<std::unique_ptr<MemoryPlane>> MemoryPlane::Start(const config::DramConfig& config) {
  auto plane = std::make_unique<MemoryPlane>();
  CAIRN_ASSIGN_OR_RETURN(const std::string spec, DramSpecOf(config));
  CAIRN_ASSIGN_OR_RETURN(plane->store_, RemoteDram::Open(spec));
  if (!config.tensorstore_addr.empty()) {
    server::TensorstoreServerOptions options;
    CAIRN_ASSIGN_OR_RETURN(options.address, dram::ParseListenAddress(config.tensorstore_addr));
    CAIRN_ASSIGN_OR_RETURN(plane->tensorstore_,
                           server::TensorstoreServer::Start(options, plane->store_.get()));
  }
  return plane;
}

void MemoryPlane::AppendFamilies(metrics::Exposition* page) const {
  const auto stat = store_->LocalStat();
  if (!stat.has_value()) return;
  for (const Family& family : kFamilies) {
    for (const auto& [name, value] : stat->figures) {
      if (name != family.figure) continue;
      page->Family(family.name, family.kind, family.help);
      page->Sample({}, value);
    }
  }
  page->Family("cairn_dram_peer_connected", Kind::kGauge,
               "1 if this node is connected to the other node of its pool.");
  for (const dram::PeerStatus& peer : store_->Peers()) {
    if (!peer.local) page->Sample({{"peer", peer.address}}, std::uint64_t{peer.connected});
  }
}

}  // namespace cairn::node
