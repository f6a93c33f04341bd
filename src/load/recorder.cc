#include "src/load/recorder.h"

#include <algorithm>

namespace cairn::bench {
namespace {

std::uint64_t Between(MonotonicTime begin, MonotonicTime end) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>((end - begin).count(), 0));
}

// Adds one part's counts.
void Add(const LoopReport& part, LoopReport* whole) {
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    const OperationFigures& from = part.kinds[kind];
    OperationFigures& to = whole->kinds[kind];
    to.failed += from.failed;
    to.not_found += from.not_found;
    to.latency.Merge(from.latency);
    to.service.Merge(from.service);
  }
  whole->conflicts += part.conflicts;
  whole->pairs += part.pairs;
  whole->commits += part.commits;
  whole->failed += part.failed;
  if (whole->first_error.empty()) whole->first_error = part.first_error;
  for (std::size_t i = 0; i < part.ended.size(); ++i) {
    whole->ended[i] += part.ended[i];
    whole->longest_ns[i] = std::max(whole->longest_ns[i], part.longest_ns[i]);
  }
}

void Correct(LoopReport* report) {
  for (OperationFigures& figures : report->kinds) {
    figures.expected_interval_ns = figures.service.Percentile(50);
    figures.latency = figures.service.Corrected(figures.expected_interval_ns);
  }
}

}  // namespace

std::uint64_t LoopReport::operations() const {
  std::uint64_t count = 0;
  for (const OperationFigures& figures : kinds) count += figures.service.count();
  return count;
}

Histogram LoopReport::Latency() const {
  Histogram all;
  for (const OperationFigures& figures : kinds) all.Merge(figures.latency);
  return all;
}

Histogram LoopReport::Service() const {
  Histogram all;
  for (const OperationFigures& figures : kinds) all.Merge(figures.service);
  return all;
}

void Recorder::Begin(const Window& window) {
  window_ = window;
  for (Shard& shard : shards_) {
    MutexLock lock(&shard.mutex);
    shard.report.ended.resize(window.slots);
    shard.report.longest_ns.resize(window.slots);
    shard.last = window.begin;
  }
}

void Recorder::Record(std::size_t lane, const Sample& sample, const Outcome& outcome) {
  Shard& shard = shards_[lane % kShards];
  MutexLock lock(&shard.mutex);
  LoopReport& report = shard.report;
  report.commits += outcome.commits;
  const bool measured = sample.due >= window_.begin && sample.due < window_.end;
  OperationFigures& figures = report.kinds[static_cast<std::size_t>(sample.kind)];
  if (!outcome.status.ok()) {
    ++report.failed;
    if (report.first_error.empty()) report.first_error = outcome.status.ToString();
    figures.failed += measured ? 1 : 0;
    return;
  }
  const std::uint64_t latency = Between(sample.due, sample.ended);
  if (sample.ended >= window_.begin && window_.slots > 0) {
    const std::size_t slot =
        Between(window_.begin, sample.ended) / static_cast<std::uint64_t>(window_.slot.count());
    if (slot < window_.slots) {
      ++report.ended[slot];
      report.longest_ns[slot] = std::max(report.longest_ns[slot], latency);
    }
  }
  if (!measured) return;
  report.conflicts += outcome.conflicts;
  report.pairs += outcome.pairs;
  figures.not_found += outcome.found ? 0 : 1;
  figures.latency.Record(latency);
  figures.service.Record(Between(sample.sent, sample.ended));
  shard.last = std::max(shard.last, sample.ended);
}

LoopReport Recorder::Report(bool corrected) {
  LoopReport whole;
  whole.slot = window_.slot;
  whole.ended.resize(window_.slots);
  whole.longest_ns.resize(window_.slots);
  MonotonicTime last = window_.begin;
  for (Shard& shard : shards_) {
    MutexLock lock(&shard.mutex);
    Add(shard.report, &whole);
    last = std::max(last, shard.last);
  }
  whole.seconds = static_cast<double>(Between(window_.begin, last)) * 1e-9;
  if (corrected) Correct(&whole);
  return whole;
}

}  // namespace cairn::bench
