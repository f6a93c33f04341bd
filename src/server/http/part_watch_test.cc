#include "src/server/http/part_watch.h"

#include <gtest/gtest.h>

#include <deque>
#include <utility>

namespace cairn::server {
namespace {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return now; }
  [[nodiscard]] WallTime Wall() const override { return {}; }
  MonotonicTime now{1000};
};

// Runs what was posted when it is told to.
class ManualExecutor final : public SerialExecutor {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  void PostAt(MonotonicTime /*when*/, Task task) override { Post(std::move(task)); }
  void Run() {
    for (; !tasks_.empty(); tasks_.pop_front()) std::move(tasks_.front())();
  }
  [[nodiscard]] std::size_t waiting() const { return tasks_.size(); }

 private:
  std::deque<Task> tasks_;
};

TEST(PartWatch, TellsHowLongANoteWaits) {
  ManualClock clock;
  ManualExecutor well;
  ManualExecutor hung;
  PartWatch watch(&clock);
  watch.Add("well", &well, true);
  watch.Add("hung", &hung, false);
  auto sights = watch.Look();
  ASSERT_EQ(2u, sights.size());
  EXPECT_EQ("well", sights[0].name);
  EXPECT_TRUE(sights[0].vital);
  EXPECT_FALSE(sights[1].vital);
  EXPECT_FALSE(sights[0].answered.has_value());
  EXPECT_EQ(0, sights[0].waiting.count());

  clock.now.ns += 7;
  well.Run();
  clock.now.ns += 3;
  sights = watch.Look();
  EXPECT_EQ(Duration(7), sights[0].answered);
  EXPECT_EQ(0, sights[0].waiting.count()) << "a new note was posted";
  EXPECT_FALSE(sights[1].answered.has_value());
  EXPECT_EQ(Duration(10), sights[1].waiting);
  EXPECT_EQ(1u, hung.waiting()) << "one note at a time";

  clock.now.ns += 100;
  hung.Run();
  sights = watch.Look();
  EXPECT_EQ(Duration(110), sights[1].answered);
  EXPECT_EQ(Duration(100), sights[0].waiting);
}

TEST(PartWatch, NotesMayOutliveIt) {
  ManualClock clock;
  ManualExecutor executor;
  {
    PartWatch watch(&clock);
    watch.Add("part", &executor, true);
    EXPECT_EQ(1u, watch.Look().size());
  }
  executor.Run();
}

}  // namespace
}  // namespace cairn::server
