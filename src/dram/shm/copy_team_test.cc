#include "src/dram/shm/copy_team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace cairn::dram::shm {
namespace {

TEST(CopyTeam, DoesEachPartOnce) {
  CopyTeam team;
  for (std::size_t count = 0; count < 300; ++count) {
    std::vector<std::atomic<int>> done(count);
    EXPECT_TRUE(team.Run(count, [&](std::size_t number) {
      ++done[number];
      return true;
    }));
    // Nothing runs any more, so that the counts are final.
    EXPECT_TRUE(std::all_of(done.begin(), done.end(), [](const auto& times) { return times == 1; }))
        << count << " parts";
  }
}

// Two parts that each wait for the other can only end if two threads do them.
TEST(CopyTeam, TheHelperTakesPart) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two processors";
  CopyTeam team;
  for (int round = 0; round < 100; ++round) {
    std::mutex mutex;
    std::condition_variable both;
    int inside = 0;
    EXPECT_TRUE(team.Run(2, [&](std::size_t) {
      std::unique_lock lock(mutex);
      if (++inside == 2) both.notify_all();
      both.wait(lock, [&] { return inside == 2; });
      return true;
    }));
    EXPECT_EQ(team.helped(), static_cast<std::size_t>(round + 1));
  }
}

// Run may not return while the helper is inside a part: the place would be given away under it.
TEST(CopyTeam, WaitsForThePartThatTheHelperIsIn) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two processors";
  CopyTeam team;
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> helper_in{false};
  std::atomic<bool> caller_in{false};
  std::atomic<bool> helper_out{false};
  EXPECT_TRUE(team.Run(2, [&](std::size_t) {
    if (std::this_thread::get_id() == caller) {
      caller_in.store(true);
      helper_in.wait(false);  // then this thread has nothing left to do, and Run waits
      return true;
    }
    helper_in.store(true);
    helper_in.notify_all();
    while (!caller_in.load()) std::this_thread::yield();
    for (int i = 0; i < 200; ++i) std::this_thread::yield();  // longer than Run yields
    helper_out.store(true);
    return true;
  }));
  EXPECT_TRUE(helper_out.load());
}

TEST(CopyTeam, StopsAtAFailure) {
  CopyTeam team;
  std::atomic<std::size_t> begun{0};
  std::atomic<bool> failing{false};
  EXPECT_FALSE(team.Run(100'000, [&](std::size_t number) {
    ++begun;
    if (number == 3) failing.store(true);
    // The other thread gives the one that fails all the time that it needs to say so.
    while (number > 3 && !failing.load()) std::this_thread::yield();
    for (int i = 0; number > 3 && i < 20; ++i) std::this_thread::yield();
    return number != 3;
  }));
  EXPECT_LT(begun.load(), 100'000U);
  // And is whole afterwards.
  EXPECT_TRUE(team.Run(10, [](std::size_t) { return true; }));
}

TEST(CopyTeam, ManyMayComeAndGo) {
  for (int i = 0; i < 200; ++i) {
    CopyTeam team;
    EXPECT_TRUE(team.Run(4, [](std::size_t) { return true; }));
  }
}

}  // namespace
}  // namespace cairn::dram::shm
