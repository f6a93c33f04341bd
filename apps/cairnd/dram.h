// The memory plane of a node: what section [dram] of its configuration describes.
//
// Thread safety: all methods from any thread, but for the destructor.
#ifndef CAIRN_APPS_CAIRND_DRAM_H_
#define CAIRN_APPS_CAIRND_DRAM_H_

#include <memory>
#include <string>

#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/config/node_config.h"
#include "src/metrics/exposition.h"
#include "src/server/tensorstore/tensorstore_server.h"

namespace cairn::node {

class MemoryPlane {
 public:
  // Serves. `config.listen_addr` is not empty.
  static Result<std::unique_ptr<MemoryPlane>> Start(const config::DramConfig& config);

  [[nodiscard]] std::string address() const { return store_->listen_address(); }
  // Empty if it is not served.
  [[nodiscard]] std::string tensorstore_address() const {
    return tensorstore_ == nullptr ? std::string() : tensorstore_->address();
  }
  // Its figures, as Prometheus reads them.
  void AppendFamilies(metrics::Exposition* page) const;

 private:
  std::unique_ptr<RemoteDram> store_;
  std::unique_ptr<server::TensorstoreServer> tensorstore_;
};

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_DRAM_H_
