// Byte ranges of values, made definite.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_DRAM_BYTE_RANGE_H_
#define CAIRN_SRC_DRAM_BYTE_RANGE_H_

#include <cstdint>
#include <string>

#include "cairn/remote_dram.h"
#include "cairn/status.h"

namespace cairn::dram {

struct ByteExtent {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Where `range` lies in a value of `value_bytes`; kOutOfRange if it does not lie within.
inline Result<ByteExtent> Resolve(const ByteRange& range, std::uint64_t value_bytes) {
  const auto size = static_cast<std::int64_t>(value_bytes);
  const std::int64_t end = range.exclusive_max == -1 ? size : range.exclusive_max;
  const std::int64_t begin =
      range.inclusive_min < 0 ? range.inclusive_min + size : range.inclusive_min;
  const bool suffix_with_end = range.inclusive_min < 0 && range.exclusive_max != -1;
  if (begin < 0 || end > size || begin > end || suffix_with_end) {
    return Status(StatusCode::kOutOfRange,
                  "the byte range [" + std::to_string(range.inclusive_min) + ", " +
                      std::to_string(range.exclusive_max) + ") does not lie within a value of " +
                      std::to_string(size) + " bytes");
  }
  return ByteExtent{static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end - begin)};
}

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_BYTE_RANGE_H_
