#include "src/client/scan.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "src/client/cancellation.h"

namespace cairn::client {
namespace {

using Each = std::function<bool(const std::string& key, const std::string& value)>;

// What has come of a scan, and what of it is still to come.
class Progress {
 public:
  Progress(ClientCore& core, ScanJob job, const RunOptions& options, const Each& each)
      : core_(core), job_(std::move(job)), options_(options), each_(each) {}

  // Takes the next pairs. False: the scan is over, or cancelled.
  bool Take(const std::vector<kv::KeyValue>& pairs, Version version, bool more) {
    job_.at_version = version;
    core_.Saw(version);
    const std::string none;
    for (const kv::KeyValue& pair : pairs) {
      if (cancelled()) return false;
      // Thrift's wire has values all the same.
      if (!each_(pair.key, job_.range.keys_only ? none : pair.value)) return false;
    }
    if (!pairs.empty()) {
      const std::string& last = pairs.back().key;
      if (job_.range.reverse) {
        job_.range.end = kv::KeySelector::FirstGreaterOrEqual(last);
      } else {
        job_.range.begin = kv::KeySelector::FirstGreaterThan(last);
      }
    }
    if (job_.range.limit != 0) {
      job_.range.limit -= std::min<std::uint64_t>(job_.range.limit, pairs.size());
      if (job_.range.limit == 0) return false;
    }
    return more;
  }

  [[nodiscard]] Cancellation* cancellation() const { return options_.cancellation.get(); }
  [[nodiscard]] bool cancelled() const {
    return cancellation() != nullptr && cancellation()->cancelled();
  }
  [[nodiscard]] ClientCore& core() const { return core_; }
  [[nodiscard]] const ScanJob& job() const { return job_; }
  // Of the next page or batch.
  [[nodiscard]] MonotonicTime Deadline() const { return core_.DeadlineIn(job_.timeout); }
  // For the next request; what was read at a version needs no other.
  [[nodiscard]] RunOptions Options() const {
    RunOptions options = options_;
    options.deadline = Deadline();
    return options;
  }

 private:
  ClientCore& core_;
  ScanJob job_;
  const RunOptions options_;
  const Each& each_;
};

Status RunPages(Progress* progress) {
  for (;;) {
    const ScanJob& job = progress->job();
    kv::KvOperation operation = kv::GetRange{job.range, job.column_family};
    if (job.at_version != Version()) {
      operation = kv::SnapshotGetRange{job.range, job.at_version, job.column_family};
    }
    CAIRN_ASSIGN_OR_RETURN(Answer answer,
                           progress->core().Execute(std::move(operation), progress->Options()));
    const auto page = std::get<kv::RangeResult>(std::move(answer));
    if (!progress->Take(page.key_values, page.read_version,
                        page.has_more && !page.key_values.empty())) {
      return Status::Ok();
    }
  }
}

// Whether another stream may do better.
bool IsTransient(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kTimeout:
    case StatusCode::kStale:
    case StatusCode::kNotLeader:
    case StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

// One stream, on one node, as far as it goes.
struct StreamEnd {
  Status status;          // OK: the scan is over
  bool answered = false;  // of an error
  bool came = false;      // a batch did
};

StreamEnd RunStream(RangeStream* stream, Progress* progress, MonotonicTime deadline) {
  StreamEnd end;
  const Cancellation::Hook hook(progress->cancellation(), stream->Canceller());
  for (;;) {
    RangeStream::Next next = stream->Take(deadline);
    if (!next.batch.ok()) {
      end.status = std::move(next.batch).status();
      end.answered = next.answered;
      return end;
    }
    end.came = true;
    if (!progress->Take(next.batch->pairs, next.batch->read_version, !next.batch->last)) {
      return end;
    }
    deadline = progress->Deadline();
  }
}

CallContext StreamContext(const ClientCore& core, const RunOptions& options) {
  CallContext context;
  context.read_level = core.LevelOf(options.read_level);
  context.min_version = options.min_version;
  return context;
}

Status RunStreams(Progress* progress, NodeSet::Index node, std::unique_ptr<RangeStream> stream) {
  ClientCore& core = progress->core();
  NodeSet& nodes = core.nodes();
  const std::uint32_t most = core.options().retry.max_attempts;
  MonotonicTime deadline = progress->Deadline();
  std::vector<NodeSet::Index> avoid;
  for (std::uint32_t tries = 1;; ++tries) {
    StreamEnd end = RunStream(stream.get(), progress, deadline);
    const MonotonicTime now = core.scheduler().Now();
    if (end.came) {
      // It did well until now: whatever comes counts anew.
      tries = 1;
      avoid.clear();
      deadline = progress->Deadline();
    }
    if (end.status.ok() || end.answered) {
      nodes.OnAnswer(node, Duration::zero());
    } else if (end.status.code() == StatusCode::kCancelled) {
      nodes.OnCancelled(node);
    } else {
      nodes.OnNoAnswer(node, now);
    }
    if (end.status.ok()) return end.status;
    if (!IsTransient(end.status) || (most != 0 && tries >= most)) return end.status;
    stream.reset();
    avoid.push_back(node);
    if (!core.SleepUntil(now + core.Backoff(tries), deadline, progress->cancellation())) {
      return end.status;
    }
    std::optional<NodeSet::Index> other;
    while (!(other = nodes.ChooseForRead(core.scheduler().Now(), avoid))) {
      if (!core.SleepUntil(nodes.NextProbe(core.scheduler().Now()), deadline,
                           progress->cancellation())) {
        return end.status;
      }
    }
    node = *other;
    const ScanJob& job = progress->job();
    stream = nodes.channel(node)->OpenStream({job.range, job.column_family, job.at_version, {}},
                                             StreamContext(core, progress->Options()));
  }
}

Status Run(Progress* progress) {
  ClientCore& core = progress->core();
  NodeSet& nodes = core.nodes();
  const auto node = nodes.ChooseForRead(core.scheduler().Now(), {});
  if (!node) return RunPages(progress);  // which waits for a node
  const ScanJob& all = progress->job();
  auto stream = nodes.channel(*node)->OpenStream({all.range, all.column_family, all.at_version, {}},
                                                 StreamContext(core, progress->Options()));
  if (stream) return RunStreams(progress, *node, std::move(stream));
  nodes.OnCancelled(*node);
  return RunPages(progress);
}

}  // namespace

Status RunScan(ClientCore& core, ScanJob job, const RunOptions& options, const Each& each) {
  if (core.closed()) return CancelledError("the client is closed");
  Progress progress(core, std::move(job), options, each);
  if (progress.cancelled()) return CancelledError("cancelled");
  Status status = Run(&progress);
  // What it would have come to without that is nobody's concern.
  if (progress.cancelled() && !core.closed()) return CancelledError("cancelled");
  return status;
}

}  // namespace cairn::client
