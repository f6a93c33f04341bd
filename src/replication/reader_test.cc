#include "src/replication/reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {
namespace {

class ReaderTest : public testing::Test {
 protected:
  void Put(const std::vector<std::string>& keys) {
    storage::WriteBatch batch;
    storage::StateMeta meta = engine_.Meta();
    meta.version = Version(2);
    for (const std::string& key : keys) batch.Put(FamilyId(), key, "v" + key, Version(2));
    ASSERT_TRUE(engine_.Write(batch, meta).ok());
  }

  std::vector<std::string> Keys(const kv::RangeQuery& query, bool* has_more = nullptr) {
    const auto result =
        ReadRange(engine_, FamilyId(), query, Version(2), limits_, [] { return Status::Ok(); });
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    std::vector<std::string> keys;
    if (!result.ok()) return keys;
    for (const kv::KeyValue& pair : result->key_values) {
      EXPECT_EQ(pair.value, "v" + pair.key);
      keys.push_back(pair.key);
    }
    if (has_more != nullptr) *has_more = result->has_more;
    return keys;
  }

  kv::Limits limits_;
  storage::MemoryEngine engine_;
};

using kv::KeySelector;
using Strings = std::vector<std::string>;

// What FoundationDB's definition says, word for word: the position of the last key < k (<= k with
// or_equal), plus the offset; clamped to the ends.
std::size_t ModelResolve(const Strings& keys, const KeySelector& selector) {
  std::int64_t last = -1;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] < selector.key || (selector.or_equal && keys[i] == selector.key)) {
      last = static_cast<std::int64_t>(i);
    }
  }
  return static_cast<std::size_t>(
      std::clamp<std::int64_t>(last + selector.offset, 0, static_cast<std::int64_t>(keys.size())));
}

TEST_F(ReaderTest, SelectorsMatchTheDefinition) {
  SeededRandom random(3);
  Strings keys;
  for (char a = 'a'; a <= 'h'; ++a) {
    for (int i = 0; i < 3; ++i) {
      if (random.OneIn(1, 2)) keys.push_back(std::string(1, a) + std::to_string(i));
    }
  }
  keys.emplace_back("\xFF");
  keys.emplace_back("\xFF\xFF");
  Put(keys);
  const auto any_selector = [&] {
    std::string key;
    switch (random.Below(4)) {
      case 0:
        key = keys[random.Below(keys.size())];
        break;
      case 1:
        key = std::string(1, static_cast<char>('a' + random.Below(10)));
        break;
      case 2:
        key = "\xFF\xFF\xFF";
        break;
      default:
        break;
    }
    const auto offset = static_cast<std::int32_t>(random.Below(9)) - 4;
    return KeySelector{key, random.OneIn(1, 2), random.OneIn(1, 2) ? 1 : offset};
  };
  for (int i = 0; i < 20'000; ++i) {
    kv::RangeQuery query;
    query.begin = any_selector();
    if (random.OneIn(3, 4)) query.end = any_selector();
    query.limit = random.Below(5);
    query.reverse = random.OneIn(1, 2);
    const std::size_t begin = ModelResolve(keys, query.begin);
    const std::size_t end = query.end ? ModelResolve(keys, *query.end) : keys.size();
    Strings expected;
    if (begin < end) {
      expected.assign(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                      keys.begin() + static_cast<std::ptrdiff_t>(end));
    }
    if (query.reverse) std::reverse(expected.begin(), expected.end());
    const bool cut = query.limit != 0 && expected.size() > query.limit;
    if (cut) expected.resize(query.limit);
    bool has_more = false;
    ASSERT_EQ(Keys(query, &has_more), expected) << "query " << i;
    ASSERT_EQ(has_more, cut) << "query " << i;
  }
}

TEST_F(ReaderTest, HasMoreOnlyIfAFurtherKeyExists) {
  Put({"a", "b", "c", "d"});
  kv::RangeQuery query;
  query.end = KeySelector::FirstGreaterOrEqual("d");
  query.limit = 3;
  bool has_more = true;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a", "b", "c"}));
  EXPECT_FALSE(has_more);
  query.limit = 2;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a", "b"}));
  EXPECT_TRUE(has_more);
}

TEST_F(ReaderTest, AnswersAreBoundedByBytesButNeverEmptyForThat) {
  Put({"a", "b", "c"});  // Three bytes a pair.
  kv::RangeQuery query;
  bool has_more = false;
  query.max_bytes = 6;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a", "b"}));
  EXPECT_TRUE(has_more);
  query.max_bytes = 9;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a", "b", "c"}));
  EXPECT_FALSE(has_more);
  query.max_bytes = 1;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a"}));
  EXPECT_TRUE(has_more);
  // The configured limit holds, whatever is asked for.
  limits_.range_answer_bytes = 3;
  query.max_bytes = 1000;
  EXPECT_EQ(Keys(query, &has_more), (Strings{"a"}));
}

TEST_F(ReaderTest, ALongScanIsStoppedByItsCheck) {
  Strings keys;
  for (int i = 0; i < 5000; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  Put(keys);
  int checks = 0;
  const auto result = ReadRange(engine_, FamilyId(), {}, Version(2), limits_, [&]() -> Status {
    return ++checks == 3 ? TimeoutError("late") : Status::Ok();
  });
  EXPECT_EQ(result.status().code(), StatusCode::kTimeout);
  // Skipping is as bounded as reading.
  checks = 0;
  kv::RangeQuery skip;
  skip.begin = KeySelector::FirstGreaterOrEqual("", 1'000'000);
  const auto skipped = ReadRange(engine_, FamilyId(), skip, Version(2), limits_, [&]() -> Status {
    return ++checks == 3 ? TimeoutError("late") : Status::Ok();
  });
  EXPECT_EQ(skipped.status().code(), StatusCode::kTimeout);
}

}  // namespace
}  // namespace cairn::replication
