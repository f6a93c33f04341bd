// Operations on ranges of keys, over however many servers there are.
#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/sanitizers.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

std::vector<std::string> Keys(RemoteDram& store, const ListOptions& options) {
  const auto listed = store.List(options).Get();
  EXPECT_TRUE(listed.ok()) << listed.status().ToString();
  std::vector<std::string> keys;
  if (!listed.ok()) return keys;
  for (const ListEntry& entry : *listed) keys.push_back(entry.key);
  return keys;
}

using List = std::vector<std::string>;

void ListsInOrder(RemoteDram& store) {
  EXPECT_TRUE(Keys(store, {}).empty());
  for (const char* key : {"b", "a/2", "a/1", "c", "a", "a/10"}) {
    ASSERT_TRUE(Put(store, key, std::string(10 * std::string(key).size(), 'x')).ok());
  }
  EXPECT_EQ(Keys(store, {}), (List{"a", "a/1", "a/10", "a/2", "b", "c"}));
  EXPECT_EQ(Keys(store, {KeyRange::Prefix("a/"), 0, {}}), (List{"a/1", "a/10", "a/2"}));
  EXPECT_EQ(Keys(store, {KeyRange::Prefix("a/"), 2, {}}), (List{"1", "10", "2"}));
  EXPECT_EQ(Keys(store, {{"a/10", "c"}, 0, {}}), (List{"a/10", "a/2", "b"}));
  EXPECT_EQ(Keys(store, {{"b", ""}, 0, {}}), (List{"b", "c"}));
  EXPECT_EQ(Keys(store, {{"c", "b"}, 0, {}}), List{});
  EXPECT_EQ(Keys(store, {{"b", ""}, 9, {}}), (List{"", ""}));
  const auto listed = store.List({KeyRange::Prefix("a/1"), 0, {}}).Get();
  EXPECT_EQ(listed.value(), (std::vector<ListEntry>{{"a/1", 30}, {"a/10", 40}}));
}

// More keys than a page holds, on every server.
void ListsManyPages(RemoteDram& store) {
  const int count = kSanitized ? 9000 : 30000;
  std::vector<WriteRequestItem> writes;
  List expected;
  for (int i = 0; i < count; ++i) {
    expected.push_back("array/" + std::to_string(i));
    writes.push_back({expected.back(), Buffer::Copy("x"), {}});
  }
  for (auto& written : store.WriteBatch(std::move(writes))) ASSERT_TRUE(written.Get().ok());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(Keys(store, {}), expected);
  // All but one in a hundred go.
  EXPECT_EQ(store.DeleteRange({"array/1", "array/99"}).Get().value(),
            static_cast<std::uint64_t>(std::count_if(
                expected.begin(), expected.end(),
                [](const std::string& key) { return key >= "array/1" && key < "array/99"; })));
  expected.erase(
      std::remove_if(expected.begin(), expected.end(),
                     [](const std::string& key) { return key >= "array/1" && key < "array/99"; }),
      expected.end());
  EXPECT_EQ(Keys(store, {}), expected);
}

void DeletesRanges(RemoteDram& store) {
  for (const char* key : {"a", "b/1", "b/2", "b/3", "c"}) ASSERT_TRUE(Put(store, key, "v").ok());
  EXPECT_EQ(store.DeleteRange({"x", "y"}).Get().value(), 0U);
  EXPECT_EQ(store.DeleteRange({"b/2", "b/2"}).Get().value(), 0U);
  EXPECT_EQ(store.DeleteRange(KeyRange::Prefix("b/")).Get().value(), 3U);
  const KeyRange beyond = KeyRange::Prefix(std::string(kMaxKeyBytes + 2, 'x'));
  EXPECT_EQ(store.DeleteRange(beyond).Get().status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.List({beyond, 0, {}}).Get().status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Keys(store, {}), (List{"a", "c"}));
  EXPECT_EQ(store.DeleteRange({"b", ""}).Get().value(), 1U);
  EXPECT_EQ(Value(store, "c"), "(missing)");
  EXPECT_EQ(store.DeleteRange({}).Get().value(), 1U);
  EXPECT_TRUE(Keys(store, {}).empty());
}

void StatCountsAllServers(RemoteDram& store) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Put(store, std::to_string(i), "12345678").ok());
  const auto stats = store.Stat().Get();
  ASSERT_TRUE(stats.ok()) << stats.status().ToString();
  EXPECT_EQ(stats->size(), store.Peers().size());
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  for (const ServerStat& stat : *stats) {
    EXPECT_TRUE(stat.status.ok()) << stat.status.ToString();
    EXPECT_NE(stat.boot_id, 0U);
    for (const auto& [name, value] : stat.figures) {
      if (name == "keys") keys += value;
      if (name == "value_bytes") bytes += value;
    }
  }
  EXPECT_EQ(keys, 100U);
  EXPECT_EQ(bytes, 800U);
}

}  // namespace

std::vector<StoreTest> RangeTests() {
  return {{"ListsInOrder", ListsInOrder},
          {"ListsManyPages", ListsManyPages},
          {"DeletesRanges", DeletesRanges},
          {"StatCountsAllServers", StatCountsAllServers}};
}

}  // namespace cairn::dram
