#include "src/server/http/status_json.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "src/consensus/core/core.h"
#include "src/server/http/process_figures.h"

namespace cairn::server {
namespace {

using Json = nlohmann::ordered_json;

// Names of threads and messages of the system need not be UTF-8.
std::string Text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::int64_t Milliseconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

template <class T>
void PutIf(Json* json, const char* name, const std::optional<T>& value) {
  if (value.has_value()) (*json)[name] = *value;
}

Json ReplicaJson(const replication::Replica& replica, const replication::ReplicaStatus& status) {
  Json json;
  json["role"] = NameOf(status.leadership.role);
  json["epoch"] = status.leadership.epoch.value();
  json["leader"] = nullptr;
  if (status.leadership.leader) json["leader"] = status.leadership.leader->value();
  json["members"] = Json::array();
  for (const auto& member : status.membership.members) {
    json["members"].push_back(
        {{"node", member.node.value()}, {"voter", member.voter}, {"endpoint", member.endpoint}});
  }
  json["last_slot"] = status.last_slot.value();
  json["durable_slot"] = status.durable_slot.value();
  json["committed_slot"] = status.committed_slot.value();
  json["applied_slot"] = status.applied_slot.value();
  json["applied_version"] = status.applied_version.value();
  json["watermark"] = status.watermark.value();
  json["staleness_ms"] = nullptr;
  const Duration staleness = replica.Staleness();
  if (staleness != Duration::max()) json["staleness_ms"] = Milliseconds(staleness);
  json["outstanding_proposals"] = status.outstanding;
  json["recovered"] = status.recovered;
  json["removed"] = status.removed;
  json["refuses_writes"] = status.health.ok() ? "" : status.health.ToString();
  const Status why = replication::WhyWritesWait(status);
  json["writes_wait"] = why.ok() ? "" : why.ToString();
  return json;
}

// How far the peer is behind: `lag_by` says on what that rests.
void PutLag(const PeerSight& peer, Slot committed, Json* json) {
  (*json)["match_slot"] = nullptr;
  if (peer.acknowledged) (*json)["match_slot"] = peer.acknowledged->match.value();
  (*json)["lag_slots"] = nullptr;
  const std::optional<PeerLag> lag = LagOf(peer, committed);
  if (!lag) return;
  (*json)["lag_slots"] = lag->slots;
  (*json)["lag_by"] = lag->by_report ? "report" : "match";
}

Json PeersJson(const std::vector<PeerSight>& peers, Slot committed) {
  Json json = Json::array();
  for (const PeerSight& peer : peers) {
    Json one = {{"node", peer.node.value()}, {"endpoint", peer.endpoint}};
    one["silent_ms"] = nullptr;
    if (peer.silent_for) one["silent_ms"] = Milliseconds(*peer.silent_for);
    PutLag(peer, committed, &one);
    if (peer.report) {
      one["report"] = {{"role", NameOf(peer.report->role)},
                       {"epoch", peer.report->epoch.value()},
                       {"last_slot", peer.report->last_slot.value()},
                       {"committed_slot", peer.report->committed_slot.value()},
                       {"applied_slot", peer.report->applied_slot.value()},
                       {"applied_version", peer.report->applied_version.value()},
                       {"uptime_ms", Milliseconds(peer.report->uptime)},
                       {"refuses_writes", peer.report->problem}};
      if (peer.report_age) one["report"]["age_ms"] = Milliseconds(*peer.report_age);
    }
    for (const LaneSight& lane : peer.lanes) {
      one["lanes"][std::string(lane.lane)] = {{"connected", lane.connected},
                                              {"frames", lane.frames},
                                              {"bytes", lane.bytes},
                                              {"dropped_frames", lane.dropped_frames},
                                              {"queued_bytes", lane.queued_bytes}};
    }
    json.push_back(std::move(one));
  }
  return json;
}

Json EngineJson(const storage::EngineFigures& figures) {
  Json json = Json::object();
  PutIf(&json, "estimated_keys", figures.estimated_keys);
  PutIf(&json, "disk_bytes", figures.bytes_on_disk);
  PutIf(&json, "memory_bytes", figures.memory_bytes);
  PutIf(&json, "write_buffer_bytes", figures.unflushed_bytes);
  PutIf(&json, "level0_files", figures.level0_files);
  PutIf(&json, "compaction_pending_bytes", figures.compaction_pending_bytes);
  return json;
}

Json JournalJson(const consensus::Journal& journal) {
  const consensus::JournalFigures figures = journal.Figures();
  return {{"disk_bytes", figures.bytes_on_disk},
          {"live_bytes", figures.live_bytes},
          {"fsyncs", figures.syncs},
          {"appended_records", figures.appended_records},
          {"appended_bytes", figures.appended_bytes}};
}

}  // namespace

std::string StatusJson(const MetricsSources& sources, std::string_view software_version) {
  Json json;
  const Endpoints endpoints = sources.service->endpoints();
  json["node"] = sources.service->node_id().value();
  json["version"] = software_version;
  json["endpoints"] = {
      {"thrift", endpoints.thrift}, {"grpc", endpoints.grpc}, {"http", endpoints.http}};
  json["ready"] = true;
  for (const ReadinessCheck& check : sources.service->Readiness()) {
    if (check.needed && !check.status.ok()) json["ready"] = false;
    json["checks"][check.name] = check.status.ok() ? "ok" : check.status.message();
  }
  const replication::ReplicaStatus status = sources.replica->status();
  json["replica"] = ReplicaJson(*sources.replica, status);
  json["peers"] = PeersJson(sources.service->PeersAndProgress(), status.committed_slot);
  json["journal"] = JournalJson(*sources.journal);
  json["engine"] = EngineJson(sources.service->EngineFigures());
  json["sessions"] = sources.service->Sessions();
  json["column_families"] = sources.service->ColumnFamilies();
  return Text(json);
}

std::string SlowJson(const NodeService& service) {
  const MonotonicTime now = service.clock().Now();
  Json json = Json::array();
  for (const SlowRequest& request : service.Slowest()) {
    Json one = {{"wire", server::NameOf(request.wire)},
                {"operation", CountedName(request.operation)},
                {"outcome", StatusCodeName(request.outcome)},
                {"duration_ms", std::chrono::duration<double, std::milli>(request.took).count()},
                {"ended_seconds_ago", std::chrono::duration<double>(now - request.ended).count()},
                {"key_bytes", request.shape.key_bytes}};
    if (request.shape.mutations > 0) one["mutations"] = request.shape.mutations;
    json.push_back(std::move(one));
  }
  return Text(json);
}

std::string ThreadsJson() {
  Json json = Json::array();
  for (const ThreadFigures& thread : ReadThreads()) {
    json.push_back({{"id", thread.id},
                    {"name", thread.stat.name},
                    {"state", std::string(1, thread.stat.state)},
                    {"cpu_seconds", thread.stat.cpu_seconds}});
  }
  return Text(json);
}

}  // namespace cairn::server
