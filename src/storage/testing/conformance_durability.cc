// Flushes, crashes and full disks.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

Status PutOne(Engine& engine, const std::string& key, const std::string& value, std::uint64_t n) {
  WriteBatch batch;
  batch.Put(kDefault, key, value, Version(n));
  batch.SystemPut(SystemSpace::kState, "last", key);
  return engine.Write(batch, MakeMeta(n, n));
}

void WritesAreDurableOnlyOnceFlushed(EngineHarness& h) {
  ASSERT_EQ(PutOne(h.engine(), "a", "1", 2), Status::Ok());
  EXPECT_EQ(*h.engine().FlushedMeta(), StateMeta());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(2, 2));
  ASSERT_EQ(PutOne(h.engine(), "a", "2", 3), Status::Ok());
  ASSERT_EQ(PutOne(h.engine(), "b", "2", 4), Status::Ok());
  EXPECT_EQ(h.engine().Meta(), MakeMeta(4, 4));
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(2, 2));

  h.Crash();
  EXPECT_EQ(h.engine().Meta(), MakeMeta(2, 2));
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(2, 2));
  EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version::Max()), (KeyValues{{"a", "1"}}));
  EXPECT_EQ(History(h.engine(), kDefault), (std::vector<HistoryEntry>{{"a", Version(2), false}}));
  EXPECT_EQ(*h.engine().GetSystem(SystemSpace::kState, "last"), "a");

  // The replay of what was lost.
  ASSERT_EQ(PutOne(h.engine(), "a", "2", 3), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  EXPECT_EQ(h.engine().Meta(), MakeMeta(3, 3));
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "a", Version(2)), "1");
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "a", Version(3)), "2");
}

// Overwrites, deletes and ranges that were not flushed are all taken back.
void ACrashTakesBackEveryKindOfChange(EngineHarness& h) {
  WriteBatch first;
  first.Put(kDefault, "a", "a2", Version(2));
  first.Put(kDefault, "b", "b2", Version(2));
  for (const char* key : {"p", "q", "r"}) first.SystemPut(SystemSpace::kVersionIndex, key, "2");
  ASSERT_EQ(h.engine().Write(first, MakeMeta(2, 2)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  WriteBatch second;
  second.Delete(kDefault, "a", Version(3));
  second.Put(kDefault, "b", "b3", Version(3));
  second.Put(kDefault, "b", "b3 again", Version(3));
  second.Delete(kDefault, "c", Version(3));
  second.SystemDelete(SystemSpace::kVersionIndex, "p");
  second.SystemPut(SystemSpace::kVersionIndex, "q", "3");
  second.SystemPut(SystemSpace::kVersionIndex, "s", "3");
  second.SystemDeleteRange(SystemSpace::kVersionIndex, "q", "z");
  second.SystemPut(SystemSpace::kVersionIndex, "t", "3");
  ASSERT_EQ(h.engine().Write(second, MakeMeta(3, 3)), Status::Ok());
  EXPECT_EQ(System(h.engine(), SystemSpace::kVersionIndex), (KeyValues{{"t", "3"}}));
  h.Crash();
  EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version::Max()),
            (KeyValues{{"a", "a2"}, {"b", "b2"}}));
  EXPECT_EQ(History(h.engine(), kDefault),
            (std::vector<HistoryEntry>{{"a", Version(2), false}, {"b", Version(2), false}}));
  EXPECT_EQ(System(h.engine(), SystemSpace::kVersionIndex),
            (KeyValues{{"p", "2"}, {"q", "2"}, {"r", "2"}}));
}

void AllFamiliesAreFlushedTogether(EngineHarness& h) {
  ASSERT_EQ(h.engine().CreateFamily(FamilyId(1)), Status::Ok());
  ASSERT_EQ(h.engine().CreateFamily(FamilyId(2)), Status::Ok());
  for (std::uint64_t n = 2; n < 40; ++n) {
    WriteBatch batch;
    batch.Put(FamilyId(n % 3), "k", std::to_string(n), Version(n));
    ASSERT_EQ(h.engine().Write(batch, MakeMeta(n, n)), Status::Ok());
    if (n % 7 == 0) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
  }
  h.Crash();
  ASSERT_EQ(h.engine().Meta(), MakeMeta(35, 35));
  ASSERT_EQ(h.engine().ReconcileFamilies({FamilyId(1), FamilyId(2)}), Status::Ok());
  for (const std::uint64_t n : {33, 34, 35}) {
    EXPECT_EQ(ValueAt(h.engine(), FamilyId(n % 3), "k", Version::Max()), std::to_string(n));
  }
}

void FlushTellsItsListener(EngineHarness& h) {
  std::atomic<int> calls{0};
  Engine& engine = h.engine();
  std::atomic<std::uint64_t> seen{0};
  engine.SetFlushListener([&] {
    ++calls;
    const auto meta = engine.FlushedMeta();
    if (meta.ok()) seen = meta->applied_slot.value();
  });
  ASSERT_EQ(PutOne(engine, "a", "1", 2), Status::Ok());
  ASSERT_EQ(engine.Flush(), Status::Ok());
  // The call may be on its way still when Flush returns.
  while (calls == 0 || seen != 2) std::this_thread::yield();
  ASSERT_EQ(PutOne(engine, "a", "2", 3), Status::Ok());
  ASSERT_EQ(engine.Flush(), Status::Ok());
  while (calls < 2 || seen != 3) std::this_thread::yield();
  engine.SetFlushListener(nullptr);
}

