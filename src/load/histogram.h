// A histogram of latencies with buckets that grow with the value: 64 buckets for each power of two,
// so that a percentile is off by at most 1/64 of its value, and recording is a few instructions.
//
// Thread safety: none. Each client thread fills its own; Merge joins them afterwards.
#ifndef CAIRN_SRC_LOAD_HISTOGRAM_H_
#define CAIRN_SRC_LOAD_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cairn::bench {

class Histogram {
 public:
  Histogram();

  // Counts one value, in nanoseconds.
  void Record(std::uint64_t value_ns);
  // Counts a value as often as `times`.
  void Record(std::uint64_t value_ns, std::uint64_t times);
  // Adds everything that `other` counted.
  void Merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const { return max_ns_; }
  // Exact, not from the buckets; 0 if nothing was recorded.
  [[nodiscard]] double mean_ns() const;
  // The middle of the bucket that holds the value at `percent` (0 to 100) of the sorted values, and
  // never more than max_ns(); 0 if nothing was recorded.
  [[nodiscard]] std::uint64_t Percentile(double percent) const;

  // What a client would have seen that sends a request every `interval_ns`, instead of waiting for
  // the last answer: while a value v of this histogram was waited for, it would have sent requests
  // that took v - interval, v - 2 * interval, and so on. They are added (Tene's correction for
  // coordinated omission). The same histogram if the interval is 0.
  [[nodiscard]] Histogram Corrected(std::uint64_t interval_ns) const;

 private:
  static constexpr int kSubBits = 6;
  static constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << kSubBits;

  // Values below kSubBuckets have a bucket each; above, the bucket is the exponent and the kSubBits
  // bits below the leading one.
  static std::size_t BucketOf(std::uint64_t value_ns);
  static std::uint64_t MiddleOf(std::size_t bucket);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_HISTOGRAM_H_
