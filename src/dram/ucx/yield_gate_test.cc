#include "src/dram/ucx/yield_gate.h"

#include <gtest/gtest.h>

namespace cairn::dram::ucx {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(YieldGateTest, StrangersWhoTakeHalfOfTheTimeCloseItForAWhile) {
  YieldGate gate;
  MonotonicTime now{1'000'000'000};
  // A slice of theirs, a slice of ours.
  int slices = 0;
  while (gate.Open(now) && slices < 100) {
    now = now + milliseconds(3);
    gate.Lost(milliseconds(3), now);
    ++slices;
    if (gate.Open(now)) now = now + milliseconds(3);
  }
  EXPECT_GT(slices, 6);
  EXPECT_LT(slices, 20);
  EXPECT_FALSE(gate.Open(now + milliseconds(499)));
  EXPECT_TRUE(gate.Open(now + milliseconds(500)));
  // The next attempt is as long as the first, not shorter.
  now = now + milliseconds(500);
  gate.Lost(milliseconds(3), now);
  EXPECT_TRUE(gate.Open(now));
}

TEST(YieldGateTest, ALongTurnNowAndThenDoesNot) {
  YieldGate gate;
  MonotonicTime now{1'000'000'000};
  for (int i = 0; i < 10'000; ++i) {
    now = now + milliseconds(20);
    gate.Lost(milliseconds(3), now);
    ASSERT_TRUE(gate.Open(now)) << i;
  }
}

TEST(YieldGateTest, OneVeryLongTurnCloses) {
  YieldGate gate;
  const MonotonicTime now{1'000'000'000};
  gate.Lost(seconds(1), now);
  EXPECT_FALSE(gate.Open(now));
}

}  // namespace
}  // namespace cairn::dram::ucx