// Flush may be called beside Write: what was written before the call is durable after it.
void FlushesRunBesideWrites(EngineHarness& h) {
  Engine& engine = h.engine();
  std::atomic<std::uint64_t> written{1};
  std::atomic<bool> stop{false};
  std::atomic<int> flushes{0};
  std::thread flusher([&] {
    while (!stop) {
      const std::uint64_t before = written;
      EXPECT_EQ(engine.Flush(), Status::Ok());
      const auto flushed = engine.FlushedMeta();
      EXPECT_TRUE(flushed.ok() && flushed->version.value() >= before);
      if (before > 1) ++flushes;
    }
  });
  for (std::uint64_t n = 2; n < 800 || flushes < 5; ++n) {
    EXPECT_EQ(PutOne(engine, "k" + std::to_string(n), "v", n), Status::Ok());
    written = n;
  }
  stop = true;
  flusher.join();
  const auto flushed = engine.FlushedMeta();
  ASSERT_TRUE(flushed.ok());
  h.Crash();
  // Exactly the batches up to the meta.
  EXPECT_EQ(h.engine().Meta(), *flushed);
  const auto found = Forward(h.engine(), kDefault, {}, Version::Max());
  EXPECT_EQ(found.size() + 1, flushed->version.value());
  EXPECT_EQ(*h.engine().GetSystem(SystemSpace::kState, "last"),
            "k" + std::to_string(flushed->version.value()));
}

void AFullDiskRefusesWritesUntilThereIsRoom(EngineHarness& h) {
  const std::string value(10000, 'v');
  std::uint64_t n = 2;
  for (; n < 20; ++n)
    ASSERT_EQ(PutOne(h.engine(), "k" + std::to_string(n), value, n), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  if (!h.SetDiskFull(true)) GTEST_SKIP() << "this engine can't fill its disk";
  const std::uint64_t flushed = n - 1;

  // Sooner or later the engine notices; a batch that it refuses leaves no trace.
  Status status;
  for (; status.ok(); ++n) {
    ASSERT_LT(n, 10000U);
    status = PutOne(h.engine(), "k" + std::to_string(n), value, n);
    if (status.ok()) status = h.engine().Flush();
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_EQ(h.engine().Health().code(), StatusCode::kResourceExhausted);
  const StateMeta before = h.engine().Meta();
  EXPECT_EQ(PutOne(h.engine(), "refused", value, n).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(h.engine().Meta(), before);
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "refused", Version::Max()), "(none)");
  EXPECT_EQ(h.engine().Resume().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(h.engine().Flush().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k2", Version::Max()), value);
  EXPECT_GE(Forward(h.engine(), kDefault, {}, Version::Max()).size(), 18U);
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(flushed, flushed));

  ASSERT_TRUE(h.SetDiskFull(false));
  ASSERT_EQ(h.engine().Resume(), Status::Ok());
  EXPECT_EQ(h.engine().Health(), Status::Ok());
  EXPECT_EQ(h.engine().Resume(), Status::Ok());
  // More than once: what recovered must stay recovered.
  for (int round = 0; round < 3; ++round) {
    n += 1;
    ASSERT_EQ(PutOne(h.engine(), "after", std::to_string(n), n), Status::Ok());
    ASSERT_EQ(h.engine().Flush(), Status::Ok());
    EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(n, n));
  }
  h.Crash();
  EXPECT_EQ(h.engine().Meta(), MakeMeta(n, n));
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "after", Version::Max()), std::to_string(n));
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "refused", Version::Max()), "(none)");
}

void AFullDiskCanComeAgain(EngineHarness& h) {
  const std::string value(5000, 'v');
  std::uint64_t n = 2;
  for (int round = 0; round < 4; ++round) {
    ASSERT_EQ(PutOne(h.engine(), "k" + std::to_string(n), value, n), Status::Ok());
    ASSERT_EQ(h.engine().Flush(), Status::Ok());
    if (!h.SetDiskFull(true)) GTEST_SKIP() << "this engine can't fill its disk";
    Status status;
    while (status.ok()) {
      ++n;
      ASSERT_LT(n, 100000U);
      status = PutOne(h.engine(), "k" + std::to_string(n), value, n);
      if (status.ok()) status = h.engine().Flush();
    }
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
    ASSERT_TRUE(h.SetDiskFull(false));
    ASSERT_EQ(h.engine().Resume(), Status::Ok());
    ++n;
  }
  ASSERT_EQ(PutOne(h.engine(), "end", value, n), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  EXPECT_EQ(h.engine().Meta(), MakeMeta(n, n));
}

}  // namespace

std::vector<ConformanceTest> DurabilityTests() {
  return {
      {"WritesAreDurableOnlyOnceFlushed", WritesAreDurableOnlyOnceFlushed},
      {"ACrashTakesBackEveryKindOfChange", ACrashTakesBackEveryKindOfChange},
      {"AllFamiliesAreFlushedTogether", AllFamiliesAreFlushedTogether},
      {"FlushTellsItsListener", FlushTellsItsListener},
      {"FlushesRunBesideWrites", FlushesRunBesideWrites},
      {"AFullDiskRefusesWritesUntilThereIsRoom", AFullDiskRefusesWritesUntilThereIsRoom},
      {"AFullDiskCanComeAgain", AFullDiskCanComeAgain},
  };
}

}  // namespace cairn::storage
