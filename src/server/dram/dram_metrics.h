// The families of /metrics about the memory plane: the same, wherever it is served. docs/metrics.md
// describes every family; a test compares the two.
//
// Thread safety: any thread.
#ifndef CAIRN_SRC_SERVER_DRAM_DRAM_METRICS_H_
#define CAIRN_SRC_SERVER_DRAM_DRAM_METRICS_H_

#include "cairn/remote_dram.h"
#include "src/metrics/exposition.h"

namespace cairn::server {

// Nothing for a store that serves nothing.
void AppendDramFamilies(const RemoteDram& store, metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_DRAM_DRAM_METRICS_H_
