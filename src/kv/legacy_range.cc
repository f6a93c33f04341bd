#include "src/kv/legacy_range.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace cairn::kv {

RangeQuery ToRangeQuery(LegacyRange range, const Limits& limits) {
  // An offset of 2^31-1 must not overflow when the selector's own step of 1 is added.
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max() - 1;
  const std::int32_t skip = std::clamp(range.begin_offset, 0, kMost);
  const std::int32_t end_offset = std::min(range.end_offset, kMost);
  std::string begin = std::move(range.begin_key).value_or("");
  std::string end = std::move(range.end_key).value_or("\xFF");
  RangeQuery query;
  query.begin = range.begin_or_equal ? KeySelector::FirstGreaterOrEqual(std::move(begin), skip)
                                     : KeySelector::FirstGreaterThan(std::move(begin), skip);
  query.end = range.end_or_equal ? KeySelector::FirstGreaterThan(std::move(end), end_offset)
                                 : KeySelector::FirstGreaterOrEqual(std::move(end), end_offset);
  query.limit = range.limit > 0 ? static_cast<std::uint64_t>(range.limit) : 0;
  query.max_bytes = limits.legacy_range_answer_bytes;
  return query;
}

}  // namespace cairn::kv
