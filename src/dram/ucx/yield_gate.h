// Whether a thread that waits for its peers may give its processor to others for a moment instead
// of sleeping. Where the others are those peers, that saves both sides a sleep and a wake-up. Where
// they are strangers who use up their time slices, a thread that gives way loses a slice each time,
// while one that sleeps is woken when its answer comes. The two look alike but for how much
// time is lost: strangers take a share that is many times larger.
//
// Thread safety: none; the owner's.
#ifndef CAIRN_SRC_DRAM_UCX_YIELD_GATE_H_
#define CAIRN_SRC_DRAM_UCX_YIELD_GATE_H_

#include "src/base/clock.h"

namespace cairn::dram::ucx {

class YieldGate {
 public:
  // A turn of others that takes longer is lost: its length is what Lost wants to know.
  static constexpr Duration kLong = std::chrono::milliseconds(1);

  [[nodiscard]] bool Open(MonotonicTime now) const { return now >= closed_until_; }
  // Others ran for `turn` until now. Closes for half a second when about 20 ms more were lost than
  // a quarter of the time.
  void Lost(Duration turn, MonotonicTime now);

 private:
  Duration lost_{0};  // beyond the share that may be, when that was looked at last
  MonotonicTime looked_at_;
  MonotonicTime closed_until_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_YIELD_GATE_H_
