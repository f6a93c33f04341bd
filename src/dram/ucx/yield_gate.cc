#include "src/dram/ucx/yield_gate.h"

#include <algorithm>

namespace cairn::dram::ucx {
namespace {

// Clients that never wait in vain use up their slices too, now and then.
constexpr std::int64_t kShare = 4;
constexpr std::chrono::milliseconds kBurst{20};
constexpr std::chrono::milliseconds kClosed{500};

}  // namespace

void YieldGate::Lost(Duration turn, MonotonicTime now) {
  lost_ = std::max(Duration(0), lost_ - (now - looked_at_) / kShare) + turn;
  looked_at_ = now;
  if (lost_ <= kBurst) return;
  lost_ = Duration(0);
  closed_until_ = now + kClosed;
}

}  // namespace cairn::dram::ucx
