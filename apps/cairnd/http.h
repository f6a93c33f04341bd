// The HTTP port of a node, from before it opens its data until it has stopped.
//
// Thread safety: belongs to the thread that owns the node; what it serves runs on threads of its
// own.
#ifndef CAIRN_APPS_CAIRND_HTTP_H_
#define CAIRN_APPS_CAIRND_HTTP_H_

#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/config/node_config.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/http/http_server.h"
#include "src/server/http/node_pages.h"
#include "src/server/http/part_watch.h"
#include "src/server/thrift/thrift_server.h"

namespace cairn::node {

class HttpPort {
 public:
  // What the node serves with; `grpc` may be null.
  struct Servers {
    const server::ThriftServer* thrift = nullptr;
    const server::GrpcServer* grpc = nullptr;
  };

  // Null if [http] says no, or if the port is taken and nobody asked for it by number.
  static Result<std::unique_ptr<HttpPort>> Start(const config::NodeConfig& config,
                                                 const Clock* clock);
  ~HttpPort();

  // What the node does before it serves.
  void SetPhase(std::string phase) { pages_.SetPhase(std::move(phase)); }
  // `sources` without `wires` and `parts`. All of it must live until SetStopping has returned.
  void SetServing(server::MetricsSources sources, std::unique_ptr<server::PartWatch> parts,
                  Servers servers);
  // The port says that the node stops, until this is destroyed.
  void SetStopping() { pages_.SetStopping(); }

  // "127.0.0.1:8090".
  [[nodiscard]] std::string endpoint() const;

 private:
  explicit HttpPort(const config::NodeConfig& config);

  const std::string bind_;
  server::NodePages pages_;
  std::unique_ptr<server::PartWatch> parts_;
  std::unique_ptr<server::HttpServer> server_;
};

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_HTTP_H_
