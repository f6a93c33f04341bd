#include "src/base/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/clock.h"

namespace cairn {
namespace {

class ThreadExecutorTest : public testing::Test {
 protected:
  // Waits until everything posted so far has run.
  void Flush() {
    std::promise<void> done;
    executor_.Post([&] { done.set_value(); });
    done.get_future().wait();
  }

  SystemClock clock_;
  ThreadExecutor executor_{"executor-test", &clock_};
};

TEST_F(ThreadExecutorTest, RunsTasksInOrderOnItsThread) {
  std::vector<int> order;
  bool elsewhere = false;
  for (int i = 0; i < 1000; ++i) {
    executor_.Post([&, i] {
      order.push_back(i);
      elsewhere |= !executor_.OnThread();
    });
  }
  Flush();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_FALSE(elsewhere);
  EXPECT_FALSE(executor_.OnThread());
}

TEST_F(ThreadExecutorTest, EachThreadsTasksKeepTheirOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 2000;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) executor_.Post([&, t, i] { seen[t].push_back(i); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  Flush();
  for (const std::vector<int>& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<std::size_t>(kTasks));
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST_F(ThreadExecutorTest, TaskIsNeverRunInsidePost) {
  std::promise<bool> nested_ran_inside;
  executor_.Post([&] {
    auto ran = std::make_shared<bool>(false);
    executor_.Post([ran] { *ran = true; });
    nested_ran_inside.set_value(*ran);
  });
  EXPECT_FALSE(nested_ran_inside.get_future().get());
}

TEST_F(ThreadExecutorTest, TasksMayOwnWhatCannotBeCopied) {
  auto number = std::make_unique<int>(7);
  std::promise<int> got;
  executor_.Post([&got, number = std::move(number)] { got.set_value(*number); });
  EXPECT_EQ(got.get_future().get(), 7);
}

TEST_F(ThreadExecutorTest, TimersRunInOrderOfTimeAndNotBefore) {
  std::promise<void> done;
  std::vector<int> order;
  bool early = false;
  MonotonicTime start;
  const auto at = [&](std::int64_t ms) { return start + std::chrono::milliseconds(ms); };
  // From a task, so that none of them runs before all are posted.
  executor_.Post([&] {
    start = clock_.Now();
    executor_.PostAt(at(30), [&] {
      order.push_back(3);
      early |= clock_.Now() < at(30);
      done.set_value();
    });
    executor_.PostAt(at(10), [&] {
      order.push_back(1);
      early |= clock_.Now() < at(10);
    });
    executor_.PostAt(at(20), [&] { order.push_back(20); });
    executor_.PostAt(at(20), [&] { order.push_back(21); });  // the same time: in order of posting
  });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 20, 21, 3}));
  EXPECT_FALSE(early);
}

TEST_F(ThreadExecutorTest, TimerInThePastRunsSoon) {
  std::promise<void> done;
  executor_.PostAt(MonotonicTime{0}, [&] { done.set_value(); });
  done.get_future().wait();
}

TEST_F(ThreadExecutorTest, FarTimerDoesNotHoldUpTasks) {
  executor_.PostAt(clock_.Now() + std::chrono::hours(1), [] { FAIL(); });
  Flush();
}

TEST_F(ThreadExecutorTest, StopRunsWhatIsQueuedAndDropsTheRest) {
  int ran = 0;
  bool timer = false;
  executor_.PostAt(clock_.Now() + std::chrono::hours(1), [&] { timer = true; });
  for (int i = 0; i < 100; ++i) executor_.Post([&] { ++ran; });
  executor_.Stop();
  EXPECT_EQ(ran, 100);
  executor_.Post([&] { ++ran; });
  executor_.PostAt(MonotonicTime{0}, [&] { timer = true; });
  executor_.Stop();
  EXPECT_EQ(ran, 100);
  EXPECT_FALSE(timer);
}

// ---- Dispatch

// A thread that has got the executor lent, for a task that lasts until End().
class Lender {
 public:
  explicit Lender(ThreadExecutor* executor) : thread_([this, executor] { Lend(executor); }) {
    begun_.get_future().wait();
  }
  void End() {
    go_on_.set_value();
    thread_.join();
  }
  [[nodiscard]] std::thread::id id() const { return id_; }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  void Lend(ThreadExecutor* executor) {
    id_ = std::this_thread::get_id();
    bool inside = false;
    // Whether the executor's own thread sleeps yet is not to be seen from outside: it will.
    while (!inside) {
      std::promise<void> ran;
      executor->Dispatch([&] {
        if (std::this_thread::get_id() == id_) {
          inside = true;
          begun_.set_value();
          go_on_.get_future().wait();
          ended_ = true;
        }
        ran.set_value();
      });
      ran.get_future().wait();
    }
  }

