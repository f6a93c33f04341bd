#include "apps/cairnd/dram.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/dram/routing/spec.h"
#include "src/server/dram/dram_metrics.h"

namespace cairn::node {
namespace {

using nlohmann::json;

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
  server::AppendDramFamilies(*store_, page);
}

}  // namespace cairn::node
