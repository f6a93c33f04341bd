#include "apps/cairnd/dram.h"

#include <utility>

#include "src/config/machine/machine_check.h"
#include "src/dram/routing/spec.h"
#include "src/server/dram/dram_metrics.h"

namespace cairn::node {

Result<std::unique_ptr<MemoryPlane>> MemoryPlane::Start(const config::DramConfig& config) {
  auto plane = std::make_unique<MemoryPlane>();
  CAIRN_ASSIGN_OR_RETURN(const std::string spec, config::DramSpecOf(config));
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
