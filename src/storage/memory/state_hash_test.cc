#include "src/storage/state_hash.h"

#include <gtest/gtest.h>

#include "src/storage/memory/memory_engine.h"
#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

// A small state; `change` may alter what is written.
template <class Change>
std::uint64_t HashWith(const Change& change) {
  MemoryEngine engine;
  EXPECT_EQ(engine.CreateFamily(FamilyId(1)), Status::Ok());
  WriteBatch batch;
  batch.Put(kDefault, "a", "1", Version(2));
  batch.Put(kDefault, "b", "2", Version(2));
  batch.Put(FamilyId(1), "c", "3", Version(2));
  batch.SystemPut(SystemSpace::kState, "session", "1");
  StateMeta meta = MakeMeta(5, 3, 1);
  change(&batch, &meta);
  EXPECT_EQ(engine.Write(batch, meta), Status::Ok());
  const auto hash = StateHash(engine, {FamilyId(1), kDefault}, meta.version);
  EXPECT_TRUE(hash.ok()) << hash.status().ToString();
  return hash.ok() ? *hash : 0;
}

TEST(StateHashTest, CoversWhatIsReplicated) {
  const std::uint64_t hash = HashWith([](WriteBatch*, StateMeta*) {});
  EXPECT_EQ(hash, HashWith([](WriteBatch*, StateMeta*) {}));
  const auto differs = [hash](const auto& change) { return HashWith(change) != hash; };
  EXPECT_TRUE(differs([](WriteBatch* b, StateMeta*) { b->Put(kDefault, "a", "x", Version(3)); }));
  EXPECT_TRUE(differs([](WriteBatch* b, StateMeta*) { b->Put(kDefault, "d", "", Version(3)); }));
  EXPECT_TRUE(differs([](WriteBatch* b, StateMeta*) { b->Delete(kDefault, "a", Version(3)); }));
  // The same bytes, cut elsewhere or in another family.
  EXPECT_TRUE(differs([](WriteBatch* b, StateMeta*) {
    b->Delete(kDefault, "a", Version(3));
    b->Put(kDefault, "a1", "", Version(3));
  }));
  EXPECT_TRUE(differs([](WriteBatch* b, StateMeta*) {
    b->Delete(FamilyId(1), "c", Version(3));
    b->Put(kDefault, "c", "3", Version(3));
  }));
  EXPECT_TRUE(differs(
      [](WriteBatch* b, StateMeta*) { b->SystemPut(SystemSpace::kState, "session", "2"); }));
  EXPECT_TRUE(differs([](WriteBatch*, StateMeta* m) { m->version = Version(4); }));
  EXPECT_TRUE(differs([](WriteBatch*, StateMeta* m) { m->watermark = Version(2); }));
  EXPECT_TRUE(differs([](WriteBatch*, StateMeta* m) { m->features = 1; }));
  EXPECT_TRUE(differs([](WriteBatch*, StateMeta* m) { m->next_family = FamilyId(2); }));
  EXPECT_TRUE(differs([](WriteBatch*, StateMeta* m) { m->membership = "m"; }));
}

TEST(StateHashTest, LeavesOutWhatIsNot) {
  const std::uint64_t hash = HashWith([](WriteBatch*, StateMeta*) {});
  EXPECT_EQ(hash, HashWith([](WriteBatch*, StateMeta* m) { m->applied_slot = Slot(9); }));
  EXPECT_EQ(hash, HashWith([](WriteBatch*, StateMeta* m) { m->applied_epoch = Epoch(9); }));
  EXPECT_EQ(hash, HashWith([](WriteBatch* b, StateMeta*) {
              b->SystemPut(SystemSpace::kVersionIndex, "i", "1");
            }));
  // A history that led to the same state.
  EXPECT_EQ(hash, HashWith([](WriteBatch* b, StateMeta*) {
              b->Put(kDefault, "z", "1", Version(2));
              b->Delete(kDefault, "z", Version(3));
            }));
}

TEST(StateHashTest, DataHashIsOfOneVersion) {
  MemoryEngine engine;
  WriteBatch batch;
  batch.Put(kDefault, "a", "1", Version(2));
  ASSERT_EQ(engine.Write(batch, MakeMeta(1, 2)), Status::Ok());
  const auto before = DataHash(engine, {kDefault}, Version(2));
  ASSERT_TRUE(before.ok());
  batch.Clear();
  batch.Put(kDefault, "a", "2", Version(3));
  ASSERT_EQ(engine.Write(batch, MakeMeta(2, 3)), Status::Ok());
  EXPECT_EQ(*DataHash(engine, {kDefault}, Version(2)), *before);
  EXPECT_NE(*DataHash(engine, {kDefault}, Version(3)), *before);
  EXPECT_EQ(StateHash(engine, {kDefault}, Version(2)).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(DataHash(engine, {FamilyId(9)}, Version(3)).status().code(), StatusCode::kNotFound);
  ASSERT_EQ(engine.SetWatermark(Version(3)), Status::Ok());
  EXPECT_EQ(DataHash(engine, {kDefault}, Version(2)).status().code(),
            StatusCode::kTransactionTooOld);
}

}  // namespace
}  // namespace cairn::storage
