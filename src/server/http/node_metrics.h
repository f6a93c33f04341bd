// The page /metrics of a node: everything that its parts measure, as Prometheus reads it.
// docs/metrics.md describes every family; a test compares the two.
//
// Gathering waits for no request: counters are read as they are, and what a lock guards is copied
// under it. RocksDB's properties take its own mutex for a moment, and a leader's core is asked what
// its peers have acknowledged (NodeService::PeersAndProgress: bounded, should it hang).
//
// Thread safety: any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_NODE_METRICS_H_
#define CAIRN_SRC_SERVER_HTTP_NODE_METRICS_H_

#include <functional>
#include <string>
#include <vector>

#include "src/consensus/journal/journal.h"
#include "src/metrics/exposition.h"
#include "src/replication/replica.h"
#include "src/server/http/part_watch.h"
#include "src/server/http/wire_metrics.h"
#include "src/server/node_service.h"

namespace cairn::server {

// Where the figures come from. All of it must outlive its users.
struct MetricsSources {
  NodeService* service = nullptr;
  const replication::Replica* replica = nullptr;
  const consensus::Journal* journal = nullptr;
  std::function<std::vector<WireFigures>()> wires;  // any thread
  const PartWatch* parts = nullptr;
  std::string data_directory;
  // Families of other parts: the memory plane's.
  std::vector<std::function<void(metrics::Exposition*)>> more;
};

void AppendNodeFamilies(const MetricsSources& sources, metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_NODE_METRICS_H_
