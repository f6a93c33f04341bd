// Column families: making, dropping, reconciling.
#include <gtest/gtest.h>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

Status PutOne(Engine& engine, FamilyId family, const std::string& value, std::uint64_t n) {
  WriteBatch batch;
  batch.Put(family, "k", value, Version(n));
  return engine.Write(batch, MakeMeta(n, n));
}

void FamiliesAreApart(EngineHarness& h) {
  // Small and large ids: engines may find them by different ways.
  const std::vector<FamilyId> families = {FamilyId(1), FamilyId(2), FamilyId(4095), FamilyId(4096),
                                          FamilyId(100000)};
  std::uint64_t n = 2;
  for (const FamilyId family : families) {
    EXPECT_EQ(PutOne(h.engine(), family, "early", n).code(), StatusCode::kNotFound);
    ASSERT_EQ(h.engine().CreateFamily(family), Status::Ok());
    ASSERT_EQ(h.engine().CreateFamily(family), Status::Ok());  // fine if it exists
    ASSERT_EQ(PutOne(h.engine(), family, ToString(family), n++), Status::Ok());
  }
  for (const FamilyId family : families) {
    EXPECT_EQ(Forward(h.engine(), family, {}, Version::Max()),
              (KeyValues{{"k", ToString(family)}}));
  }
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version::Max()), "(none)");
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  for (const FamilyId family : families) {
    EXPECT_EQ(ValueAt(h.engine(), family, "k", Version::Max()), ToString(family));
  }
}

void TheDefaultFamilyStays(EngineHarness& h) {
  EXPECT_EQ(h.engine().CreateFamily(kDefault), Status::Ok());
  EXPECT_EQ(h.engine().DropFamily(kDefault).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(PutOne(h.engine(), kDefault, "here", 2), Status::Ok());
  ASSERT_EQ(h.engine().ReconcileFamilies({}), Status::Ok());
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version::Max()), "here");
}

void ADroppedFamilyIsGoneAtOnce(EngineHarness& h) {
  const FamilyId family(3);
  EXPECT_EQ(h.engine().DropFamily(family), Status::Ok());  // fine if it does not exist
  ASSERT_EQ(h.engine().CreateFamily(family), Status::Ok());
  ASSERT_EQ(PutOne(h.engine(), family, "v", 2), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(3, 3)), Status::Ok());
  ASSERT_EQ(h.engine().DropFamily(family), Status::Ok());
  EXPECT_EQ(h.engine().Get(family, "k", Version(3), nullptr).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(PutOne(h.engine(), family, "v", 4).code(), StatusCode::kNotFound);
  EXPECT_EQ(h.engine().DropFamily(family), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  ASSERT_EQ(h.engine().ReconcileFamilies({}), Status::Ok());
  EXPECT_EQ(h.engine().NewIterator(family, {}, Version(3)).status().code(), StatusCode::kNotFound);
}

// A crash before the flush that covers the drop brings the family back, with its flushed data: the
// replay needs it up to the drop.
void ACrashBringsBackADropThatWasNotFlushed(EngineHarness& h) {
  const FamilyId family(1);
  ASSERT_EQ(h.engine().CreateFamily(family), Status::Ok());
  ASSERT_EQ(PutOne(h.engine(), family, "flushed", 2), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  ASSERT_EQ(PutOne(h.engine(), family, "lost", 3), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 4)), Status::Ok());
  ASSERT_EQ(h.engine().DropFamily(family), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(5, 5)), Status::Ok());
  h.Crash();
  ASSERT_EQ(h.engine().Meta(), MakeMeta(2, 2));
  ASSERT_EQ(h.engine().ReconcileFamilies({family}), Status::Ok());
  EXPECT_EQ(ValueAt(h.engine(), family, "k", Version::Max()), "flushed");
  // The replay.
  ASSERT_EQ(PutOne(h.engine(), family, "lost", 3), Status::Ok());
  EXPECT_EQ(ValueAt(h.engine(), family, "k", Version::Max()), "lost");
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 4)), Status::Ok());
  ASSERT_EQ(h.engine().DropFamily(family), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(5, 5)), Status::Ok());
  h.Crash();
  ASSERT_EQ(h.engine().Meta(), MakeMeta(4, 4));
  ASSERT_EQ(h.engine().ReconcileFamilies({}), Status::Ok());
  EXPECT_EQ(h.engine().Get(family, "k", Version(5), nullptr).status().code(),
            StatusCode::kNotFound);
}

