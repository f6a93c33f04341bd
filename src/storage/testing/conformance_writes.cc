// Batches: order, atomicity, refusals.
#include <gtest/gtest.h>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

void ABatchIsVisibleWithItsMeta(EngineHarness& h) {
  WriteBatch batch;
  batch.Put(kDefault, "a", "1", Version(4));
  batch.Put(kDefault, "b", "2", Version(5));
  batch.SystemPut(SystemSpace::kState, "s", "3");
  StateMeta meta = MakeMeta(17, 5);
  meta.applied_epoch = Epoch(6);
  meta.features = 0x8000000000000001;
  meta.next_family = FamilyId(9);
  meta.membership = std::string("m\0m", 3);
  ASSERT_EQ(h.engine().Write(batch, meta), Status::Ok());
  EXPECT_EQ(h.engine().Meta(), meta);
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "a", Version(4)), "1");
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "b", Version(4)), "(none)");
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "b", Version(5)), "2");
  EXPECT_EQ(*h.engine().GetSystem(SystemSpace::kState, "s"), "3");
}

void AnEmptyBatchMovesTheMeta(EngineHarness& h) {
  ASSERT_EQ(h.engine().Write({}, MakeMeta(3, 2)), Status::Ok());
  EXPECT_EQ(h.engine().Meta(), MakeMeta(3, 2));
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(3, 2));
}

void TheLastChangeOfAKeyWins(EngineHarness& h) {
  WriteBatch batch;
  batch.Put(kDefault, "k", "first", Version(2));
  batch.Put(kDefault, "k", "second", Version(2));
  batch.Delete(kDefault, "d", Version(2));
  batch.Put(kDefault, "d", "back", Version(2));
  batch.SystemPut(SystemSpace::kState, "s", "first");
  batch.SystemDelete(SystemSpace::kState, "s");
  batch.SystemPut(SystemSpace::kState, "t", "first");
  batch.SystemDeleteRange(SystemSpace::kState, "a", "z");
  batch.SystemPut(SystemSpace::kState, "u", "after the range");
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 2)), Status::Ok());
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(2)), "second");
    EXPECT_EQ(ValueAt(h.engine(), kDefault, "d", Version(2)), "back");
    EXPECT_EQ(System(h.engine(), SystemSpace::kState), (KeyValues{{"u", "after the range"}}));
  }
}

void SystemRangesAreHalfOpen(EngineHarness& h) {
  for (const bool flushed : {false, true}) {
    WriteBatch fill;
    for (const char* key : {"a", "b", "bb", "c", "d"}) {
      fill.SystemPut(SystemSpace::kVersionIndex, key, key);
    }
    ASSERT_EQ(h.engine().Write(fill, MakeMeta(1, 1)), Status::Ok());
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    WriteBatch drop;
    drop.SystemDeleteRange(SystemSpace::kVersionIndex, "b", "c");
    drop.SystemDeleteRange(SystemSpace::kVersionIndex, "d", "d");
    drop.SystemDeleteRange(SystemSpace::kVersionIndex, "d", "a");
    drop.SystemDeleteRange(SystemSpace::kVersionIndex, "d", "");
    ASSERT_EQ(h.engine().Write(drop, MakeMeta(2, 1)), Status::Ok());
    EXPECT_EQ(System(h.engine(), SystemSpace::kVersionIndex),
              (KeyValues{{"a", "a"}, {"c", "c"}, {"d", "d"}}));
    EXPECT_FALSE(h.engine().GetSystem(SystemSpace::kVersionIndex, "bb").ok());
  }
}

void ARefusedBatchChangesNothing(EngineHarness& h) {
  ASSERT_EQ(h.engine().Write({}, MakeMeta(1, 1)), Status::Ok());
  WriteBatch batch;
  batch.Put(kDefault, "a", "1", Version(2));
  batch.SystemPut(SystemSpace::kState, "s", "1");
  batch.Put(FamilyId(77), "a", "1", Version(2));
  EXPECT_EQ(h.engine().Write(batch, MakeMeta(2, 2)).code(), StatusCode::kNotFound);
  EXPECT_EQ(h.engine().Meta(), MakeMeta(1, 1));
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "a", Version(2)), "(none)");
  EXPECT_TRUE(System(h.engine(), SystemSpace::kState).empty());
  EXPECT_EQ(h.engine().Health(), Status::Ok());
  EXPECT_EQ(h.engine().Write({}, MakeMeta(2, 2)), Status::Ok());
}

void LargeValuesAndBatches(EngineHarness& h) {
  WriteBatch batch;
  const std::string large(std::size_t{3} << 20, 'x');
  batch.Put(kDefault, "large", large, Version(2));
  for (int i = 0; i < 20000; ++i) {
    batch.Put(kDefault, "k" + std::to_string(i), std::to_string(i), Version(2));
  }
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 2)), Status::Ok());
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    EXPECT_TRUE(ValueAt(h.engine(), kDefault, "large", Version(2)) == large);
    EXPECT_EQ(ValueAt(h.engine(), kDefault, "k19999", Version(2)), "19999");
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(2)).size(), 20001U);
  }
}

}  // namespace

std::vector<ConformanceTest> WriteTests() {
  return {
      {"ABatchIsVisibleWithItsMeta", ABatchIsVisibleWithItsMeta},
      {"AnEmptyBatchMovesTheMeta", AnEmptyBatchMovesTheMeta},
      {"TheLastChangeOfAKeyWins", TheLastChangeOfAKeyWins},
      {"SystemRangesAreHalfOpen", SystemRangesAreHalfOpen},
      {"ARefusedBatchChangesNothing", ARefusedBatchChangesNothing},
      {"LargeValuesAndBatches", LargeValuesAndBatches},
  };
}

}  // namespace cairn::storage
