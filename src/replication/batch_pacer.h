// Decides how long a proposal waits for company. One fsync serves a whole batch, so waiting a
// little saves fsyncs and processor time under load; with one client it would only cost latency.
//
// The pacer estimates how many clients propose at the same time, from the number of proposals that
// were recently outstanding at once, and holds a batch until half of them are in it (the other half
// is then in flight or on its way back) or until the oldest proposal has waited for long enough:
// `max_delay`, or a quarter of what a write takes at present, if that is longer. How long one takes
// follows from Little's law: the number of outstanding proposals, divided by the rate at which they
// are sent. So on a machine that is slow for some reason (a saturated disk, say) batches become
// larger rather than more. With one client the estimate is 1 and nothing is ever held. Compare
// commit_delay and commit_siblings of PostgreSQL, which are fixed by hand.
//
// Thread safety: owned by the core executor.
#ifndef CAIRN_SRC_REPLICATION_BATCH_PACER_H_
#define CAIRN_SRC_REPLICATION_BATCH_PACER_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "src/base/clock.h"

namespace cairn::replication {

class BatchPacer {
 public:
  BatchPacer(std::size_t max_batch, Duration max_delay)
      : max_batch_(max_batch), max_delay_(max_delay) {}

  // `queued` proposals wait, the oldest since `oldest`; `outstanding` wait for their answer in all,
  // the queued ones included. Returns until when to hold the batch; nothing: send it now.
  std::optional<MonotonicTime> Hold(std::size_t queued, std::size_t outstanding,
                                    MonotonicTime oldest, MonotonicTime now) {
    peak_ = std::max(peak_, static_cast<double>(outstanding));
    const auto target = std::min(max_batch_, static_cast<std::size_t>(peak_ / 2));
    const MonotonicTime until = oldest + LongestHold(outstanding);
    if (queued >= target || now >= until) return std::nullopt;
    return until;
  }

  // A batch of `count` was sent: the estimate forgets a little, so that it follows clients that
  // left.
  void Sent(std::size_t count, std::size_t outstanding, MonotonicTime now) {
    peak_ = std::max(static_cast<double>(outstanding), peak_ * kDecay);
    if (sent_at_ && count > 0) {
      const auto gap = static_cast<double>((now - *sent_at_).count());
      const double each = std::min(gap / static_cast<double>(count), kLongestGapNs);
      gap_ns_ += kNewsWeight * (each - gap_ns_);
    }
    sent_at_ = now;
  }

 private:
  [[nodiscard]] Duration LongestHold(std::size_t outstanding) const {
    if (max_delay_ <= Duration::zero()) return Duration::zero();
    const auto takes = gap_ns_ * static_cast<double>(outstanding);
    const Duration quarter(static_cast<Duration::rep>(takes / 4));
    return std::max(max_delay_, std::min(quarter, kLongestHold));
  }

  static constexpr double kDecay = 0.95;
  static constexpr double kNewsWeight = 0.2;
  static constexpr double kLongestGapNs = 1e9;  // nobody wrote for a while: that says nothing
  static constexpr Duration kLongestHold = std::chrono::milliseconds(20);

  const std::size_t max_batch_;
  const Duration max_delay_;
  double peak_ = 0;    // of `outstanding`, decaying
  double gap_ns_ = 0;  // between two proposals that are sent, smoothed
  std::optional<MonotonicTime> sent_at_;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_BATCH_PACER_H_
