// The pools that this process has opened for TensorStore.
#ifndef CAIRN_INTEGRATIONS_TENSORSTORE_SHARED_POOLS_H_
#define CAIRN_INTEGRATIONS_TENSORSTORE_SHARED_POOLS_H_

#include <memory>
#include <string>

#include "cairn/remote_dram.h"
#include "cairn/status.h"

namespace cairn_tensorstore {

// The pool that `spec` describes: the one that is open already, if there is one of the same text,
// and else a new one. It closes when its last holder drops it.
//
// TensorStore itself has one driver for each spec and context, and whoever opens two arrays without
// naming a context has two contexts. But a process can serve at an address only once, and a second
// connection to the same servers would be no use.
//
// Errors are those of cairn::RemoteDram::Open. Waits while a pool of the same text is closing. Not
// to be called, nor the last holder dropped, in a callback of a pool's. Thread safe.
cairn::Result<std::shared_ptr<cairn::RemoteDram>> OpenSharedPool(const std::string& spec);

}  // namespace cairn_tensorstore

#endif  // CAIRN_INTEGRATIONS_TENSORSTORE_SHARED_POOLS_H_
