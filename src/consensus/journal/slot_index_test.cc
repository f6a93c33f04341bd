#include "src/consensus/journal/slot_index.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "src/base/clock.h"

namespace cairn::consensus::journal {
namespace {

TEST(SlotIndexTest, EmptyIndexHoldsNothing) {
  SlotIndex index;
  EXPECT_EQ(index.Find(Slot(0)), nullptr);
  EXPECT_EQ(index.First(), std::nullopt);
  EXPECT_EQ(index.Last(), std::nullopt);
  EXPECT_EQ(index.NextHeld(Slot(0)), std::nullopt);
  EXPECT_EQ(index.LiveIn(1), 0u);
  EXPECT_EQ(index.SlotBefore(0), Slot());
  index.DropFrom(Slot(1));
  index.DropThrough(Slot(9));
}

// Random calls on the index and on a map.
TEST(SlotIndexTest, AgreesWithAMap) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    SlotIndex index;
    std::map<std::uint64_t, Location> twin;
    std::uint64_t base = 1;
    for (int step = 0; step < 300; ++step) {
      const std::uint64_t slot = base + random.Below(12);
      switch (random.Below(12)) {
        case 0:
          index.DropFrom(Slot(slot));
          twin.erase(twin.lower_bound(slot), twin.end());
          break;
        case 1:
          index.DropThrough(Slot(slot - 1));
          twin.erase(twin.begin(), twin.upper_bound(slot - 1));
          base += random.Below(4);
          break;
        default: {
          const Location location{1 + random.Below(4), random.Below(100),
                                  static_cast<std::uint32_t>(40 + random.Below(60)), Epoch(step)};
          index.Set(Slot(slot), location);
          twin[slot] = location;
        }
      }
      std::map<std::uint64_t, std::uint64_t> live;
      for (const auto& [held, location] : twin) ++live[location.segment];
      for (std::uint64_t segment = 0; segment <= 5; ++segment) {
        ASSERT_EQ(index.LiveIn(segment), live.contains(segment) ? live[segment] : 0);
      }
      for (std::uint64_t at = base - 1; at < base + 30; ++at) {
        const Location* const found = index.Find(Slot(at));
        ASSERT_EQ(found != nullptr, twin.contains(at)) << at;
        if (found != nullptr) {
          ASSERT_EQ(found->epoch, twin[at].epoch);
        }
        const auto next = twin.lower_bound(at);
        ASSERT_EQ(index.NextHeld(Slot(at)),
                  next == twin.end() ? std::nullopt : std::optional<Slot>(Slot(next->first)));
      }
      const std::uint64_t kept = random.Below(600);
      std::uint64_t behind = 0;
      auto before = twin.rbegin();
      for (; before != twin.rend() && behind < kept; ++before) behind += before->second.length;
      ASSERT_EQ(index.SlotBefore(kept), before == twin.rend() ? Slot() : Slot(before->first));
      ASSERT_EQ(index.Last(),
                twin.empty() ? std::nullopt : std::optional<Slot>(Slot(twin.rbegin()->first)));
    }
  }
}

}  // namespace
}  // namespace cairn::consensus::journal
