// Histories that were recorded elsewhere, by clients of real nodes, as a file: one JSON object a
// line. Format: docs/formats/history.md.
//
// Thread safety: pure functions (LoadHistory reads a file).
#ifndef CAIRN_SIM_CHECK_HISTORY_FILE_H_
#define CAIRN_SIM_CHECK_HISTORY_FILE_H_

#include <string>
#include <string_view>

#include "cairn/status.h"
#include "sim/check/history.h"

namespace cairn::sim {

// kInvalidArgument that names the line and what is wrong with it. `source` stands before the line's
// number.
Result<History> ParseHistory(std::string_view text, const std::string& source);

// ParseHistory of a file. Also kNotFound and kIoError.
Result<History> LoadHistory(const std::string& path);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_CHECK_HISTORY_FILE_H_
