// What a load measured, in JSON: the parts that the documents of all loaders have in common
// (docs/bench.md).
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_LOAD_REPORT_JSON_H_
#define CAIRN_SRC_LOAD_REPORT_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

#include "src/load/mix.h"
#include "src/load/runner.h"
#include "src/load/sources.h"

namespace cairn::bench {

// "uniform", "zipf" or "latest".
std::string DistributionName(Distribution distribution);

// Measured operations that did not fail, a second; 0 if nothing was measured.
double Rate(const LoopReport& report);

// What was asked for: `name` is the workload's, or "custom".
nlohmann::ordered_json WorkloadJson(const std::string& name, const MixSource::Options& options);

// Count, mean, percentiles and longest, in microseconds.
nlohmann::ordered_json LatencyJson(const Histogram& histogram);

// The figures of each kind of operation that the mix has.
nlohmann::ordered_json KindsJson(const Mix& mix, const LoopReport& report);

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_REPORT_JSON_H_
