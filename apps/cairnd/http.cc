#include "apps/cairnd/http.h"

#include <utility>
#include <vector>

#include "src/base/endpoint.h"
#include "src/base/log.h"

namespace cairn::node {
namespace {

server::NodePagesOptions PagesOptionsOf(const config::NodeConfig& config) {
  server::NodePagesOptions options;
  options.node = static_cast<std::uint32_t>(config.deployment.instance_id);
  options.software_version = CAIRN_VERSION;
  const config::NodeConfig effective = config::Effective(config);
  options.config_toml = config::RenderToml(effective, /*documented=*/false);
  options.config_json = config::RenderJson(effective);
  return options;
}

std::vector<server::WireFigures> FiguresOf(const HttpPort::Servers& servers,
                                           const server::HttpServer& http) {
  std::vector<server::WireFigures> wires;
  const server::ThriftServerFigures thrift = servers.thrift->figures();
  wires.push_back({.wire = "thrift",
                   .connections_open = thrift.connections_open,
                   .connections_accepted = thrift.connections_accepted,
                   .connections_refused = thrift.connections_refused,
                   .calls = thrift.calls,
                   .errors = thrift.protocol_errors,
                   .answer_bytes = thrift.answer_bytes});
  if (servers.grpc != nullptr) {
    const server::GrpcServerFigures grpc = servers.grpc->figures();
    wires.push_back({.wire = "grpc",
                     .connections_open = servers.grpc->connections_open(),
                     .calls = grpc.calls,
                     .scans_open = grpc.scans_open,
                     .scan_bytes = grpc.scan_bytes,
                     .pipelines_open = grpc.pipelines_open,
                     .answer_bytes = grpc.answer_bytes});
  }
  wires.push_back(server::HttpWire(http.figures()));
  return wires;
}

}  // namespace

HttpPort::HttpPort(const config::NodeConfig& config)
    : bind_(config.http.bind), pages_(PagesOptionsOf(config)) {}

HttpPort::~HttpPort() {
  if (server_ != nullptr) server_->Stop();
}

Result<std::unique_ptr<HttpPort>> HttpPort::Start(const config::NodeConfig& config,
                                                  const Clock* clock) {
  if (!config.http.enabled) return std::unique_ptr<HttpPort>();
  std::unique_ptr<HttpPort> port(new HttpPort(config));
  server::HttpServerOptions options;
  options.bind_address = config.http.bind;
  options.port = config::HttpPort(config);
  options.max_connections = config.http.max_connections;
  options.quick = port->pages_.QuickPaths();
  auto server = server::HttpServer::Start(
      options, [pages = &port->pages_](const auto& request) { return pages->Handle(request); },
      clock);
  if (server.ok()) {
    port->server_ = *std::move(server);
    return port;
  }
  if (config.server.http_port.has_value()) {
    return Status(server.status().code(),
                  "cannot serve HTTP ([http] bind and [server] http_port, or --http-port): " +
                      server.status().message());
  }
  // Nobody asked for this port by number.
  CAIRN_LOG(kWarn,
            "node: metrics and health are not served: {}; choose another port with "
            "--http-port",
            server.status().message());
  return std::unique_ptr<HttpPort>();
}

void HttpPort::SetServing(server::MetricsSources sources, std::unique_ptr<server::PartWatch> parts,
                          Servers servers) {
  parts_ = std::move(parts);
  sources.parts = parts_.get();
  sources.wires = [servers, http = server_.get()] { return FiguresOf(servers, *http); };
  pages_.SetServing(std::move(sources));
}

std::string HttpPort::endpoint() const { return Endpoint{bind_, server_->port()}.ToString(); }

}  // namespace cairn::node
