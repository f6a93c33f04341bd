// The report of `cairn bench`, for people and for programs (docs/bench.md).
//
// Thread safety: pure functions.
#ifndef CAIRN_APPS_CAIRN_BENCH_REPORT_H_
#define CAIRN_APPS_CAIRN_BENCH_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/cairn/bench_target.h"
#include "src/load/runner.h"
#include "src/load/sources.h"

namespace cairn::cli {

// All that was asked for.
struct BenchPlan {
  std::string workload;  // "custom" if a mix was given
  bench::MixSource::Options mix;
  bench::LoopOptions loop;
  BenchSystem system;
  bool fill = true;
  bool clean = false;
};

struct BenchResult {
  std::optional<bench::LoopReport> fill;
  bench::LoopReport run;
  std::uint64_t left = 0;  // records that may be in the store now
};

nlohmann::ordered_json BenchJson(const BenchPlan& plan, const BenchResult& result);
std::string BenchText(const BenchPlan& plan, const BenchResult& result);
// "workload a (read=50,update=50; zipf 0.99), ...".
std::string BenchTitle(const BenchPlan& plan);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_BENCH_REPORT_H_
