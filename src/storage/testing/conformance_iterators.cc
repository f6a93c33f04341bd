// Iterators at a version, and over history.
#include <gtest/gtest.h>

#include <array>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

// Keys a, c, e, g at version 10; c deleted and d put at 20; a replaced at 30.
void WriteSmallFamily(EngineHarness& h) {
  WriteBatch first;
  for (const char* key : {"a", "c", "e", "g"}) {
    first.Put(kDefault, key, std::string(key) + "10", Version(10));
  }
  ASSERT_EQ(h.engine().Write(first, MakeMeta(1, 10)), Status::Ok());
  WriteBatch second;
  second.Delete(kDefault, "c", Version(20));
  second.Put(kDefault, "d", "d20", Version(20));
  ASSERT_EQ(h.engine().Write(second, MakeMeta(2, 20)), Status::Ok());
  WriteBatch third;
  third.Put(kDefault, "a", "a30", Version(30));
  ASSERT_EQ(h.engine().Write(third, MakeMeta(3, 30)), Status::Ok());
}

void IteratesTheKeysOfOneVersion(EngineHarness& h) {
  WriteSmallFamily(h);
  const KeyValues at10 = {{"a", "a10"}, {"c", "c10"}, {"e", "e10"}, {"g", "g10"}};
  const KeyValues at20 = {{"a", "a10"}, {"d", "d20"}, {"e", "e10"}, {"g", "g10"}};
  const KeyValues at30 = {{"a", "a30"}, {"d", "d20"}, {"e", "e10"}, {"g", "g10"}};
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    EXPECT_TRUE(Forward(h.engine(), kDefault, {}, Version(9)).empty());
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(10)), at10);
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(19)), at10);
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(20)), at20);
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version::Max()), at30);
    EXPECT_EQ(Backward(h.engine(), kDefault, {}, Version(20)),
              KeyValues(at20.rbegin(), at20.rend()));
  }
}

void StaysInsideItsRange(EngineHarness& h) {
  WriteSmallFamily(h);
  const KeyValues inside = {{"c", "c10"}, {"e", "e10"}};
  for (const KeyRange& range : {KeyRange{"c", "g"}, KeyRange{"b", "f"}, KeyRange{"b", "g"}}) {
    EXPECT_EQ(Forward(h.engine(), kDefault, range, Version(10)), inside);
    EXPECT_EQ(Backward(h.engine(), kDefault, range, Version(10)),
              KeyValues(inside.rbegin(), inside.rend()));
    const auto made = h.engine().NewIterator(kDefault, range, Version(10));
    ASSERT_TRUE(made.ok());
    ReadIterator& it = **made;
    it.SeekGreaterOrEqual("");  // before the range: its first key
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.key(), "c");
    it.Prev();
    EXPECT_FALSE(it.Valid());
    it.SeekLess("z");  // behind the range: its last key
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.key(), "e");
    it.Next();
    EXPECT_FALSE(it.Valid());
    it.SeekGreaterOrEqual("z");
    EXPECT_FALSE(it.Valid());
    it.SeekLess("a");
    EXPECT_FALSE(it.Valid());
    EXPECT_EQ(it.status(), Status::Ok());
  }
  for (const KeyRange& range : {KeyRange{"c", "c"}, KeyRange{"e", "c"}, KeyRange{"x", "z"}}) {
    EXPECT_TRUE(Forward(h.engine(), kDefault, range, Version(10)).empty());
    EXPECT_TRUE(Backward(h.engine(), kDefault, range, Version(10)).empty());
  }
}

void SeeksLandBesideTheirTarget(EngineHarness& h) {
  WriteSmallFamily(h);
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    const auto made = h.engine().NewIterator(kDefault, {}, Version(20));
    ASSERT_TRUE(made.ok());
    ReadIterator& it = **made;
    EXPECT_FALSE(it.Valid());
    const auto key = [&it] { return it.Valid() ? std::string(it.key()) : "(end)"; };
    for (const auto& [target, at_or_after, before] :
         std::vector<std::array<const char*, 3>>{{"a", "a", "(end)"},
                                                 {"b", "d", "a"},
                                                 {"c", "d", "a"},  // deleted at 20
                                                 {"d", "d", "a"},
                                                 {"e", "e", "d"},
                                                 {"g", "g", "e"},
                                                 {"h", "(end)", "g"}}) {
      it.SeekGreaterOrEqual(target);
      EXPECT_EQ(key(), at_or_after) << target;
      it.SeekLess(target);
      EXPECT_EQ(key(), before) << target;
    }
  }
}

void TurnsRound(EngineHarness& h) {
  WriteSmallFamily(h);
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    const auto made = h.engine().NewIterator(kDefault, {}, Version(30));
    ASSERT_TRUE(made.ok());
    ReadIterator& it = **made;
    it.SeekGreaterOrEqual("b");
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.key(), "d");
    it.Prev();
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.value(), "a30");
    it.Next();
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.value(), "d20");
    it.Next();
    it.Next();
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.value(), "g10");
    it.Prev();
    ASSERT_TRUE(it.Valid());
    EXPECT_EQ(it.value(), "e10");
  }
}

