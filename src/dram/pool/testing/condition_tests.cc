// Conditions on generations.
#include <gtest/gtest.h>

#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

constexpr Generation kStrange{12345, 678};

void ConditionalReads(RemoteDram& store) {
  const Generation now = Put(store, "k", "v").value().generation;
  EXPECT_EQ(Value(store, "k", {{}, now, {}, {}}), "v");
  EXPECT_EQ(Value(store, "k", {{}, kStrange, {}, {}}), "(unspecified)");
  EXPECT_EQ(Value(store, "k", {{}, {}, kStrange, {}}), "v");
  EXPECT_EQ(Value(store, "k", {{}, {}, now, {}}), "(unspecified)");
  EXPECT_EQ(Value(store, "k", {{}, Generation::NoValue(), {}, {}}), "(unspecified)");
  const auto unspecified = store.Read("k", {{}, {}, now, {}}).Get();
  ASSERT_TRUE(unspecified.ok());
  EXPECT_EQ(unspecified->generation, now);
  EXPECT_TRUE(unspecified->value.empty());
  // No value: missing, whatever is asked.
  EXPECT_EQ(Value(store, "nothing", {{}, now, {}, {}}), "(missing)");
  EXPECT_EQ(Value(store, "nothing", {{}, {}, Generation::NoValue(), {}}), "(missing)");
}

void ConditionalWrites(RemoteDram& store) {
  EXPECT_TRUE(Put(store, "k", "v", {kStrange, {}}).value().generation.IsUnknown());
  EXPECT_EQ(Value(store, "k"), "(missing)");
  const auto created = Put(store, "k", "one", {Generation::NoValue(), {}});
  ASSERT_TRUE(created.ok());
  EXPECT_FALSE(created->generation.IsUnknown());
  EXPECT_TRUE(Put(store, "k", "two", {Generation::NoValue(), {}}).value().generation.IsUnknown());
  EXPECT_EQ(Value(store, "k"), "one");
  const auto replaced = Put(store, "k", "three", {created->generation, {}});
  ASSERT_TRUE(replaced.ok());
  EXPECT_FALSE(replaced->generation.IsUnknown());
  EXPECT_TRUE(Put(store, "k", "four", {created->generation, {}}).value().generation.IsUnknown());
  EXPECT_EQ(Value(store, "k"), "three");
  // A value that goes by rendezvous.
  const std::string large = Bytes(1 << 20, 1);
  EXPECT_TRUE(Put(store, "k", large, {created->generation, {}}).value().generation.IsUnknown());
  EXPECT_FALSE(Put(store, "k", large, {replaced->generation, {}}).value().generation.IsUnknown());
  EXPECT_TRUE(Value(store, "k") == large);
}

void ConditionalDeletes(RemoteDram& store) {
  const Generation now = Put(store, "k", "v").value().generation;
  EXPECT_TRUE(store.Delete("k", {kStrange, {}}).Get().value().generation.IsUnknown());
  EXPECT_TRUE(store.Delete("k", {Generation::NoValue(), {}}).Get().value().generation.IsUnknown());
  EXPECT_EQ(Value(store, "k"), "v");
  EXPECT_TRUE(store.Delete("k", {now, {}}).Get().value().generation.IsNoValue());
  EXPECT_EQ(Value(store, "k"), "(missing)");
  EXPECT_TRUE(store.Delete("k", {now, {}}).Get().value().generation.IsUnknown());
  EXPECT_TRUE(store.Delete("k", {Generation::NoValue(), {}}).Get().value().generation.IsNoValue());
}

// The generation of a deleted value must not fit the value that was written in its place.
void AnOldGenerationFitsNothing(RemoteDram& store) {
  const Generation old = Put(store, "k", "v").value().generation;
  ASSERT_TRUE(store.Delete("k").Get().ok());
  ASSERT_TRUE(Put(store, "k", "v").ok());
  EXPECT_TRUE(Put(store, "k", "w", {old, {}}).value().generation.IsUnknown());
  EXPECT_EQ(Value(store, "k", {{}, old, {}, {}}), "(unspecified)");
  EXPECT_EQ(Value(store, "k"), "v");
}

}  // namespace

std::vector<StoreTest> ConditionTests() {
  return {{"ConditionalReads", ConditionalReads},
          {"ConditionalWrites", ConditionalWrites},
          {"ConditionalDeletes", ConditionalDeletes},
          {"AnOldGenerationFitsNothing", AnOldGenerationFitsNothing}};
}

}  // namespace cairn::dram