  std::promise<void> begun_;
  std::promise<void> go_on_;
  std::atomic<bool> ended_{false};
  std::thread::id id_;
  std::thread thread_;  // last: it uses the others
};

TEST_F(ThreadExecutorTest, DispatchRunsInsideTheCallOnceTheThreadSleeps) {
  // Whether it sleeps yet is not to be seen from outside: it will.
  std::atomic<bool> inside{false};
  while (!inside) {
    executor_.Dispatch([&, caller = std::this_thread::get_id()] {
      if (std::this_thread::get_id() == caller) inside = true;
    });
  }
  EXPECT_FALSE(executor_.OnThread());
}

TEST_F(ThreadExecutorTest, DispatchWaitsItsTurnWhileATaskRuns) {
  std::promise<void> begun;
  std::promise<void> go_on;
  std::vector<int> order;
  executor_.Post([&] {
    begun.set_value();
    go_on.get_future().wait();
    order.push_back(1);
  });
  begun.get_future().wait();
  executor_.Dispatch([&] { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  go_on.set_value();
  Flush();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(ThreadExecutorTest, DispatchFromATaskOfTheSameExecutorIsAPost) {
  std::promise<bool> inside;
  executor_.Post([&] {
    const auto ran = std::make_shared<bool>(false);
    executor_.Dispatch([ran] { *ran = true; });
    inside.set_value(*ran);
  });
  EXPECT_FALSE(inside.get_future().get());
}

TEST_F(ThreadExecutorTest, WhatALentTaskLeavesBehindRuns) {
  std::atomic<bool> inside{false};
  std::promise<void> posted;
  std::promise<void> timer;
  while (!inside) {
    executor_.Dispatch([&, caller = std::this_thread::get_id()] {
      if (std::this_thread::get_id() != caller || inside) return;
      executor_.Post([&] { posted.set_value(); });
      executor_.PostAt(clock_.Now() + std::chrono::milliseconds(5), [&] { timer.set_value(); });
      inside = true;
    });
  }
  posted.get_future().wait();
  timer.get_future().wait();
}

TEST_F(ThreadExecutorTest, WhoRunsADispatchedTaskRunsAFewOfOthers) {
  constexpr int kOthers = 20;
  Lender lender(&executor_);
  std::vector<std::thread::id> ran_on;
  for (int i = 0; i < kOthers; ++i) {
    executor_.Dispatch([&] { ran_on.push_back(std::this_thread::get_id()); });
  }
  EXPECT_TRUE(ran_on.empty());
  lender.End();
  Flush();
  ASSERT_EQ(ran_on.size(), std::size_t{kOthers});
  // The first ones, some of them, and no more.
  const auto by_lender = std::count(ran_on.begin(), ran_on.end(), lender.id());
  EXPECT_GT(by_lender, 0);
  EXPECT_LT(by_lender, kOthers);
  EXPECT_TRUE(std::all_of(ran_on.begin(), ran_on.begin() + by_lender,
                          [&](std::thread::id id) { return id == lender.id(); }));
}
TEST_F(ThreadExecutorTest, WhatWasPostedWaitsForTheThread) {
  Lender lender(&executor_);
  std::vector<bool> on_thread;
  executor_.Post([&] { on_thread.push_back(executor_.OnThread()); });
  executor_.Dispatch([&] { on_thread.push_back(executor_.OnThread()); });
  lender.End();
  Flush();
  EXPECT_EQ(on_thread, (std::vector<bool>{true, true}));
}
TEST_F(ThreadExecutorTest, TasksOfAllKindsExcludeEachOther) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 3000;
  int count = 0;  // no lock: that is the point
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        auto task = [&, t, i] {
          ++count;
          seen[t].push_back(i);
        };
        if (i % 3 == 0) {
          executor_.Post(task);
        } else {
          executor_.Dispatch(task);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Flush();
  EXPECT_EQ(count, kThreads * kTasks);
  for (const std::vector<int>& of_thread : seen) {
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST_F(ThreadExecutorTest, StopWaitsForALentTask) {
  Lender lender(&executor_);
  std::thread stopper([&] {
    executor_.Stop();
    EXPECT_TRUE(lender.ended());
  });
  std::atomic<bool> beside{false};
  executor_.Post([&] { beside = !lender.ended(); });  // While it is lent, or after Stop.
  lender.End();
  stopper.join();
  EXPECT_FALSE(beside);
}

}  // namespace
}  // namespace cairn
