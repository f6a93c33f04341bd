#include "src/dram/ucx/descriptor_budget.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace cairn::dram::ucx {
namespace {

constexpr std::size_t kEach = DescriptorBudget::kEach;
constexpr std::size_t kKept = DescriptorBudget::kKept;

TEST(FreeDescriptorsTest, AreTheLimitLessWhatIsOpen) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(before.rlim_cur, 200);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto free = FreeDescriptors();
  ASSERT_TRUE(free.has_value());
  std::vector<int> opened;
  for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) opened.push_back(fd);
  EXPECT_EQ(opened.size(), *free);
  EXPECT_EQ(FreeDescriptors(), 0u);
  for (const int fd : opened) ::close(fd);
  EXPECT_EQ(FreeDescriptors(), free);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(DescriptorBudgetTest, KeepsSomeForThoseInTheMakingAndTheRestOfTheProcess) {
  std::size_t free = kKept + 3 * kEach;
  DescriptorBudget budget([&free] { return free; });
  // Two are in the making, which leaves one.
  EXPECT_TRUE(budget.Take(2, {0}));
  EXPECT_FALSE(budget.Take(3, {0}));
  // The three have theirs; then one of them goes.
  free = kKept;
  EXPECT_FALSE(budget.Take(0, {1}));
  free = kKept + kEach;
  EXPECT_TRUE(budget.Take(0, {2}));
  EXPECT_FALSE(budget.Take(1, {3}));
}

TEST(DescriptorBudgetTest, ACountServesForAWhile) {
  int counts = 0;
  DescriptorBudget budget([&counts] {
    ++counts;
    return std::size_t{1'000'000};
  });
  for (std::size_t i = 0; i < 64; ++i) EXPECT_TRUE(budget.Take(i, {0}));
  EXPECT_EQ(counts, 1);
  EXPECT_TRUE(budget.Take(64, {0}));
  EXPECT_EQ(counts, 2);
  EXPECT_TRUE(budget.Take(65, {200'000'000}));
  EXPECT_EQ(counts, 3);
}

TEST(DescriptorBudgetTest, WhatNobodyCameForIsGivenBack) {
  DescriptorBudget budget([] { return kKept + kEach; });
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(budget.Take(0, {0}));
    budget.GiveBack();
  }
  EXPECT_TRUE(budget.Take(0, {0}));
  EXPECT_FALSE(budget.Take(1, {0}));
}

TEST(DescriptorBudgetTest, WhereNobodyCanCountEverybodyIsTaken) {
  DescriptorBudget budget([] { return std::optional<std::size_t>(); });
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_TRUE(budget.Take(i, {0}));
}

}  // namespace
}  // namespace cairn::dram::ucx
