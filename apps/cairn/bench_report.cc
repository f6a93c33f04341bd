#include "apps/cairn/bench_report.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace cairn::cli {
namespace {

using bench::Histogram;
using bench::LoopReport;
using nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double>, 6> kPercentiles = {{{"p50_us", 50},
                                                                         {"p90_us", 90},
                                                                         {"p95_us", 95},
                                                                         {"p99_us", 99},
                                                                         {"p999_us", 99.9},
                                                                         {"p9999_us", 99.99}}};

double Us(double ns) { return ns / 1000; }
double Us(std::uint64_t ns) { return Us(static_cast<double>(ns)); }

std::string DistributionName(const bench::MixSource::Options& mix) {
  switch (mix.distribution) {
    case bench::Distribution::kUniform:
      return "uniform";
    case bench::Distribution::kZipf:
      return "zipf";
    case bench::Distribution::kLatest:
      return "latest";
  }
  return "";
}

std::string ReadLevelName(ReadLevel level) {
  switch (level) {
    case ReadLevel::kDefault:
      return "";
    case ReadLevel::kLocal:
      return "local";
    case ReadLevel::kLeader:
      return "leader";
    case ReadLevel::kReadIndex:
      return "read_index";
  }
  return "";
}

double Rate(const LoopReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.operations()) / report.seconds : 0;
}

ordered_json LatencyJson(const Histogram& histogram) {
  ordered_json document = {{"count", histogram.count()}, {"mean_us", Us(histogram.mean_ns())}};
  for (const auto& [name, percent] : kPercentiles) {
    document[name] = Us(histogram.Percentile(percent));
  }
  document["max_us"] = Us(histogram.max_ns());
  return document;
}

ordered_json PlanJson(const BenchPlan& plan) {
  ordered_json mix = ordered_json::object();
  for (std::size_t kind = 0; kind < bench::kOperationKinds; ++kind) {
    if (plan.mix.mix.shares[kind] == 0) continue;
    mix[std::string(bench::kOperationNames[kind])] = plan.mix.mix.shares[kind];
  }
  const bench::RecordOptions& records = plan.mix.records;
  return {{"workload",
           {{"name", plan.workload},
            {"mix", std::move(mix)},
            {"distribution", DistributionName(plan.mix)},
            {"zipf_exponent", plan.mix.zipf_exponent},
            {"records", records.records},
            {"value_bytes", records.value_bytes},
            {"max_scan_length", plan.mix.max_scan_length},
            {"key_prefix", records.key_prefix},
            {"seed", records.seed}}},
          {"loop",
           {{"kind", plan.loop.rate > 0 ? "open" : "closed"},
            {"in_flight", plan.loop.lanes},
            {"rate", plan.loop.rate},
            {"arrivals", plan.loop.poisson ? "poisson" : "constant"},
            {"warmup_seconds", std::chrono::duration<double>(plan.loop.warmup).count()},
            {"seconds", std::chrono::duration<double>(plan.loop.measured).count()}}},
          {"system",
           {{"endpoints", plan.system.endpoints},
            {"clients", plan.system.clients},
            {"read_level", ReadLevelName(plan.system.read_level)},
            {"sessions", plan.system.sessions},
            {"column_family", plan.system.column_family}}}};
}

ordered_json TimelineJson(const LoopReport& report) {
  ordered_json longest = ordered_json::array();
  for (const std::uint64_t ns : report.longest_ns) longest.push_back(Us(ns));
  return {{"slot_seconds", std::chrono::duration<double>(report.slot).count()},
          {"operations", report.ended},
          {"max_latency_us", std::move(longest)}};
}

std::string Row(const std::string& name, const LoopReport& report, const Histogram& counted,
                const Histogram& shown) {
  return fmt::format("{:<22} {:>9} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f}\n",
                     name, counted.count(),
                     report.seconds > 0 ? static_cast<double>(counted.count()) / report.seconds : 0,
                     Us(shown.mean_ns()), Us(shown.Percentile(50)), Us(shown.Percentile(99)),
                     Us(shown.Percentile(99.9)), Us(shown.max_ns()));
}

}  // namespace

