#include "src/cli/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/cli/parse.h"

namespace cairn::cli {
namespace {

template <class Number>
Result<Number> FromChars(std::string_view text, const char* what) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgumentError("'" + std::string(text) + "' is not " + what);
  }
  return number;
}

Status CheckBounds(const std::string& place, const Result<std::uint64_t>& number, std::uint64_t min,
                   std::uint64_t max) {
  if (!number.ok()) return InvalidArgumentError(place + ": " + number.status().message());
  if (*number >= min && *number <= max) return Status::Ok();
  const bool open = max == std::numeric_limits<std::uint64_t>::max();
  return InvalidArgumentError(place + ": " + std::to_string(*number) + " is out of bounds: " +
                              (open ? "at least " + std::to_string(min)
                                    : std::to_string(min) + " to " + std::to_string(max)));
}

// Insertions, deletions and replacements between the two words.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<std::uint64_t> ParseNumber(std::string_view text) {
  return FromChars<std::uint64_t>(text, "a whole number");
}

Result<double> ParseDecimal(std::string_view text) {
  auto number = FromChars<double>(text, "a number");
  if (number.ok() && !(*number >= 0 && std::isfinite(*number))) {
    return InvalidArgumentError("'" + std::string(text) + "' is not a number of 0 or more");
  }
  return number;
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(digits);
  const auto number = ParseNumber(text.substr(0, digits));
  int shift = -1;
  for (const auto& [name, bits] : {std::pair<std::string_view, int>{"", 0},
                                   {"KiB", 10},
                                   {"MiB", 20},
                                   {"GiB", 30},
                                   {"TiB", 40}}) {
    if (unit == name) shift = bits;
  }
  if (!number.ok() || shift < 0 || (*number << shift) >> shift != *number) {
    return InvalidArgumentError("'" + std::string(text) +
                                "' is not a size: a number of bytes, KiB, MiB, GiB or TiB");
  }
  return *number << shift;
}

Status CheckValue(const std::string& place, ValueKind kind, const std::vector<std::string>& choices,
                  std::uint64_t min, std::uint64_t max, const std::string& value) {
  switch (kind) {
    case ValueKind::kNumber:
      return CheckBounds(place, ParseNumber(value), min, max);
    case ValueKind::kSize:
      return CheckBounds(place, ParseSize(value), min, max);
    case ValueKind::kDecimal: {
      const auto number = ParseDecimal(value);
      if (number.ok()) return Status::Ok();
      return InvalidArgumentError(place + ": " + number.status().message());
    }
    case ValueKind::kChoice: {
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return Status::Ok();
      return InvalidArgumentError(place + ": '" + value + "' is not one of " + OneOf(choices));
    }
    case ValueKind::kFile:
    case ValueKind::kFolder:
      if (!value.empty()) return Status::Ok();
      return InvalidArgumentError(place + ": expected a path");
    case ValueKind::kFlag:
    case ValueKind::kText:
    case ValueKind::kBytes:
    case ValueKind::kEndpoints:
    case ValueKind::kCommand:
      return Status::Ok();
  }
  return Status::Ok();
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::size_t best = std::min<std::size_t>(word.size() / 3 + 2, word.size());
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = Distance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string OneOf(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace cairn::cli
