// Point reads and system reads.
#include <gtest/gtest.h>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

void EmptyEngine(EngineHarness& h) {
  EXPECT_EQ(h.engine().Meta(), StateMeta());
  ASSERT_TRUE(h.engine().FlushedMeta().ok());
  EXPECT_EQ(*h.engine().FlushedMeta(), StateMeta());
  EXPECT_EQ(h.engine().Health(), Status::Ok());
  std::string value = "kept";
  const auto lookup = h.engine().Get(kDefault, "k", Version(5), &value);
  ASSERT_TRUE(lookup.ok());
  EXPECT_FALSE(lookup->found);
  EXPECT_EQ(lookup->version, Version(0));
  EXPECT_EQ(value, "kept");
  EXPECT_TRUE(Forward(h.engine(), kDefault, {}, Version::Max()).empty());
  EXPECT_TRUE(Backward(h.engine(), kDefault, {}, Version::Max()).empty());
  EXPECT_TRUE(History(h.engine(), kDefault).empty());
  EXPECT_TRUE(System(h.engine(), SystemSpace::kState).empty());
  EXPECT_TRUE(System(h.engine(), SystemSpace::kVersionIndex).empty());
}

// Three puts and two deletes of one key; asked at each version, before and after they were flushed.
void GetSeesTheNewestWriteAtOrBelowItsVersion(EngineHarness& h) {
  for (const auto& [version, value] :
       {std::pair{10, "a"}, {20, ""}, {30, "c"}, {40, ""}, {50, "e"}}) {
    WriteBatch batch;
    if (*value == '\0') {
      batch.Delete(kDefault, "k", Version(version));
    } else {
      batch.Put(kDefault, "k", value, Version(version));
    }
    ASSERT_EQ(h.engine().Write(batch, MakeMeta(version, version)), Status::Ok());
  }
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    for (int at = 1; at < 60; ++at) {
      std::string value = "untouched";
      const auto lookup = h.engine().Get(kDefault, "k", Version(at), &value);
      ASSERT_TRUE(lookup.ok());
      const bool found = (at >= 10 && at < 20) || (at >= 30 && at < 40) || at >= 50;
      EXPECT_EQ(lookup->found, found) << at;
      EXPECT_EQ(lookup->version, Version(at < 10 ? 0 : std::min(at / 10 * 10, 50))) << at;
      EXPECT_EQ(value, !found ? "untouched" : at < 20 ? "a" : at < 40 ? "c" : "e") << at;
    }
  }
}

void GetWithoutValueGivesTheVersion(EngineHarness& h) {
  WriteBatch batch;
  batch.Put(kDefault, "k", "v", Version(7));
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 7)), Status::Ok());
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    const auto lookup = h.engine().Get(kDefault, "k", Version(9), nullptr);
    ASSERT_TRUE(lookup.ok());
    EXPECT_TRUE(lookup->found);
    EXPECT_EQ(lookup->version, Version(7));
  }
}

// User keys and values are any bytes: empty, zeros, 0xFF, and keys that look like a neighbour's key
// with a version behind it.
void KeysAndValuesAreAnyBytes(EngineHarness& h) {
  const std::vector<std::string> keys = {"",
                                         std::string(1, '\0'),
                                         std::string(8, '\0'),
                                         std::string(16, '\0'),
                                         "a",
                                         std::string("a\0", 2),
                                         std::string("a\0\0\0\0\0\0\0\0", 9),
                                         "a\xff",
                                         "a\xff\xff\xff\xff\xff\xff\xff\xff",
                                         "b",
                                         std::string(8, '\xff'),
                                         std::string(300, '\xff')};
  WriteBatch batch;
  KeyValues expected;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string value = std::string(i * 100, '\0') + keys[i];
    batch.Put(kDefault, keys[i], value, Version(3));
    expected.emplace_back(keys[i], value);
  }
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 3)), Status::Ok());
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    for (const auto& [key, value] : expected) {
      EXPECT_EQ(ValueAt(h.engine(), kDefault, key, Version(3)), value);
      EXPECT_EQ(ValueAt(h.engine(), kDefault, key, Version(2)), "(none)");
    }
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(3)), expected);
    KeyValues reversed(expected.rbegin(), expected.rend());
    EXPECT_EQ(Backward(h.engine(), kDefault, {}, Version(3)), reversed);
  }
}

