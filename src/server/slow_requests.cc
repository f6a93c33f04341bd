#include "src/server/slow_requests.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <variant>

namespace cairn::server {
namespace {

std::uint32_t Narrow(std::size_t size) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(size, UINT32_MAX));
}

RequestShape OfKey(std::string_view key) { return {Narrow(key.size()), 0}; }

RequestShape OfRange(const kv::RangeQuery& range) {
  if (!range.end) return {};
  const std::string_view begin = range.begin.key;
  const std::string_view end = range.end->key;
  const auto [at, other] = std::mismatch(begin.begin(), begin.end(), end.begin(), end.end());
  return {Narrow(static_cast<std::size_t>(at - begin.begin())), 0};
}

bool Slower(const SlowRequest& a, const SlowRequest& b) { return a.took > b.took; }

}  // namespace

RequestShape ShapeOf(const kv::KvOperation& operation) {
  return std::visit(
      [](const auto& op) -> RequestShape {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, kv::AtomicCommit>) {
          RequestShape shape;
          if (!op.operations.empty()) shape = OfKey(op.operations.front().key);
          shape.mutations = Narrow(op.operations.size());
          return shape;
        } else if constexpr (requires { op.range; }) {
          return OfRange(op.range);
        } else if constexpr (requires { op.key_template; }) {
          return OfKey(op.key_template);
        } else if constexpr (requires { op.key; }) {
          return OfKey(op.key);
        } else {
          return {};
        }
      },
      operation);
}

void SlowRequests::Keep(const SlowRequest& request) {
  MutexLock lock(&mutex_);
  Period* period = &periods_[current_];
  if (request.ended.ns >= period_ends_ns_.load(std::memory_order_relaxed)) {
    current_ = (current_ + 1) % kPeriods;
    period = &periods_[current_];
    period->begun = request.ended;
    period->count = 0;
    bar_ns_.store(kFloor.count(), std::memory_order_relaxed);
    period_ends_ns_.store((request.ended + kPeriod).ns, std::memory_order_relaxed);
  }
  // Somebody else may have raised it.
  if (request.took.count() < bar_ns_.load(std::memory_order_relaxed)) return;
  // Full: the quickest of them, at the top of this heap, goes.
  const auto begin = period->requests.begin();
  if (period->count == kEach) {
    std::pop_heap(begin, begin + kEach, Slower);
    --period->count;
  }
  period->requests[period->count++] = request;
  std::push_heap(begin, begin + static_cast<std::ptrdiff_t>(period->count), Slower);
  if (period->count == kEach) {
    bar_ns_.store(period->requests.front().took.count() + 1, std::memory_order_relaxed);
  }
}

std::vector<SlowRequest> SlowRequests::List(MonotonicTime now) const {
  std::vector<SlowRequest> found;
  {
    MutexLock lock(&mutex_);
    for (const Period& period : periods_) {
      for (std::size_t i = 0; i < period.count; ++i) {
        if (now - period.requests[i].ended < kPeriods * kPeriod) {
          found.push_back(period.requests[i]);
        }
      }
    }
  }
  std::sort(found.begin(), found.end(), Slower);
  return found;
}

}  // namespace cairn::server
