// The slowest requests of the last minutes, for a person who asks what was slow: of each minute the
// slowest few, for a number of minutes, in memory that is bounded once and for all.
//
// A request tells how it came, what it was and how long it took. Of its key only the length is
// kept, and no value: the page is for whoever may look at the node, not at its data.
//
// Cost: a request that is not among the slowest of its minute reads two numbers. The others, a few
// dozen a minute, take a lock.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_SLOW_REQUESTS_H_
#define CAIRN_SRC_SERVER_SLOW_REQUESTS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/kv/operation.h"
#include "src/server/request_metrics.h"

namespace cairn::server {

// How large what a request asks for is, without what it is.
struct RequestShape {
  // Bytes of its key; of a range, of the prefix that both ends share; of a transaction, of its
  // first key; 0 for what has none.
  std::uint32_t key_bytes = 0;
  // Mutations of a transaction; 0 for all else.
  std::uint32_t mutations = 0;
  friend bool operator==(const RequestShape&, const RequestShape&) = default;
};
RequestShape ShapeOf(const kv::KvOperation& operation);

struct SlowRequest {
  MonotonicTime ended;
  Duration took{0};
  Wire wire = Wire::kThrift;
  std::size_t operation = 0;  // as RequestMetrics counts; of a scan, the read of one batch
  StatusCode outcome = StatusCode::kOk;
  RequestShape shape;
};

class SlowRequests {
 public:
  static constexpr std::size_t kEach = 16;  // of one period
  static constexpr std::size_t kPeriods = 10;
  static constexpr Duration kPeriod = std::chrono::minutes(1);
  // What takes less is never slow.
  static constexpr Duration kFloor = std::chrono::milliseconds(1);

  // The request that has just ended, at request.ended.
  void Record(const SlowRequest& request) {
    if (request.took.count() < bar_ns_.load(std::memory_order_relaxed) &&
        request.ended.ns < period_ends_ns_.load(std::memory_order_relaxed)) {
      return;
    }
    Keep(request);
  }

  // Those that ended less than kPeriods periods before `now`, the slowest first.
  [[nodiscard]] std::vector<SlowRequest> List(MonotonicTime now) const;

 private:
  struct Period {
    MonotonicTime begun;
    std::size_t count = 0;
    std::array<SlowRequest, kEach> requests;  // the first `count`, in no order
  };

  void Keep(const SlowRequest& request);

  // What a request must have taken to be among the slowest of this period, and when that ends.
  // Copies of what the lock guards: one that is a moment old costs a lock, or misses a request that
  // ended while the period did.
  std::atomic<std::int64_t> bar_ns_{kFloor.count()};
  std::atomic<std::int64_t> period_ends_ns_{INT64_MIN};

  mutable Mutex mutex_;
  std::array<Period, kPeriods> periods_ ABSL_GUARDED_BY(mutex_);
  std::size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_SLOW_REQUESTS_H_