ordered_json BenchJson(const BenchPlan& plan, const BenchResult& result) {
  const LoopReport& run = result.run;
  ordered_json document = PlanJson(plan);
  document["fill"] = nullptr;
  if (result.fill.has_value()) {
    document["fill"] = {{"records", result.fill->operations()},
                        {"seconds", result.fill->seconds},
                        {"operations_per_second", Rate(*result.fill)},
                        {"commits", result.fill->commits}};
  }
  document["seconds"] = run.seconds;
  document["operations"] = run.operations();
  document["operations_per_second"] = Rate(run);
  document["commits"] = run.commits;
  document["conflicts"] = run.conflicts;
  document["pairs"] = run.pairs;
  document["failed"] = run.failed;
  document["records_left"] = result.left;
  document["first_error"] = run.first_error;
  document["latency"] = LatencyJson(run.Latency());
  document["service_time"] = LatencyJson(run.Service());
  ordered_json kinds = ordered_json::object();
  for (std::size_t kind = 0; kind < bench::kOperationKinds; ++kind) {
    if (plan.mix.mix.shares[kind] == 0) continue;
    const bench::OperationFigures& figures = run.kinds[kind];
    kinds[std::string(bench::kOperationNames[kind])] = {
        {"failed", figures.failed},
        {"not_found", figures.not_found},
        {"expected_interval_us", Us(figures.expected_interval_ns)},
        {"latency", LatencyJson(figures.latency)},
        {"service_time", LatencyJson(figures.service)}};
  }
  document["kinds"] = std::move(kinds);
  document["timeline"] = TimelineJson(run);
  return document;
}

std::string BenchTitle(const BenchPlan& plan) {
  const bench::RecordOptions& records = plan.mix.records;
  std::string title = fmt::format("workload {} ({}; {}{}), {} records of {} bytes, ", plan.workload,
                                  ToText(plan.mix.mix), DistributionName(plan.mix),
                                  plan.mix.distribution == bench::Distribution::kUniform
                                      ? ""
                                      : fmt::format(" {}", plan.mix.zipf_exponent),
                                  records.records, records.value_bytes);
  if (plan.loop.rate > 0) {
    title += fmt::format("open loop of {} per second, at most {} in flight", plan.loop.rate,
                         plan.loop.lanes);
  } else {
    title += fmt::format("closed loop of {}", plan.loop.lanes);
  }
  return title;
}

std::string BenchText(const BenchPlan& plan, const BenchResult& result) {
  const LoopReport& run = result.run;
  std::string text = BenchTitle(plan) + "\n";
  if (result.fill.has_value()) {
    text += fmt::format("filled {} records in {:.1f} s, {:.0f} per second\n",
                        result.fill->operations(), result.fill->seconds, Rate(*result.fill));
  }
  text += fmt::format("measured {:.1f} s; times in microseconds\n", run.seconds);
  text += fmt::format("{:<22} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "", "count",
                      "per second", "mean", "p50", "p99", "p99.9", "longest");
  for (std::size_t kind = 0; kind < bench::kOperationKinds; ++kind) {
    const bench::OperationFigures& figures = run.kinds[kind];
    if (figures.service.count() == 0) continue;
    const std::string name(bench::kOperationNames[kind]);
    text += Row(name, run, figures.service, figures.service);
    text += Row(plan.loop.rate > 0 ? "  from when due" : "  corrected", run, figures.service,
                figures.latency);
    if (figures.not_found > 0) text += fmt::format("  not found: {}\n", figures.not_found);
  }
  text += Row("all", run, run.Service(), run.Service());
  text += Row(plan.loop.rate > 0 ? "  from when due" : "  corrected", run, run.Service(),
              run.Latency());
  text += fmt::format("commits {}, conflicts {}, pairs scanned {}, failed {}\n", run.commits,
                      run.conflicts, run.pairs, run.failed);
  return text;
}

}  // namespace cairn::cli
