#include "src/text/utf8.h"

#include <cstddef>
#include <cstdint>

namespace cairn::text {
namespace {

// What may follow a first byte: how many more, and the range of the second one.
struct Sequence {
  std::size_t more;
  std::uint8_t low;
  std::uint8_t high;
};

// more == 0: no sequence begins so (one byte below 0x80 is not asked for).
Sequence SequenceOf(std::uint8_t first) {
  if (first < 0xC2) return {0, 0, 0};
  if (first < 0xE0) return {1, 0x80, 0xBF};
  if (first == 0xE0) return {2, 0xA0, 0xBF};
  if (first == 0xED) return {2, 0x80, 0x9F};
  if (first < 0xF0) return {2, 0x80, 0xBF};
  if (first == 0xF0) return {3, 0x90, 0xBF};
  if (first < 0xF4) return {3, 0x80, 0xBF};
  if (first == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  std::size_t i = 0;
  while (i < bytes.size()) {
    if (at(i) < 0x80) {
      ++i;
      continue;
    }
    const Sequence sequence = SequenceOf(at(i));
    if (sequence.more == 0 || bytes.size() - i <= sequence.more) return false;
    if (at(i + 1) < sequence.low || at(i + 1) > sequence.high) return false;
    for (std::size_t k = 2; k <= sequence.more; ++k) {
      if ((at(i + k) & 0xC0) != 0x80) return false;
    }
    i += sequence.more + 1;
  }
  return true;
}

}  // namespace cairn::text
