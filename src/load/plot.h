// A drawing of a report, as an SVG file that a browser shows: latency by percentile, and operations
// and the longest latency over time.
//
// Thread safety: pure function.
#ifndef CAIRN_SRC_LOAD_PLOT_H_
#define CAIRN_SRC_LOAD_PLOT_H_

#include <string>

#include "src/load/runner.h"

namespace cairn::bench {

std::string PlotSvg(const LoopReport& report, const std::string& title);

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_PLOT_H_
