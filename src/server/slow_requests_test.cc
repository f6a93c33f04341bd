#include "src/server/slow_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace cairn::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

SlowRequest Request(MonotonicTime ended, Duration took) {
  SlowRequest request;
  request.ended = ended;
  request.took = took;
  return request;
}

std::vector<std::int64_t> Milliseconds(const std::vector<SlowRequest>& requests) {
  std::vector<std::int64_t> found;
  for (const SlowRequest& request : requests) {
    found.push_back(std::chrono::duration_cast<milliseconds>(request.took).count());
  }
  return found;
}

TEST(SlowRequests, TheSlowestComeFirstAndWhatIsQuickIsNotKept) {
  SlowRequests slow;
  const MonotonicTime now{1};
  slow.Record(Request(now, milliseconds(3)));
  slow.Record(Request(now, SlowRequests::kFloor - Duration(1)));
  slow.Record(Request(now, milliseconds(7)));
  slow.Record(Request(now, SlowRequests::kFloor));
  EXPECT_THAT(Milliseconds(slow.List(now)), ElementsAre(7, 3, 1));
}

TEST(SlowRequests, OfAPeriodTheSlowestStay) {
  SlowRequests slow;
  const MonotonicTime now{1};
  // Every length once, in an order that is neither up nor down.
  for (int i = 0; i < 1000; ++i) slow.Record(Request(now, milliseconds(1 + (i * 7) % 1000)));
  std::vector<std::int64_t> slowest;
  for (std::size_t i = 0; i < SlowRequests::kEach; ++i) {
    slowest.push_back(1000 - static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(slowest, Milliseconds(slow.List(now)));
}

TEST(SlowRequests, ANewPeriodTakesQuickerOnesAndKeepsTheOld) {
  SlowRequests slow;
  const MonotonicTime begin{1};
  for (std::size_t i = 0; i < 2 * SlowRequests::kEach; ++i) {
    slow.Record(Request(begin, seconds(1)));
  }
  slow.Record(Request(begin + seconds(1), milliseconds(2)));
  EXPECT_EQ(SlowRequests::kEach, slow.List(begin + seconds(1)).size());
  const MonotonicTime next = begin + SlowRequests::kPeriod;
  slow.Record(Request(next, milliseconds(2)));
  const auto found = slow.List(next);
  ASSERT_EQ(SlowRequests::kEach + 1, found.size());
  EXPECT_EQ(milliseconds(2), found.back().took);
}

TEST(SlowRequests, TheOldAreForgottenAndMemoryIsBounded) {
  SlowRequests slow;
  MonotonicTime now{1};
  slow.Record(Request(now, seconds(9)));
  EXPECT_THAT(slow.List(now + SlowRequests::kPeriods * SlowRequests::kPeriod), IsEmpty());
  for (std::size_t minute = 0; minute < 5 * SlowRequests::kPeriods; ++minute) {
    for (std::size_t i = 0; i < 3 * SlowRequests::kEach; ++i) {
      slow.Record(Request(now, seconds(1)));
    }
    EXPECT_LE(slow.List(now).size(), SlowRequests::kEach * SlowRequests::kPeriods);
    now = now + minutes(1);
  }
}

TEST(SlowRequests, ManyThreadsRecord) {
  SlowRequests slow;
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&slow, n] {
      for (int i = 1; i <= 2000; ++i) {
        slow.Record(Request(MonotonicTime{i}, milliseconds(4 * i + n)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::int64_t> slowest;
  for (std::size_t i = 0; i < SlowRequests::kEach; ++i) {
    slowest.push_back(8003 - static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(slowest, Milliseconds(slow.List(MonotonicTime{2000})));
}

TEST(RequestShape, IsALengthAndNoKey) {
  EXPECT_EQ((RequestShape{5, 0}), ShapeOf(kv::Get{"apple", ""}));
  EXPECT_EQ((RequestShape{5, 0}), ShapeOf(kv::Set{"apple", "red", ""}));
  EXPECT_EQ((RequestShape{12, 0}),
            ShapeOf(kv::SetVersionstampedKey{"ab" + std::string(10, '\0'), "v", ""}));
  EXPECT_EQ(RequestShape(), ShapeOf(kv::OpenSession{}));
  kv::GetRange range;
  range.range.begin.key = "fruit/a";
  EXPECT_EQ(RequestShape(), ShapeOf(range));
  range.range.end = kv::KeySelector::FirstGreaterOrEqual("fruit/z");
  EXPECT_EQ((RequestShape{6, 0}), ShapeOf(range));
  kv::AtomicCommit commit;
  EXPECT_EQ(RequestShape(), ShapeOf(commit));
  commit.operations = {{kv::MutationType::kSet, "abc", "v", ""},
                       {kv::MutationType::kDelete, "d", "", ""}};
  EXPECT_EQ((RequestShape{3, 2}), ShapeOf(commit));
}

}  // namespace
}  // namespace cairn::server
