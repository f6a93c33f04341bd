// The pages /debug/status, /debug/slow and /debug/threads: what a person or a script wants to know
// of a node at once, as JSON. Figures for graphs are those of /metrics.
//
// Thread safety: any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_STATUS_JSON_H_
#define CAIRN_SRC_SERVER_HTTP_STATUS_JSON_H_

#include <string>
#include <string_view>

#include "src/server/http/node_metrics.h"

namespace cairn::server {

std::string StatusJson(const MetricsSources& sources, std::string_view software_version);
// The slowest requests of the last minutes.
std::string SlowJson(const NodeService& service);
std::string ThreadsJson();

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_STATUS_JSON_H_
