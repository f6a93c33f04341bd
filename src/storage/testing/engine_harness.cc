#include "src/storage/testing/engine_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "src/base/codec.h"

namespace cairn::storage {

void PrintTo(const HistoryEntry& entry, std::ostream* out) {
  *out << Printable(entry.key) << "@" << entry.version.value()
       << (entry.is_delete ? " delete" : " put");
}

void PrintTo(const StateMeta& meta, std::ostream* out) {
  *out << "{slot " << meta.applied_slot.value() << ", epoch " << meta.applied_epoch.value()
       << ", version " << meta.version.value() << ", watermark " << meta.watermark.value()
       << ", features " << meta.features << ", next family " << meta.next_family.value()
       << ", membership " << Printable(meta.membership) << "}";
}

StateMeta MakeMeta(std::uint64_t slot, std::uint64_t version, std::uint64_t watermark) {
  StateMeta meta;
  meta.applied_slot = Slot(slot);
  meta.applied_epoch = Epoch(1);
  meta.version = Version(version);
  meta.watermark = Version(watermark);
  return meta;
}

KeyValues Forward(const Engine& engine, FamilyId family, const KeyRange& range, Version at) {
  KeyValues found;
  auto made = engine.NewIterator(family, range, at);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  if (!made.ok()) return found;
  ReadIterator& it = **made;
  for (it.SeekGreaterOrEqual(range.begin); it.Valid(); it.Next()) {
    found.emplace_back(it.key(), it.value());
  }
  EXPECT_EQ(it.status(), Status::Ok());
  return found;
}

KeyValues Backward(const Engine& engine, FamilyId family, const KeyRange& range, Version at) {
  KeyValues found;
  auto made = engine.NewIterator(family, range, at);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  if (!made.ok()) return found;
  ReadIterator& it = **made;
  for (it.SeekLess(""); it.Valid(); it.Prev()) found.emplace_back(it.key(), it.value());
  EXPECT_EQ(it.status(), Status::Ok());
  return found;
}

std::vector<HistoryEntry> History(const Engine& engine, FamilyId family, const KeyRange& range) {
  std::vector<HistoryEntry> found;
  auto made = engine.NewHistoryIterator(family, range);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  if (!made.ok()) return found;
  HistoryIterator& it = **made;
  for (; it.Valid(); it.Next()) {
    found.push_back({std::string(it.key()), it.version(), it.is_delete()});
  }
  EXPECT_EQ(it.status(), Status::Ok());
  return found;
}

KeyValues System(const Engine& engine, SystemSpace space, const KeyRange& range) {
  KeyValues found;
  auto made = engine.NewSystemIterator(space, range);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  if (!made.ok()) return found;
  SystemIterator& it = **made;
  for (; it.Valid(); it.Next()) found.emplace_back(it.key(), it.value());
  EXPECT_EQ(it.status(), Status::Ok());
  return found;
}

std::string ValueAt(const Engine& engine, FamilyId family, std::string_view key, Version at) {
  std::string value = "(untouched)";
  const auto lookup = engine.Get(family, key, at, &value);
  EXPECT_TRUE(lookup.ok()) << lookup.status().ToString();
  if (!lookup.ok()) return "(error)";
  return lookup->found ? value : "(none)";
}

}  // namespace cairn::storage
