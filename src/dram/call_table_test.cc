#include "src/dram/call_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::dram {
namespace {

Call CallDueAt(std::int64_t ns) {
  Call call;
  call.deadline = MonotonicTime{ns};
  return call;
}

TEST(CallTableTest, TakesEachCallOnce) {
  CallTable table;
  table.Add(1, CallDueAt(10));
  table.Add(2, Call{});
  ASSERT_NE(table.Find(1), nullptr);
  EXPECT_TRUE(table.Take(1).has_value());
  EXPECT_FALSE(table.Take(1).has_value());
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_EQ(table.NextDeadline(), MonotonicTime::Max());
  EXPECT_EQ(table.TakeAll().size(), 1u);
  EXPECT_EQ(table.size(), 0u);
}

TEST(CallTableTest, ExpiresInOrderOfDeadlines) {
  CallTable table;
  table.Add(1, CallDueAt(30));
  table.Add(2, CallDueAt(10));
  table.Add(3, CallDueAt(10));
  table.Add(4, Call{});
  EXPECT_EQ(table.NextDeadline(), MonotonicTime{10});
  EXPECT_TRUE(table.TakeExpired(MonotonicTime{9}).empty());
  const auto expired = table.TakeExpired(MonotonicTime{10});
  ASSERT_EQ(expired.size(), 2u);
  EXPECT_EQ(expired[0].first, 2u);
  EXPECT_EQ(expired[1].first, 3u);
  EXPECT_EQ(table.NextDeadline(), MonotonicTime{30});
  EXPECT_EQ(table.TakeExpired(MonotonicTime{1000}).size(), 1u);
  EXPECT_EQ(table.size(), 1u);
}

}  // namespace
}  // namespace cairn::dram