// Many versions of each key, past the number at which RocksDB stops stepping and seeks.
void FindsItsVersionAmongMany(EngineHarness& h) {
  constexpr int kVersions = 60;
  for (int v = 1; v <= kVersions; ++v) {
    WriteBatch batch;
    for (const char* key : {"a", "b", "c"}) {
      if (v % 10 == 0) {
        batch.Delete(kDefault, key, Version(v));
      } else {
        batch.Put(kDefault, key, key + std::to_string(v), Version(v));
      }
    }
    ASSERT_EQ(h.engine().Write(batch, MakeMeta(v, v)), Status::Ok());
    if (v == kVersions / 2) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
  }
  for (int v = 1; v <= kVersions; ++v) {
    KeyValues expected;
    for (const char* key : {"a", "b", "c"}) {
      if (v % 10 != 0) expected.emplace_back(key, key + std::to_string(v));
    }
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(v)), expected) << v;
    EXPECT_EQ(Backward(h.engine(), kDefault, {}, Version(v)),
              KeyValues(expected.rbegin(), expected.rend()))
        << v;
    const auto made = h.engine().NewIterator(kDefault, {"a", "c"}, Version(v));
    ASSERT_TRUE(made.ok());
    (*made)->SeekLess("");
    EXPECT_EQ((*made)->Valid(), v % 10 != 0);
    if ((*made)->Valid()) {
      EXPECT_EQ((*made)->value(), "b" + std::to_string(v));
    }
  }
}

// An iterator made at a version shows the state of that version, whatever is written meanwhile.
void IsNotDisturbedByLaterWrites(EngineHarness& h) {
  WriteSmallFamily(h);
  const auto made = h.engine().NewIterator(kDefault, {}, Version(30));
  ASSERT_TRUE(made.ok());
  ReadIterator& it = **made;
  it.SeekGreaterOrEqual("");
  KeyValues found;
  for (int step = 0; it.Valid(); ++step) {
    found.emplace_back(it.key(), it.value());
    WriteBatch batch;
    for (const char* key : {"0", "a", "b", "d", "e", "f", "g", "h"}) {
      if (step % 2 == 0) {
        batch.Delete(kDefault, key, Version(31 + step));
      } else {
        batch.Put(kDefault, key, "late", Version(31 + step));
      }
    }
    ASSERT_EQ(h.engine().Write(batch, MakeMeta(4 + step, 31 + step)), Status::Ok());
    if (step == 1) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    it.Next();
  }
  EXPECT_EQ(found, (KeyValues{{"a", "a30"}, {"d", "d20"}, {"e", "e10"}, {"g", "g10"}}));
}

void HistoryListsEveryWrite(EngineHarness& h) {
  WriteSmallFamily(h);
  const std::vector<HistoryEntry> all = {{"a", Version(30), false}, {"a", Version(10), false},
                                         {"c", Version(20), true},  {"c", Version(10), false},
                                         {"d", Version(20), false}, {"e", Version(10), false},
                                         {"g", Version(10), false}};
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    EXPECT_EQ(History(h.engine(), kDefault), all);
    EXPECT_EQ(History(h.engine(), kDefault, {"b", "d"}),
              std::vector<HistoryEntry>(all.begin() + 2, all.begin() + 4));
    EXPECT_EQ(History(h.engine(), kDefault, {"e", ""}),
              std::vector<HistoryEntry>(all.begin() + 5, all.end()));
    EXPECT_TRUE(History(h.engine(), kDefault, {"d", "d"}).empty());
    EXPECT_TRUE(History(h.engine(), kDefault, {"g", "a"}).empty());
  }
}

// A key written twice at a version has one write there: the later one.
void HistoryHasOneWriteAVersion(EngineHarness& h) {
  WriteBatch batch;
  batch.Put(kDefault, "k", "lost", Version(5));
  batch.Delete(kDefault, "k", Version(5));
  batch.Put(kDefault, "k", "won", Version(5));
  batch.Put(kDefault, "gone", "lost", Version(5));
  batch.Delete(kDefault, "gone", Version(5));
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 5)), Status::Ok());
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(h.engine().Flush(), Status::Ok());
    }
    EXPECT_EQ(History(h.engine(), kDefault),
              (std::vector<HistoryEntry>{{"gone", Version(5), true}, {"k", Version(5), false}}));
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(5)), (KeyValues{{"k", "won"}}));
    EXPECT_EQ(Backward(h.engine(), kDefault, {}, Version(5)), (KeyValues{{"k", "won"}}));
    EXPECT_EQ(ValueAt(h.engine(), kDefault, "gone", Version(5)), "(none)");
  }
}

}  // namespace

std::vector<ConformanceTest> IteratorTests() {
  return {
      {"IteratesTheKeysOfOneVersion", IteratesTheKeysOfOneVersion},
      {"StaysInsideItsRange", StaysInsideItsRange},
      {"SeeksLandBesideTheirTarget", SeeksLandBesideTheirTarget},
      {"TurnsRound", TurnsRound},
      {"FindsItsVersionAmongMany", FindsItsVersionAmongMany},
      {"IsNotDisturbedByLaterWrites", IsNotDisturbedByLaterWrites},
      {"HistoryListsEveryWrite", HistoryListsEveryWrite},
      {"HistoryHasOneWriteAVersion", HistoryHasOneWriteAVersion},
  };
}

}  // namespace cairn::storage
