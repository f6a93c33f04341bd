// Keeps an event that a client can cause at will from filling the log.
//
// Thread safety: any thread.
#ifndef CAIRN_SRC_SERVER_THRIFT_LOG_THROTTLE_H_
#define CAIRN_SRC_SERVER_THRIFT_LOG_THROTTLE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "src/base/clock.h"

namespace cairn::server {

class LogThrottle {
 public:
  explicit LogThrottle(Duration interval) : interval_(interval) {}

  // If a line may be written now: how many events went unlogged since the last one. Nothing
  // otherwise, and this event is counted as unlogged.
  std::optional<std::uint64_t> Admit(MonotonicTime now) {
    std::int64_t next = next_ns_.load(std::memory_order_relaxed);
    if (now.ns < next || !next_ns_.compare_exchange_strong(next, (now + interval_).ns)) {
      unlogged_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return unlogged_.exchange(0, std::memory_order_relaxed);
  }

 private:
  const Duration interval_;
  std::atomic<std::int64_t> next_ns_{INT64_MIN};
  std::atomic<std::uint64_t> unlogged_{0};
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_LOG_THROTTLE_H_
