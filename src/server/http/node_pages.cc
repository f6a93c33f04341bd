#include "src/server/http/node_pages.h"

#include <utility>

#include "src/server/http/process_figures.h"
#include "src/server/http/status_json.h"

namespace cairn::server {
namespace {

std::string WholeSeconds(Duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count()) + " s";
}

}  // namespace

class NodePages::InUse {
 public:
  explicit InUse(const NodePages* pages) : pages_(pages) {
    MutexLock lock(&pages_->mutex_);
    // One that stops waits for those that are there, and takes no more.
    if (!pages_->sources_ || !pages_->phase_.empty()) return;
    ++pages_->users_;
    sources_ = &*pages_->sources_;
  }
  ~InUse() {
    if (sources_ == nullptr) return;
    MutexLock lock(&pages_->mutex_);
    if (--pages_->users_ == 0) pages_->unused_.SignalAll();
  }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

  explicit operator bool() const { return sources_ != nullptr; }
  const MetricsSources* operator->() const { return sources_; }
  const MetricsSources& operator*() const { return *sources_; }

 private:
  const NodePages* const pages_;
  const MetricsSources* sources_ = nullptr;
};

NodePages::NodePages(NodePagesOptions options)
    : options_(std::move(options)),
      table_("cairnd " + options_.software_version + ", node " + std::to_string(options_.node)) {
  const auto add = [this](const char* path, const char* doc, bool quick, auto make) {
    table_.Add(path, doc, quick, [make](const HttpRequest& request) { return make(request); });
  };
  add("/metrics", "figures for Prometheus", false,
      [this](const HttpRequest& /*request*/) { return Metrics(); });
  add("/healthz", "200 while the node's threads take work, else 503", true,
      [this](const HttpRequest& /*request*/) { return Health(); });
  add("/readyz", "200 while the node can serve, else 503 and why not", true,
      [this](const HttpRequest& /*request*/) { return Ready(); });
  add("/config", "the configuration in force, as TOML; ?format=json", false,
      [this](const HttpRequest& request) { return Config(request); });
  add("/debug/status", "replica, peers, journal and engine, as JSON", false,
      [this](const HttpRequest& /*request*/) { return DebugStatus(); });
  add("/debug/slow", "the slowest requests of the last ten minutes, as JSON", false,
      [this](const HttpRequest& /*request*/) { return DebugSlow(); });
  add("/debug/threads", "threads of the process, as JSON", false,
      [](const HttpRequest& /*request*/) { return JsonResponse(ThreadsJson()); });
}

void NodePages::SetPhase(std::string phase) {
  MutexLock lock(&mutex_);
  phase_ = std::move(phase);
}

void NodePages::SetServing(MetricsSources sources) {
  MutexLock lock(&mutex_);
  phase_.clear();
  sources_ = std::move(sources);
}

void NodePages::SetStopping() {
  MutexLock lock(&mutex_);
  phase_ = "stopping";
  while (users_ > 0) unused_.Wait(&mutex_);
  sources_.reset();
}

std::string NodePages::phase() const {
  MutexLock lock(&mutex_);
  return phase_;
}

HttpResponse NodePages::Metrics() const {
  metrics::Exposition page;
  page.Gauge("cairn_serving", "1 while the node serves, 0 while it starts or stops.",
             std::uint64_t{phase().empty()});
  if (const InUse all(this); all) AppendNodeFamilies(*all, &page);
  AppendProcessFamilies(options_.software_version, &page);
  return PrometheusResponse(std::move(page).Take());
}

HttpResponse NodePages::Health() const {
  HttpResponse response;
  const InUse all(this);
  if (!all || all->parts == nullptr) return TextResponse(200, "ok: " + phase());
  for (const PartWatch::Sight& part : all->parts->Look()) {
    const bool hangs = part.waiting >= options_.hang_bound;
    if (hangs && part.vital) response.status = 503;
    response.body += part.name + ": ";
    response.body += hangs ? "takes no work for " + WholeSeconds(part.waiting) : "ok";
    response.body += '\n';
  }
  return response;
}

HttpResponse NodePages::Ready() const {
  const InUse all(this);
  if (!all) return TextResponse(503, "node: " + phase());
  HttpResponse response;
  for (const ReadinessCheck& check : all->service->Readiness()) {
    if (check.needed && !check.status.ok()) response.status = 503;
    response.body += check.name + ": ";
    response.body += check.status.ok() ? "ok" : check.status.message();
    response.body += '\n';
  }
  return response;
}

HttpResponse NodePages::Config(const HttpRequest& request) const {
  const auto format = request.query.find("format");
  if (format == request.query.end() || format->second == "toml") {
    HttpResponse response;
    response.body = options_.config_toml;
    return response;
  }
  if (format->second == "json") return JsonResponse(options_.config_json);
  return TextResponse(400, "format must be toml or json");
}

HttpResponse NodePages::DebugStatus() const {
  const InUse all(this);
  if (!all) return TextResponse(503, "node: " + phase());
  return JsonResponse(StatusJson(*all, options_.software_version));
}

HttpResponse NodePages::DebugSlow() const {
  const InUse all(this);
  if (!all) return TextResponse(503, "node: " + phase());
  return JsonResponse(SlowJson(*all->service));
}

}  // namespace cairn::server