void ReadsOfUnknownFamiliesAreRefused(EngineHarness& h) {
  for (const FamilyId family : {FamilyId(1), FamilyId(4095), FamilyId(4096), FamilyId::Max()}) {
    std::string value;
    EXPECT_EQ(h.engine().Get(family, "k", Version(1), &value).status().code(),
              StatusCode::kNotFound);
    EXPECT_EQ(h.engine().NewIterator(family, {}, Version(1)).status().code(),
              StatusCode::kNotFound);
    EXPECT_EQ(h.engine().NewHistoryIterator(family, {}).status().code(), StatusCode::kNotFound);
  }
}

void SystemKeys(EngineHarness& h) {
  for (const SystemSpace space : {SystemSpace::kState, SystemSpace::kVersionIndex}) {
    EXPECT_EQ(h.engine().GetSystem(space, "s1").status().code(), StatusCode::kNotFound);
    WriteBatch batch;
    batch.SystemPut(space, "s1", "one");
    batch.SystemPut(space, "s2", "two");
    batch.SystemPut(space, "s3", "");
    batch.SystemPut(space, "\xff\xff", "last");
    ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 1)), Status::Ok());
    ASSERT_TRUE(h.engine().GetSystem(space, "s1").ok());
    EXPECT_EQ(*h.engine().GetSystem(space, "s1"), "one");
    EXPECT_EQ(*h.engine().GetSystem(space, "s3"), "");
    EXPECT_EQ(System(h.engine(), space),
              (KeyValues{{"s1", "one"}, {"s2", "two"}, {"s3", ""}, {"\xff\xff", "last"}}));
    EXPECT_EQ(System(h.engine(), space, {"s2", ""}),
              (KeyValues{{"s2", "two"}, {"s3", ""}, {"\xff\xff", "last"}}));
    EXPECT_EQ(System(h.engine(), space, {"s1a", "s3"}), (KeyValues{{"s2", "two"}}));
    EXPECT_TRUE(System(h.engine(), space, {"s3", "s1"}).empty());
  }
  // The spaces are apart, and apart from user families.
  WriteBatch batch;
  batch.SystemDelete(SystemSpace::kState, "s1");
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(2, 1)), Status::Ok());
  EXPECT_FALSE(h.engine().GetSystem(SystemSpace::kState, "s1").ok());
  EXPECT_TRUE(h.engine().GetSystem(SystemSpace::kVersionIndex, "s1").ok());
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "s2", Version(9)), "(none)");
}

// Keys of kState that start with a zero byte are the engine's, whatever it keeps there.
void TheEnginesOwnKeysAreHidden(EngineHarness& h) {
  WriteBatch good;
  good.SystemPut(SystemSpace::kState, "\x01", "first");
  good.SystemPut(SystemSpace::kVersionIndex, std::string("\0x", 2), "fine here");
  ASSERT_EQ(h.engine().Write(good, MakeMeta(1, 1)), Status::Ok());
  EXPECT_EQ(System(h.engine(), SystemSpace::kState), (KeyValues{{"\x01", "first"}}));
  EXPECT_EQ(
      h.engine().GetSystem(SystemSpace::kState, std::string_view("\0meta", 5)).status().code(),
      StatusCode::kNotFound);
  WriteBatch bad;
  bad.Put(kDefault, "k", "v", Version(2));
  bad.SystemPut(SystemSpace::kState, std::string("\0meta", 5), "mine");
  EXPECT_EQ(h.engine().Write(bad, MakeMeta(2, 2)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(2)), "(none)");
  // A range that starts below leaves the engine's keys alone.
  WriteBatch all;
  all.SystemDeleteRange(SystemSpace::kState, "", "\xff");
  ASSERT_EQ(h.engine().Write(all, MakeMeta(3, 2)), Status::Ok());
  EXPECT_TRUE(System(h.engine(), SystemSpace::kState).empty());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  EXPECT_EQ(*h.engine().FlushedMeta(), MakeMeta(3, 2));
}

}  // namespace

std::vector<ConformanceTest> ReadTests() {
  return {
      {"EmptyEngine", EmptyEngine},
      {"GetSeesTheNewestWriteAtOrBelowItsVersion", GetSeesTheNewestWriteAtOrBelowItsVersion},
      {"GetWithoutValueGivesTheVersion", GetWithoutValueGivesTheVersion},
      {"KeysAndValuesAreAnyBytes", KeysAndValuesAreAnyBytes},
      {"ReadsOfUnknownFamiliesAreRefused", ReadsOfUnknownFamiliesAreRefused},
      {"SystemKeys", SystemKeys},
      {"TheEnginesOwnKeysAreHidden", TheEnginesOwnKeysAreHidden},
  };
}

}  // namespace cairn::storage
