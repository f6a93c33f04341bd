// Which record an operation is about: uniform, Zipf, or the latest ones more often.
//
// Thread safety: none; each lane of a load has its own.
#ifndef CAIRN_SRC_LOAD_KEYS_H_
#define CAIRN_SRC_LOAD_KEYS_H_

#include <cstdint>
#include <string>

#include "src/base/clock.h"

namespace cairn::bench {

enum class Distribution : std::uint8_t { kUniform, kZipf, kLatest };

// A number in [0, 1).
double UnitInterval(Random* random);

// Ranks 1 to n, where rank k is drawn with a probability in proportion to k^-exponent. Rejection
// inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
// discrete distributions", 1996): exact, and without a table, so that n may change at any time.
class ZipfRanks {
 public:
  // The exponent is positive; n at least 1.
  ZipfRanks(std::uint64_t n, double exponent);

  std::uint64_t Next(Random* random) const;

 private:
  // The integral of x^-exponent from 1 to x, and its inverse.
  [[nodiscard]] double Integral(double x) const;
  [[nodiscard]] double Inverse(double area) const;
  [[nodiscard]] double Height(double x) const;

  const std::uint64_t n_;
  const double exponent_;
  const double area_low_;
  const double area_high_;
  const double accept_within_;
};

// A one-to-one shuffle of 0 to n-1, so that the favourites of a Zipf distribution do not lie side
// by side.
class Scatter {
 public:
  explicit Scatter(std::uint64_t n);
  [[nodiscard]] std::uint64_t Of(std::uint64_t rank) const;

 private:
  const std::uint64_t n_;
  const std::uint64_t step_;  // has no divisor in common with n
};

// Draws numbers of records.
class RecordChooser {
 public:
  // Uniform and Zipf draw from the first `records` ones.
  RecordChooser(Distribution distribution, double zipf_exponent, std::uint64_t records);

  // `newest`: how many records there are now, for kLatest: the newest one is drawn most often, the
  // others by the Zipf rank of their age.
  std::uint64_t Next(Random* random, std::uint64_t newest) const;

 private:
  const Distribution distribution_;
  const double zipf_exponent_;
  const std::uint64_t records_;
  const ZipfRanks ranks_;
  const Scatter scatter_;
};

// The key of a record: the prefix and 16 digits, in the order of the numbers.
std::string RecordKey(const std::string& prefix, std::uint64_t number);

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_KEYS_H_
