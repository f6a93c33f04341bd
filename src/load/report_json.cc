#include "src/load/report_json.h"

#include <array>
#include <cstdint>
#include <utility>

namespace cairn::bench {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double>, 6> kPercentiles = {{{"p50_us", 50},
                                                                         {"p90_us", 90},
                                                                         {"p95_us", 95},
                                                                         {"p99_us", 99},
                                                                         {"p999_us", 99.9},
                                                                         {"p9999_us", 99.99}}};

double Us(double ns) { return ns / 1000; }
double Us(std::uint64_t ns) { return Us(static_cast<double>(ns)); }

}  // namespace

std::string DistributionName(Distribution distribution) {
  switch (distribution) {
    case Distribution::kUniform:
      return "uniform";
    case Distribution::kZipf:
      return "zipf";
    case Distribution::kLatest:
      return "latest";
  }
  return "";
}

double Rate(const LoopReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.operations()) / report.seconds : 0;
}

ordered_json WorkloadJson(const std::string& name, const MixSource::Options& options) {
  ordered_json mix = ordered_json::object();
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    if (options.mix.shares[kind] == 0) continue;
    mix[std::string(kOperationNames[kind])] = options.mix.shares[kind];
  }
  const RecordOptions& records = options.records;
  return {{"name", name},
          {"mix", std::move(mix)},
          {"distribution", DistributionName(options.distribution)},
          {"zipf_exponent", options.zipf_exponent},
          {"records", records.records},
          {"value_bytes", records.value_bytes},
          {"max_scan_length", options.max_scan_length},
          {"key_prefix", records.key_prefix},
          {"seed", records.seed}};
}

ordered_json LatencyJson(const Histogram& histogram) {
  ordered_json document = {{"count", histogram.count()}, {"mean_us", Us(histogram.mean_ns())}};
  for (const auto& [name, percent] : kPercentiles) {
    document[name] = Us(histogram.Percentile(percent));
  }
  document["max_us"] = Us(histogram.max_ns());
  return document;
}

ordered_json KindsJson(const Mix& mix, const LoopReport& report) {
  ordered_json kinds = ordered_json::object();
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    if (mix.shares[kind] == 0) continue;
    const OperationFigures& figures = report.kinds[kind];
    kinds[std::string(kOperationNames[kind])] = {
        {"failed", figures.failed},
        {"not_found", figures.not_found},
        {"expected_interval_us", Us(figures.expected_interval_ns)},
        {"latency", LatencyJson(figures.latency)},
        {"service_time", LatencyJson(figures.service)}};
  }
  return kinds;
}

}  // namespace cairn::bench
