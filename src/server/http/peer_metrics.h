// The families of /metrics about the other nodes of the cluster: contact, connections, and how far
// they are, as a leader knows it or by their own reports.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_
#define CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_

#include <vector>

#include "src/base/ids.h"
#include "src/metrics/exposition.h"
#include "src/server/peer_sight.h"

namespace cairn::server {

// Nothing for a node by itself. `peers`: of NodeService::PeersAndProgress. `committed`: on this
// node.
void AppendPeerFamilies(const std::vector<PeerSight>& peers, Slot committed,
                        metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_PEER_METRICS_H_
