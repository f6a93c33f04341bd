// Frames to and from the other nodes.
#include <set>
#include <utility>

#include "src/base/log.h"
#include "src/base/planted_bug.h"
#include "src/replication/replica.h"

namespace cairn::replication {
namespace {

// Beyond this many bytes on their way to the core executor frames are dropped: the network may lose
// them too, and a node that can't keep up must not run out of memory.
constexpr std::uint64_t kMaxInboxBytes = 256 << 20;
// Messages that wait for the disk. A full disk holds them for long; the oldest go first.
constexpr std::size_t kMaxHeldMessages = 10'000;

transport::Lane LaneOf(FrameKind kind) {
  return kind == FrameKind::kSnapshot ? transport::Lane::kBulk : transport::Lane::kConsensus;
}

}  // namespace

void Replica::SendMessages(std::vector<consensus::Message> messages) {
  for (consensus::Message& message : messages) {
    if (message.after > durable_token_ && !Planted(PlantedBug::kMessageBeforeToken)) {
      held_messages_.push_back(std::move(message));
      if (held_messages_.size() > kMaxHeldMessages) held_messages_.pop_front();
    } else {
      SendFrame(message.to, FrameKind::kCore, message.body);
    }
  }
}

void Replica::SendFrame(NodeId to, FrameKind kind, std::string_view body) {
  if (env_.transport == nullptr) return;
  const FrameHeader header{kind, options_.group, options_.cluster, options_.incarnation};
  env_.transport->Send(to, LaneOf(kind), EncodeFrame(header, body));
}

void Replica::OnFrame(NodeId from, const std::string& bytes) {
  if (stopped_.load(std::memory_order_acquire)) return;
  const Result<Frame> frame = DecodeFrame(bytes);
  const auto bad = [&](const std::string& what) {
    // Each of a broken peer's frames is counted; every power of two is logged.
    const std::uint64_t count = bad_frames_.fetch_add(1, std::memory_order_relaxed) + 1;
    if ((count & (count - 1)) == 0) {
      CAIRN_LOG(kWarn, "replica: dropped a frame from node {} ({} so far): {}", from.value(), count,
                what);
    }
  };
  if (!frame.ok()) return bad(frame.status().message());
  const FrameHeader header = frame->header;
  if (header.group != options_.group) return bad("it is of group " + ToString(header.group));
  if (header.cluster != options_.cluster) {
    return bad("it is of another cluster; check the endpoints in the configuration of both nodes");
  }
  const std::uint64_t size = bytes.size();
  if (inbox_bytes_.fetch_add(size, std::memory_order_relaxed) + size > kMaxInboxBytes) {
    inbox_bytes_.fetch_sub(size, std::memory_order_relaxed);
    return;
  }
  DispatchTo(env_.core, [this, from, header, size, body = std::string(frame->body)]() mutable {
    inbox_bytes_.fetch_sub(size, std::memory_order_relaxed);
    HandleFrame(from, header, std::move(body));
  });
}

void Replica::HandleFrame(NodeId from, const FrameHeader& header, std::string body) {
  switch (header.kind) {
    case FrameKind::kCore:
      Step(consensus::MessageReceived{from, std::move(body)});
      return;
    case FrameKind::kForwardRequest:
      return OnForwardRequest(from, body);
    case FrameKind::kForwardResponse:
      return OnForwardResponse(from, body);
    case FrameKind::kReport:
      return OnReport({from, header.incarnation}, body);
    case FrameKind::kSnapshot:
    case FrameKind::kSnapshotAck:
      return OnSnapshotFrame(from, header.kind, std::move(body));
    case FrameKind::kFormation:
      return;
  }
}

// ---- Reports

void Replica::SetClientEndpoints(ClientEndpoints endpoints) {
  {
    MutexLock lock(&reports_mutex_);
    client_endpoints_ = std::move(endpoints);
  }
  if (options_.report_interval > Duration::zero()) PostTo(env_.core, [this] { SendReport(); });
}

std::vector<PeerReport> Replica::Reports() const {
  std::vector<PeerReport> all;
  MutexLock lock(&reports_mutex_);
  all.reserve(reports_.size());
  for (const auto& [node, report] : reports_) all.push_back(report);
  return all;
}

ClientEndpoints Replica::ReportedEndpoints(NodeId node) const {
  MutexLock lock(&reports_mutex_);
  const auto found = reports_.find(node);
  return found == reports_.end() ? ClientEndpoints() : found->second.report.endpoints;
}

void Replica::OnReport(const consensus::PeerId& from, const std::string& body) {
  Result<NodeReport> report = DecodeNodeReport(body);
  if (!report.ok()) {
    CAIRN_LOG(kWarn, "replica: dropped a frame from node {}: {}", from.node.value(),
              report.status().message());
    return;
  }
  MutexLock lock(&reports_mutex_);
  reports_[from.node] =
      PeerReport{from.node, from.incarnation, *std::move(report), env_.clock->Now()};
}

// Leases rest on what voters are configured to: who differs is named, once.
void Replica::WarnOfLeases() {
  std::set<NodeId> differ;
  if (leads()) {
    for (const consensus::PeerProgress& progress : core_->ProgressOfPeers(env_.clock->Now())) {
      if (!progress.honours_lease && membership_.IsVoter(progress.peer)) {
        differ.insert(progress.peer.node);
      }
    }
  }
  for (const NodeId node : differ) {
    if (no_lease_from_.count(node) != 0) continue;
    CAIRN_LOG(
        kWarn,
        "leases: node {} has [cluster] leases off, or a shorter [consensus] "
        "election_timeout_ms than this node, or runs an earlier version: no lease rests on "
        "its answers. Finish the upgrade, or stop all members and give them the same settings",
        node.value());
  }
  no_lease_from_ = std::move(differ);
}

void Replica::SendReports() {
  PostAt(env_.core, env_.clock->Now() + options_.report_interval, [this] { SendReports(); });
  WarnOfLeases();
  SendReport();
}

void Replica::SendReport() {
  const ReplicaStatus now = status();
  NodeReport report;
  {
    MutexLock lock(&reports_mutex_);
    report.endpoints = client_endpoints_;
  }
  report.role = now.leadership.role;
  report.epoch = now.leadership.epoch;
  report.last_slot = now.last_slot;
  report.committed_slot = now.committed_slot;
  report.applied_slot = now.applied_slot;
  report.applied_version = now.applied_version;
  report.uptime = env_.clock->Now() - started_;
  if (const Status why = WhyWritesWait(now); !why.ok()) report.problem = why.ToString();
  if (!now.recovered) report.problem = "it replays its journal";
  report.known_features = executor_->known_features();
  const std::string body = Encode(report);
  for (const consensus::PeerId& peer : membership_.Peers()) {
    if (peer.node != options_.node) SendFrame(peer.node, FrameKind::kReport, body);
  }
}

}  // namespace cairn::replication