void IteratorsOutliveTheDropOfTheirFamily(EngineHarness& h) {
  const FamilyId family(1);
  ASSERT_EQ(h.engine().CreateFamily(family), Status::Ok());
  WriteBatch batch;
  for (int i = 0; i < 100; ++i) {
    batch.Put(family, std::to_string(1000 + i), std::string(1000, 'x'), Version(2));
  }
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(2, 2)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  auto made = h.engine().NewIterator(family, {}, Version(2));
  auto history = h.engine().NewHistoryIterator(family, {});
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(history.ok());
  ReadIterator& it = **made;
  it.SeekGreaterOrEqual("1050");
  ASSERT_EQ(h.engine().Write({}, MakeMeta(3, 3)), Status::Ok());
  ASSERT_EQ(h.engine().DropFamily(family), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 4)), Status::Ok());
  int seen = 0;
  for (; it.Valid(); it.Next()) ++seen;
  EXPECT_EQ(seen, 50);
  EXPECT_EQ(it.status(), Status::Ok());
  it.SeekLess("1001");
  ASSERT_TRUE(it.Valid());
  EXPECT_EQ(it.key(), "1000");
  seen = 0;
  for (; (*history)->Valid(); (*history)->Next()) ++seen;
  EXPECT_EQ(seen, 100);
}

void ReconcileMakesAndRemoves(EngineHarness& h) {
  for (const std::uint32_t id : {1, 2, 3}) {
    ASSERT_EQ(h.engine().CreateFamily(FamilyId(id)), Status::Ok());
    ASSERT_EQ(PutOne(h.engine(), FamilyId(id), std::to_string(id), 1 + id), Status::Ok());
  }
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  ASSERT_EQ(h.engine().ReconcileFamilies({FamilyId(2), FamilyId(7)}), Status::Ok());
  EXPECT_EQ(ValueAt(h.engine(), FamilyId(2), "k", Version::Max()), "2");
  EXPECT_EQ(ValueAt(h.engine(), FamilyId(7), "k", Version::Max()), "(none)");
  for (const std::uint32_t id : {1, 3}) {
    EXPECT_EQ(h.engine().Get(FamilyId(id), "k", Version(9), nullptr).status().code(),
              StatusCode::kNotFound);
  }
  // For good: also after the next crash.
  h.Crash();
  ASSERT_EQ(h.engine().ReconcileFamilies({FamilyId(1), FamilyId(2)}), Status::Ok());
  EXPECT_EQ(ValueAt(h.engine(), FamilyId(1), "k", Version::Max()), "(none)");
  EXPECT_EQ(ValueAt(h.engine(), FamilyId(2), "k", Version::Max()), "2");
}

}  // namespace

std::vector<ConformanceTest> FamilyTests() {
  return {
      {"FamiliesAreApart", FamiliesAreApart},
      {"TheDefaultFamilyStays", TheDefaultFamilyStays},
      {"ADroppedFamilyIsGoneAtOnce", ADroppedFamilyIsGoneAtOnce},
      {"ACrashBringsBackADropThatWasNotFlushed", ACrashBringsBackADropThatWasNotFlushed},
      {"IteratorsOutliveTheDropOfTheirFamily", IteratorsOutliveTheDropOfTheirFamily},
      {"ReconcileMakesAndRemoves", ReconcileMakesAndRemoves},
  };
}

}  // namespace cairn::storage
