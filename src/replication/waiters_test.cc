#include "src/replication/waiters.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/testing/virtual_time.h"
#include "src/replication/batch_pacer.h"

namespace cairn::replication {
namespace {

using std::chrono::microseconds;

// What a waiter was answered; counts answers, for there must be exactly one.
struct Answer {
  int count = 0;
  std::optional<Status> status;
  WriteCallback Write() {
    return [this](const Result<kv::WriteResult>& result) {
      ++count;
      status = result.status();
    };
  }
  StatusCallback Plain() {
    return [this](Status result) {
      ++count;
      status = std::move(result);
    };
  }
};

TEST(Waiters, AWriteIsAnsweredOnce) {
  Waiters waiters;
  Answer a;
  const Waiters::Id id = waiters.AddWrite({100}, 1, {10, 1000}, a.Write());
  EXPECT_TRUE(waiters.EnterLog(id));
  waiters.AnswerWrite(id, kv::WriteResult{});
  waiters.AnswerWrite(id, UnavailableError("again"));
  EXPECT_FALSE(waiters.Expire({200}));
  waiters.Close(UnavailableError("closed"));
  EXPECT_EQ(a.count, 1);
  EXPECT_TRUE(a.status->ok());
}

TEST(Waiters, ACallerGetsOneTaskWhileItWaits) {
  Waiters waiters;
  VirtualTime time;
  VirtualExecutor caller(&time);
  int ran = 0;
  const auto post = [&](Waiters::Id id) {
    Task task = [&ran] { ++ran; };
    const bool posted = waiters.PostToCaller(id, task);
    EXPECT_EQ(posted, task == nullptr);
    return posted;
  };
  Answer a;
  Answer b;
  Answer c;
  const Waiters::Id alone = waiters.AddWrite({100}, 1, {10, 1000}, a.Write());
  const Waiters::Id late = waiters.AddWrite({50}, 1, {10, 1000}, b.Write(), &caller);
  const Waiters::Id waits = waiters.AddWrite({100}, 1, {10, 1000}, c.Write(), &caller);
  EXPECT_FALSE(post(alone));
  EXPECT_TRUE(waiters.EnterLog(late));
  EXPECT_TRUE(waiters.Expire({60}));
  EXPECT_FALSE(post(late));  // It was answered: its caller may be gone.
  EXPECT_TRUE(post(waits));
  EXPECT_FALSE(post(waits));
  time.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(ran, 1);
  waiters.Close(UnavailableError("closed"));
}

TEST(Waiters, TheLimitLeavesTheCallbackAlone) {
  Waiters waiters;
  Answer a;
  Answer b;
  EXPECT_NE(waiters.AddWrite({100}, 1, {1, 1000}, a.Write()), 0u);
  WriteCallback second = b.Write();
  EXPECT_EQ(waiters.AddWrite({100}, 1, {1, 1000}, std::move(second)), 0u);
  // NOLINTNEXTLINE(bugprone-use-after-move): it takes the callback only if there is room.
  second(UnavailableError("still there"));
  EXPECT_EQ(b.count, 1);
  waiters.Close(UnavailableError("closed"));
}

TEST(Waiters, DeadlinesTellWhetherTheWriteMayBeApplied) {
  Waiters waiters;
  Answer queued;
  Answer in_log;
  Answer later;
  const Waiters::Id a = waiters.AddWrite({100}, 1, {10, 1000}, queued.Write());
  const Waiters::Id b = waiters.AddWrite({100}, 1, {10, 1000}, in_log.Write());
  waiters.AddWrite({101}, 1, {10, 1000}, later.Write());
  EXPECT_TRUE(waiters.EnterLog(b));
  EXPECT_TRUE(waiters.Expire({100}, ": the disk is full"));
  EXPECT_EQ(queued.status->code(), StatusCode::kTimeout);
  EXPECT_EQ(queued.status->message(),
            "the deadline passed before the request was started: the disk is full");
  EXPECT_FALSE(queued.status->maybe_applied());
  EXPECT_TRUE(in_log.status->maybe_applied());
  EXPECT_EQ(later.count, 0);
  EXPECT_FALSE(waiters.EnterLog(a)) << "what was answered must not be proposed";
  waiters.Close(UnavailableError("closed"));
  EXPECT_EQ(later.status->code(), StatusCode::kUnavailable);
}

TEST(Waiters, AWriteThatWasGivenUpKeepsItsPlaceUntilItsFateIsKnown) {
  Waiters waiters;
  Answer in_log;
  Answer queued;
  Answer more;
  const Waiters::Id a = waiters.AddWrite({100}, 1, {2, 1000}, in_log.Write());
  const Waiters::Id b = waiters.AddWrite({100}, 1, {2, 1000}, queued.Write());
  EXPECT_TRUE(waiters.EnterLog(a));
  EXPECT_FALSE(waiters.Expire({100}));
  EXPECT_EQ(in_log.count + queued.count, 2);
  EXPECT_EQ(waiters.outstanding_writes(), 0u);
  EXPECT_TRUE(waiters.empty());
  // Both still lie in memory somewhere.
  EXPECT_EQ(waiters.AddWrite({200}, 1, {2, 1000}, more.Write()), 0u);
  EXPECT_FALSE(waiters.EnterLog(b));
  EXPECT_NE(waiters.AddWrite({200}, 1, {2, 1000}, more.Write()), 0u);
  EXPECT_EQ(waiters.AddWrite({200}, 1, {2, 1000}, more.Write()), 0u);
  std::vector<ApplyOutcome> outcomes(1);
  waiters.AnswerWrites({a}, outcomes);
  EXPECT_NE(waiters.AddWrite({200}, 1, {2, 1000}, more.Write()), 0u);
  waiters.Close(UnavailableError("closed"));
  EXPECT_EQ(in_log.count + queued.count, 2);
  EXPECT_EQ(more.count, 2);
}

TEST(Waiters, ReadsWaitForSlotsAndVersions) {
  Waiters waiters;
  Answer barrier;
  Answer version;
  Answer ready;
  const Waiters::Id id = waiters.AddBarrier({100}, barrier.Plain());
  waiters.BindToSlot(id, Slot(5));
  waiters.AddVersion(Version(7), {100}, version.Plain());
  waiters.Applied(Slot(4), Version(6));
  EXPECT_EQ(barrier.count + version.count, 0);
  waiters.Applied(Slot(5), Version(6));
  EXPECT_EQ(barrier.count, 1);
  EXPECT_EQ(version.count, 0);
  waiters.Applied(Slot(6), Version(9));
  EXPECT_EQ(version.count, 1);
  waiters.AddVersion(Version(9), {100}, ready.Plain());
  EXPECT_EQ(ready.count, 1);
  EXPECT_TRUE(waiters.empty());
  waiters.Close(UnavailableError("closed"));
  Answer late;
  waiters.AddVersion(Version(1), {100}, late.Plain());
  EXPECT_EQ(late.status->code(), StatusCode::kUnavailable);
}

// ---- BatchPacer

TEST(BatchPacer, OneClientIsNeverHeld) {
  BatchPacer pacer(100, microseconds(1000));
  for (std::int64_t t = 0; t < 1000; ++t) {
    EXPECT_FALSE(pacer.Hold(1, 1, {t}, {t}).has_value());
    pacer.Sent(1, 1, {t});
  }
}

TEST(BatchPacer, ManyClientsAreGatheredButNotForLong) {
  BatchPacer pacer(100, microseconds(1000));
  EXPECT_FALSE(pacer.Hold(64, 64, {0}, {0}).has_value());
  pacer.Sent(64, 64, {0});
  const auto until = pacer.Hold(3, 64, {10}, {20});
  ASSERT_TRUE(until.has_value());
  EXPECT_EQ(*until, MonotonicTime{10} + microseconds(1000));
  EXPECT_FALSE(pacer.Hold(32, 64, {10}, {20}).has_value());
  EXPECT_FALSE(pacer.Hold(3, 64, {10}, *until).has_value());
  // When they have left, the one that stays is soon not held any more.
  for (int i = 0; i < 100; ++i) pacer.Sent(1, 1, {i});
  EXPECT_FALSE(pacer.Hold(1, 1, {10}, {20}).has_value());
}

TEST(BatchPacer, WhereWritesTakeLongTheirBatchesWaitLonger) {
  BatchPacer pacer(100, microseconds(1000));
  // Batches of 4 every 2 ms, 64 outstanding: a write takes 32 ms.
  MonotonicTime now{0};
  for (int i = 0; i < 100; ++i) {
    pacer.Hold(4, 64, now, now);
    pacer.Sent(4, 64, now);
    now = now + microseconds(2000);
  }
  const auto until = pacer.Hold(4, 64, now, now);
  ASSERT_TRUE(until.has_value());
  EXPECT_NEAR(static_cast<double>((*until - now).count()), 8e6, 1e5);
  EXPECT_FALSE(pacer.Hold(32, 64, now, now).has_value());
  // However slow it is, the wait has a bound; and none of it where waiting is off.
  BatchPacer slow(100, microseconds(1000));
  BatchPacer off(100, Duration::zero());
  for (BatchPacer* p : {&slow, &off}) {
    MonotonicTime at{0};
    for (int i = 0; i < 100; ++i) {
      p->Hold(1, 64, at, at);
      p->Sent(1, 64, at);
      at = at + std::chrono::seconds(10);
    }
  }
  EXPECT_EQ(slow.Hold(4, 64, now, now), now + std::chrono::milliseconds(20));
  EXPECT_FALSE(off.Hold(4, 64, now, now).has_value());
}

}  // namespace
}  // namespace cairn::replication
