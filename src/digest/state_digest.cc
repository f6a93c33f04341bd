#include "src/digest/state_digest.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "src/base/codec.h"
#include "xxhash.h"

namespace cairn::digest {
namespace {

// Begins are about so many pairs apart, until there are too many of them.
constexpr std::uint64_t kFirstMask = 63;

bool BeginsRange(std::string_view key, std::uint64_t mask) {
  return (XXH3_64bits(key.data(), key.size()) & mask) == 0;
}

std::string Hex(std::uint64_t high, std::uint64_t low) {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

// The ranges as they are under a mask that is at least the section's own.
std::vector<Range> RangesUnder(const Section& section, std::uint64_t mask) {
  std::vector<Range> ranges;
  for (const Range& range : section.ranges) {
    if (!ranges.empty() && !BeginsRange(range.begin, mask)) {
      ranges.back().pairs += range.pairs;
      ranges.back().sum.Add(range.sum);
    } else {
      ranges.push_back(range);
    }
  }
  if (ranges.empty()) ranges.emplace_back();
  return ranges;
}

}  // namespace

void Sum::Add(const Sum& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
}

std::string Sum::ToString() const { return Hex(high, low); }

Sum HashPair(std::string_view key, std::string_view value) {
  const XXH128_hash_t of_key = XXH3_128bits(key.data(), key.size());
  const XXH128_hash_t of_value = XXH3_128bits(value.data(), value.size());
  // Where the one ends and the other begins is part of it.
  const std::uint64_t all[] = {key.size(),   of_key.low64,   of_key.high64,
                               value.size(), of_value.low64, of_value.high64};
  const XXH128_hash_t hash = XXH3_128bits(all, sizeof(all));
  return {hash.low64, hash.high64};
}

std::string StateDigest::ToString() const {
  std::string all;
  Encoder e(&all);
  e.Fixed64(version);
  for (const Section& section : sections) {
    e.Bytes(section.name);
    e.Fixed64(section.pairs);
    e.Fixed64(section.sum.low);
    e.Fixed64(section.sum.high);
  }
  const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  return Hex(hash.high64, hash.low64);
}

SectionBuilder::SectionBuilder(std::string name) : SectionBuilder(std::move(name), Bounds()) {}

SectionBuilder::SectionBuilder(std::string name, const Bounds& bounds) : bounds_(bounds) {
  section_.name = std::move(name);
  section_.mask = kFirstMask;
  section_.ranges.emplace_back();
}

void SectionBuilder::Add(std::string_view key, std::string_view value) {
  if (section_.pairs != 0 && BeginsRange(key, section_.mask)) {
    section_.ranges.push_back({std::string(key), 0, {}});
    key_bytes_ += key.size();
    while (section_.ranges.size() > bounds_.ranges || key_bytes_ > bounds_.key_bytes) Coarsen();
  }
  const Sum hash = HashPair(key, value);
  Range& range = section_.ranges.back();
  ++range.pairs;
  range.sum.Add(hash);
  ++section_.pairs;
  section_.bytes += key.size() + value.size();
  section_.sum.Add(hash);
}

void SectionBuilder::Coarsen() {
  section_.mask = section_.mask * 2 + 1;
  section_.ranges = RangesUnder(section_, section_.mask);
  key_bytes_ = 0;
  for (const Range& range : section_.ranges) key_bytes_ += range.begin.size();
}

Section SectionBuilder::Finish() { return std::move(section_); }

std::vector<Difference> Compare(const Section& here, const Section& there, std::size_t at_most) {
  std::vector<Difference> found;
  if (here.pairs == there.pairs && here.sum == there.sum) return found;
  const std::uint64_t mask = std::max(here.mask, there.mask);
  const std::vector<Range> a = RangesUnder(here, mask);
  const std::vector<Range> b = RangesUnder(there, mask);
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size() && found.size() < at_most) {
    // From a begin that both have to the next one that both have.
    Range left = a[i++];
    Range right = b[j++];
    while (true) {
      const bool left_ended = i == a.size();
      const bool right_ended = j == b.size();
      if (left_ended && right_ended) break;
      if (!left_ended && !right_ended && a[i].begin == b[j].begin) break;
      const bool take_left = right_ended || (!left_ended && a[i].begin < b[j].begin);
      const Range& next = take_left ? a[i++] : b[j++];
      Range& into = take_left ? left : right;
      into.pairs += next.pairs;
      into.sum.Add(next.sum);
    }
    if (left.pairs == right.pairs && left.sum == right.sum) continue;
    const std::string end = i < a.size() ? a[i].begin : std::string();
    found.push_back({here.name, left.begin, end, left.pairs, right.pairs});
  }
  return found;
}

std::vector<Difference> Compare(const StateDigest& here, const StateDigest& there,
                                std::size_t at_most) {
  std::vector<Difference> found;
  const auto find = [](const StateDigest& in, const std::string& name) -> const Section* {
    for (const Section& section : in.sections) {
      if (section.name == name) return &section;
    }
    return nullptr;
  };
  for (const Section& section : here.sections) {
    const Section* const other = find(there, section.name);
    if (other == nullptr) {
      found.push_back({section.name, "", "", section.pairs, 0});
      continue;
    }
    const std::size_t left = at_most > found.size() ? at_most - found.size() : 0;
    for (Difference& difference : Compare(section, *other, left)) {
      found.push_back(std::move(difference));
    }
  }
  for (const Section& section : there.sections) {
    if (find(here, section.name) == nullptr) {
      found.push_back({section.name, "", "", 0, section.pairs});
    }
  }
  if (found.size() > at_most) found.resize(at_most);
  return found;
}

}  // namespace cairn::digest
