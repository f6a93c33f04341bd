#include "src/server/dram/dram_http.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "src/server/dram/dram_metrics.h"
#include "src/server/http/process_figures.h"
#include "src/server/http/status_json.h"
#include "src/server/http/wire_metrics.h"

namespace cairn::server {

DramHttp::DramHttp(const DramHttpOptions& options, const RemoteDram* store)
    : options_(options),
      store_(store),
      pages_("cairn dram serve " + options.software_version + ", " + store->listen_address()) {
  const auto add = [this](const char* path, const char* doc, bool quick, auto make) {
    pages_.Add(path, doc, quick, [make](const HttpRequest& /*request*/) { return make(); });
  };
  add("/metrics", "figures for Prometheus", false, [this] { return Metrics(); });
  add("/healthz", "200 while the process serves", true, [] { return TextResponse(200, "ok"); });
  add("/readyz", "the same, and which nodes of its pool are connected", false,
      [this] { return Ready(); });
  add("/debug/status", "the server and its pool, as JSON", false, [this] { return DebugStatus(); });
  add("/debug/threads", "threads of the process, as JSON", false,
      [] { return JsonResponse(ThreadsJson()); });
}

DramHttp::~DramHttp() {
  if (server_ != nullptr) server_->Stop();
}

Result<std::unique_ptr<DramHttp>> DramHttp::Start(const DramHttpOptions& options,
                                                  const RemoteDram* store, const Clock* clock) {
  std::unique_ptr<DramHttp> port(new DramHttp(options, store));
  HttpServerOptions http;
  http.bind_address = options.address.host;
  http.port = options.address.port;
  http.quick = port->pages_.QuickPaths();
  CAIRN_ASSIGN_OR_RETURN(
      port->server_,
      HttpServer::Start(
          http, [made = port.get()](const HttpRequest& request) { return made->Handle(request); },
          clock));
  return port;
}

std::string DramHttp::address() const {
  return Endpoint{options_.address.host, server_->port()}.ToString();
}

HttpResponse DramHttp::Metrics() const {
  metrics::Exposition page;
  AppendDramFamilies(*store_, &page);
  AppendWireFamilies({HttpWire(server_->figures())}, &page);
  AppendProcessFamilies(options_.software_version, &page);
  return PrometheusResponse(std::move(page).Take());
}

HttpResponse DramHttp::Ready() const {
  HttpResponse response;
  response.body = "server: ok\n";
  for (const dram::PeerStatus& peer : store_->Peers()) {
    if (peer.local) continue;
    response.body += peer.address + ": ";
    response.body += peer.connected ? "connected" : "not connected";
    if (!peer.connected && !peer.last_error.ok()) response.body += ": " + peer.last_error.message();
    response.body += '\n';
  }
  return response;
}

HttpResponse DramHttp::DebugStatus() const {
  nlohmann::ordered_json json = {{"version", options_.software_version},
                                 {"listen_address", store_->listen_address()}};
  if (!options_.tensorstore_address.empty()) {
    json["tensorstore_address"] = options_.tensorstore_address;
  }
  if (const auto stat = store_->LocalStat(); stat.has_value()) {
    json["boot_id"] = stat->boot_id;
    for (const auto& [name, value] : stat->figures) json["figures"][name] = value;
  }
  json["pool"] = nlohmann::ordered_json::array();
  for (const dram::PeerStatus& peer : store_->Peers()) {
    json["pool"].push_back({{"address", peer.address},
                            {"local", peer.local},
                            {"connected", peer.connected},
                            {"error", peer.last_error.ok() ? "" : peer.last_error.ToString()}});
  }
  return JsonResponse(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                      "\n");
}

}  // namespace cairn::server
