#include "apps/cairn/bench_report.h"

#include <fmt/format.h>

#include <utility>

#include "src/load/report_json.h"

namespace cairn::cli {
namespace {

using bench::Histogram;
using bench::LoopReport;
using nlohmann::ordered_json;

double Us(double ns) { return ns / 1000; }
double Us(std::uint64_t ns) { return Us(static_cast<double>(ns)); }

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

ordered_json PlanJson(const BenchPlan& plan) {
  return {{"workload", bench::WorkloadJson(plan.workload, plan.mix)},
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
                        {"operations_per_second", bench::Rate(*result.fill)},
                        {"commits", result.fill->commits}};
  }
  document["seconds"] = run.seconds;
  document["operations"] = run.operations();
  document["operations_per_second"] = bench::Rate(run);
  document["commits"] = run.commits;
  document["conflicts"] = run.conflicts;
  document["pairs"] = run.pairs;
  document["failed"] = run.failed;
  document["records_left"] = result.left;
  document["first_error"] = run.first_error;
  document["latency"] = bench::LatencyJson(run.Latency());
  document["service_time"] = bench::LatencyJson(run.Service());
  document["kinds"] = bench::KindsJson(plan.mix.mix, run);
  document["timeline"] = TimelineJson(run);
  return document;
}

std::string BenchTitle(const BenchPlan& plan) {
  const bench::RecordOptions& records = plan.mix.records;
  std::string title =
      fmt::format("workload {} ({}; {}{}), {} records of {} bytes, ", plan.workload,
                  ToText(plan.mix.mix), bench::DistributionName(plan.mix.distribution),
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
                        result.fill->operations(), result.fill->seconds, bench::Rate(*result.fill));
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
