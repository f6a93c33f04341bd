// The families of /metrics about the other nodes of the cluster: contact, connections, and how far
// they are by their own reports.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_
#define CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_

#include <vector>

#include "src/base/ids.h"
#include "src/metrics/exposition.h"
#include "src/server/node_service.h"

namespace cairn::server {

// Nothing for a node by itself. `committed`: on this node.
void AppendPeerFamilies(const std::vector<PeerSight>& peers, Slot committed,
                        metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_
