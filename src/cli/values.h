// Checks one value of a command line against what its place takes. Shared by the parser's files.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLI_VALUES_H_
#define CAIRN_SRC_CLI_VALUES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/cli/definition.h"

namespace cairn::cli {

// kInvalidArgument that names the place ("--limit"), the value, and what was expected.
Status CheckValue(const std::string& place, ValueKind kind, const std::vector<std::string>& choices,
                  std::uint64_t min, std::uint64_t max, const std::string& value);

// A whole number in decimal, nothing else around it.
Result<std::uint64_t> ParseNumber(std::string_view text);
Result<double> ParseDecimal(std::string_view text);

// The candidate that `word` was most likely meant to be; empty if none is near.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

// "a, b or c".
std::string OneOf(const std::vector<std::string>& names);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_VALUES_H_
