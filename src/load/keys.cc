#include "src/load/keys.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace cairn::bench {

double UnitInterval(Random* random) {
  return static_cast<double>(random->Next() >> 11) * 0x1.0p-53;
}

ZipfRanks::ZipfRanks(std::uint64_t n, double exponent)
    : n_(std::max<std::uint64_t>(n, 1)),
      exponent_(exponent),
      area_low_(Integral(1.5) - 1),
      area_high_(Integral(static_cast<double>(n_) + 0.5)),
      accept_within_(2 - Inverse(Integral(2.5) - Height(2))) {}

// Near an exponent of 1 the power form loses all its digits; expm1 and log1p keep them, and become
// the logarithm there.
double ZipfRanks::Integral(double x) const {
  const double log_x = std::log(x);
  const double t = (1 - exponent_) * log_x;
  return t == 0 ? log_x : std::expm1(t) / (1 - exponent_);
}

double ZipfRanks::Inverse(double area) const {
  const double t = std::max(area * (1 - exponent_), -1.0);
  return t == 0 ? std::exp(area) : std::exp(std::log1p(t) / (1 - exponent_));
}

double ZipfRanks::Height(double x) const { return std::exp(-exponent_ * std::log(x)); }

std::uint64_t ZipfRanks::Next(Random* random) const {
  while (true) {
    const double area = area_high_ + UnitInterval(random) * (area_low_ - area_high_);
    const double x = Inverse(area);
    const double rank = std::clamp(std::round(x), 1.0, static_cast<double>(n_));
    if (rank - x <= accept_within_ || area >= Integral(rank + 0.5) - Height(rank)) {
      return static_cast<std::uint64_t>(rank);
    }
  }
}

namespace {

std::uint64_t StepFor(std::uint64_t n) {
  // Near the golden section, neighbours land far apart.
  auto step = static_cast<std::uint64_t>(static_cast<double>(n) * 0.6180339887498949);
  step = std::max<std::uint64_t>(step, 1);
  while (std::gcd(step, n) != 1) ++step;
  return step;
}

}  // namespace

Scatter::Scatter(std::uint64_t n) : n_(std::max<std::uint64_t>(n, 1)), step_(StepFor(n_)) {}

std::uint64_t Scatter::Of(std::uint64_t rank) const {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(rank) * step_ % n_);
}

RecordChooser::RecordChooser(Distribution distribution, double zipf_exponent, std::uint64_t records)
    : distribution_(distribution),
      zipf_exponent_(zipf_exponent),
      records_(std::max<std::uint64_t>(records, 1)),
      ranks_(records_, zipf_exponent),
      scatter_(records_) {}

std::uint64_t RecordChooser::Next(Random* random, std::uint64_t newest) const {
  switch (distribution_) {
    case Distribution::kUniform:
      return random->Below(records_);
    case Distribution::kZipf:
      return scatter_.Of(ranks_.Next(random) - 1);
    case Distribution::kLatest:
      break;
  }
  const std::uint64_t count = std::max<std::uint64_t>(newest, 1);
  return count - ZipfRanks(count, zipf_exponent_).Next(random);
}

std::string RecordKey(const std::string& prefix, std::uint64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof(digits), "%016llu", static_cast<unsigned long long>(number));
  return prefix + digits;
}

}  // namespace cairn::bench
