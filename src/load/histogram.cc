#include "src/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cairn::bench {

Histogram::Histogram() : buckets_((64 - kSubBits + 1) * kSubBuckets) {}

std::size_t Histogram::BucketOf(std::uint64_t value_ns) {
  if (value_ns < kSubBuckets) return value_ns;
  const int exponent = std::bit_width(value_ns) - 1;  // at least kSubBits
  const std::uint64_t below = (value_ns >> (exponent - kSubBits)) - kSubBuckets;
  return (exponent - kSubBits + 1) * kSubBuckets + below;
}

std::uint64_t Histogram::MiddleOf(std::size_t bucket) {
  if (bucket < kSubBuckets) return bucket;
  const int shift = static_cast<int>(bucket / kSubBuckets) - 1;
  const std::uint64_t low = (kSubBuckets + bucket % kSubBuckets) << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

void Histogram::Record(std::uint64_t value_ns) { Record(value_ns, 1); }

void Histogram::Record(std::uint64_t value_ns, std::uint64_t times) {
  if (times == 0) return;
  buckets_[BucketOf(value_ns)] += times;
  count_ += times;
  sum_ns_ += static_cast<double>(value_ns) * static_cast<double>(times);
  max_ns_ = std::max(max_ns_, value_ns);
}

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

std::uint64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(percent / 100 * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(MiddleOf(i), max_ns_);
  }
  return max_ns_;
}

Histogram Histogram::Corrected(std::uint64_t interval_ns) const {
  Histogram corrected = *this;
  if (interval_ns == 0) return corrected;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] == 0) continue;
    for (std::uint64_t left = std::min(MiddleOf(i), max_ns_); left >= 2 * interval_ns;) {
      left -= interval_ns;
      corrected.Record(left, buckets_[i]);
    }
  }
  return corrected;
}

}  // namespace cairn::bench
