// The pages of a node's HTTP port. All of them only tell; nothing can be changed through this port.
//
//   /               what there is
//   /metrics        for Prometheus (node_metrics.h)
//   /healthz        200 while the node's threads take work; 503, with which one hangs
//   /readyz         200 while the node can serve; 503, with why not
//   /config         the configuration in force, secrets hidden, as TOML; ?format=json
//   /debug/status   replica, peers, journal and engine, as JSON
//   /debug/slow     the slowest requests of the last ten minutes, as JSON
//   /debug/threads  the threads of the process, as JSON
//
// They are there from the start of the process on: before the node serves, /readyz says what it
// waits for, and /metrics has the figures of the process alone.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_NODE_PAGES_H_
#define CAIRN_SRC_SERVER_HTTP_NODE_PAGES_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/server/http/node_metrics.h"
#include "src/server/http/page_table.h"

namespace cairn::server {

struct NodePagesOptions {
  std::uint32_t node = 0;
  std::string software_version;
  // The configuration in force, with secrets hidden. May be empty.
  std::string config_toml;
  std::string config_json;
  // A vital thread that has not taken a task for so long hangs.
  Duration hang_bound = std::chrono::seconds(30);
};

class NodePages {
 public:
  explicit NodePages(NodePagesOptions options);
  // The tables of pages refer to this.
  NodePages(const NodePages&) = delete;
  NodePages& operator=(const NodePages&) = delete;

  // What the node does before it serves: "waiting for the other members".
  void SetPhase(std::string phase);
  // It serves.
  void SetServing(MetricsSources sources);
  // It does no more. Waits for pages that are being made: the sources are not used afterwards.
  void SetStopping();

  [[nodiscard]] HttpResponse Handle(const HttpRequest& request) const {
    return table_.Handle(request);
  }
  [[nodiscard]] std::vector<std::string> QuickPaths() const { return table_.QuickPaths(); }

 private:
  [[nodiscard]] HttpResponse Metrics() const;
  [[nodiscard]] HttpResponse Health() const;
  [[nodiscard]] HttpResponse Ready() const;
  [[nodiscard]] HttpResponse Config(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse DebugStatus() const;
  [[nodiscard]] HttpResponse DebugSlow() const;

  // The sources, kept alive as long as this is; null while the node does not serve.
  class InUse;
  [[nodiscard]] std::string phase() const;

  const NodePagesOptions options_;
  PageTable table_;
  mutable Mutex mutex_;
  std::string phase_ ABSL_GUARDED_BY(mutex_) = "starting";
  std::optional<MetricsSources> sources_ ABSL_GUARDED_BY(mutex_);  // changes while users_ is 0
  mutable int users_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable CondVar unused_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_NODE_PAGES_H_
