// RemoteDram::Open: the pool over the transport that its spec names.
#include <memory>
#include <utility>

#include "cairn/remote_dram.h"
#include "src/dram/loopback/loopback_transport.h"
#include "src/dram/pool/pool.h"
#include "src/dram/routing/router.h"
#include "src/dram/routing/spec.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn {

Result<std::unique_ptr<RemoteDram>> RemoteDram::Open(std::string_view json) {
  CAIRN_ASSIGN_OR_RETURN(const dram::Spec spec, dram::ParseSpec(json));
  std::unique_ptr<dram::Transport> transport;
  if (spec.transport == "loopback") {
    transport = std::make_unique<dram::LoopbackTransport>();
  } else {
    dram::UcxOptions options;
    options.busy_poll = spec.busy_poll;
    options.shared_memory = spec.shared_memory;
    if (spec.transport == "tcp") options.network = dram::Network::kTcp;
    if (spec.transport == "ucx") options.network = dram::Network::kUcx;
    CAIRN_ASSIGN_OR_RETURN(transport, dram::MakeUcxTransport(options));
  }
  CAIRN_ASSIGN_OR_RETURN(auto pool, dram::Pool::Open(spec, std::move(transport)));
  return std::unique_ptr<RemoteDram>(std::move(pool));
}

Status RemoteDram::CheckSpec(std::string_view json) {
  CAIRN_ASSIGN_OR_RETURN(const dram::Spec spec, dram::ParseSpec(json));
  return dram::Router::Check(spec);
}

}  // namespace cairn
