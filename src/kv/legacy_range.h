// The old wire's range, put into key selectors: its bounds are inclusive or exclusive by flag, its
// begin offset skips results, its end offset moves the end by whole keys
// (
// begin defaults to "", end to the single byte 0xFF exclusive, limit to 1000, 0 or less is
// unlimited).
#ifndef CAIRN_SRC_KV_LEGACY_RANGE_H_
#define CAIRN_SRC_KV_LEGACY_RANGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "src/kv/limits.h"
#include "src/kv/operation.h"

namespace cairn::kv {

struct LegacyRange {
  std::optional<std::string> begin_key;
  std::optional<std::string> end_key;
  std::int32_t begin_offset = 0;
  bool begin_or_equal = true;
  std::int32_t end_offset = 0;
  bool end_or_equal = false;
  std::int32_t limit = 1000;
};

RangeQuery ToRangeQuery(LegacyRange range, const Limits& limits);

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_LEGACY_RANGE_H_
