#include "src/dram/store/local_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "src/base/clock.h"
#include "src/base/sanitizers.h"

namespace cairn::dram {
namespace {

std::unique_ptr<LocalStore> Make(std::uint64_t capacity, bool lru = false) {
  LocalStore::Options options;
  options.capacity_bytes = capacity;
  options.evict_lru = lru;
  options.boot_id = 77;
  return *LocalStore::Make(options);
}
std::string Get(LocalStore& store, std::string_view key) {
  const auto found = store.Read({key, {}, {}, {}});
  return found.ok() && found->state == ReadState::kValue ? found->value.ToString() : "(none)";
}
Generation Put(LocalStore& store, std::string_view key, std::string_view value,
               Generation if_equal = {}) {
  const auto written = store.Write({key, if_equal}, value);
  EXPECT_TRUE(written.ok()) << written.status().ToString();
  return written.ok() ? *written : Generation::Unknown();
}
std::vector<std::string> ListAll(LocalStore& store, KeyRange range, std::uint64_t limit,
                                 std::size_t strip = 0) {
  std::vector<std::string> keys;
  for (;;) {
    const auto page = store.List(range, limit, strip);
    const auto listed = DecodeListedKeys(page.count, page.entries);
    for (const auto& key : *listed) keys.push_back(key.key);
    if (page.next.empty()) return keys;
    range.inclusive_min = page.next;
  }
}

TEST(LocalStoreTest, WritesConditionsAndGenerations) {
  const auto store = Make(1 << 20);
  const Generation first = Put(*store, "k", "one", Generation::NoValue());
  EXPECT_EQ(first.boot_id, 77u);
  EXPECT_TRUE(Put(*store, "k", "two", Generation::NoValue()).IsUnknown());
  EXPECT_EQ(Get(*store, "k"), "one");
  const Generation second = Put(*store, "k", "two", first);
  EXPECT_NE(second, first);
  EXPECT_TRUE(Put(*store, "k", "three", first).IsUnknown());
  EXPECT_TRUE(store->Delete({"k", first}).IsUnknown());
  EXPECT_TRUE(store->Delete({"k", second}).IsNoValue());
  EXPECT_TRUE(store->Delete({"k", Generation::NoValue()}).IsNoValue());
  EXPECT_TRUE(store->Delete({"k", second}).IsUnknown());
  // After a delete, the generations go on.
  const Generation again = Put(*store, "k", "one");
  EXPECT_NE(again, first);
  EXPECT_GT(again.counter, second.counter);
}

TEST(LocalStoreTest, ReadsByRangeAndCondition) {
  const auto store = Make(1 << 20);
  const Generation g = Put(*store, "k", "0123456789");
  EXPECT_EQ(store->Read({"k", {3, 7}, {}, {}})->value.view(), "3456");
  EXPECT_EQ(store->Read({"k", {-3, -1}, {}, {}})->value.view(), "789");
  EXPECT_EQ(store->Read({"k", {4, 4}, {}, {}})->value.view(), "");
  for (const ByteRange bad : {ByteRange{0, 11}, {-11, -1}, {5, 4}, {11, -1}, {-3, 9}}) {
    EXPECT_EQ(store->Read({"k", bad, {}, {}}).status().code(), StatusCode::kOutOfRange);
  }
  EXPECT_EQ(store->Read({"k", {}, {}, g})->state, ReadState::kUnspecified);
  EXPECT_EQ(store->Read({"k", {}, {1, 2}, {}})->state, ReadState::kUnspecified);
  EXPECT_EQ(store->Read({"k", {}, {1, 2}, {}})->generation, g);
  EXPECT_EQ(store->Read({"k", {}, g, {1, 2}})->state, ReadState::kValue);
  EXPECT_EQ(store->Read({"missing", {}, g, {}})->state, ReadState::kMissing);
}

TEST(LocalStoreTest, ReadersKeepWhatTheyRead) {
  auto store = Make(256 << 10);
  const std::string value(100'000, 'a');
  Put(*store, "k", value);
  Buffer held = store->Read({"k", {}, {}, {}})->value;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(held.data()) % 64, 0u);
  Put(*store, "k", std::string(100'000, 'b'));
  EXPECT_EQ(held.view(), value);
  // The memory is taken until the reader is gone.
  EXPECT_EQ(store->Write({"j", {}}, value).status().code(), StatusCode::kResourceExhausted);
  held = Buffer();
  Put(*store, "j", value);
  held = store->Read({"j", {}, {}, {}})->value;
  store.reset();
  EXPECT_EQ(held.view(), value);
}

TEST(LocalStoreTest, CapacityIsHardAndLosesNothing) {
  const auto store = Make(1 << 20);
  int written = 0;
  while (store->Write({"key" + std::to_string(written), {}}, std::string(5000, 'v')).ok())
    ++written;
  EXPECT_GT(written, 180);
  const auto refused = store->Write({"key0", {}}, std::string(5000, 'x'));
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), ::testing::HasSubstr("capacity_bytes"));
  for (int i = 0; i < written; ++i) {
    EXPECT_EQ(Get(*store, "key" + std::to_string(i)), std::string(5000, 'v'));
  }
  EXPECT_TRUE(store->Delete({"key1", {}}).IsNoValue());
  Put(*store, "key0", std::string(5000, 'x'));
}

TEST(LocalStoreTest, EvictionTakesTheLeastRecentlyUsed) {
  const auto store = Make(1 << 20, /*lru=*/true);
  for (int i = 0; i < 10; ++i) Put(*store, "k" + std::to_string(i), std::string(90'000, 'v'));
  for (const int used : {0, 3, 7}) Get(*store, "k" + std::to_string(used));
  for (int i = 0; i < 6; ++i) Put(*store, "new" + std::to_string(i), std::string(90'000, 'v'));
  for (const int kept : {0, 3, 7}) EXPECT_NE(Get(*store, "k" + std::to_string(kept)), "(none)");
  EXPECT_EQ(Get(*store, "k1"), "(none)");
  // What can never fit evicts nothing.
  const auto before = ListAll(*store, {}, 100);
  EXPECT_FALSE(store->Write({"huge", {}}, std::string(2 << 20, 'v')).ok());
  EXPECT_EQ(ListAll(*store, {}, 100), before);
}

std::uint64_t Figure(const LocalStore& store, std::string_view figure) {
  for (const auto& [name, number] : store.figures()) {
    if (name == figure) return number;
  }
  return 0;
}

// A condition that does not hold changes nothing, the room of others included.
TEST(LocalStoreTest, AFailedConditionEvictsNothing) {
  const auto store = Make(1 << 20, /*lru=*/true);
  const std::string value(200'000, 'v');
  for (const char* const key : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(store->Write({key, {}}, value).ok());
  }
  const std::string large(900'000, 'w');
  for (const char* const key : {"a", "new"}) {
    const auto written = store->Write({key, Generation{1, 1}}, large);
    ASSERT_TRUE(written.ok()) << written.status().ToString();
    EXPECT_TRUE(written->IsUnknown());
  }
  EXPECT_EQ(Figure(*store, "writes"), 7U) << "with those that changed nothing";
  for (const char* const key : {"a", "b", "c", "d", "e"}) {
    EXPECT_EQ(store->Read({key, {}, {}, {}})->value_bytes, value.size()) << key;
  }
}

// Room is made by other values, also if the own one is the oldest.
TEST(LocalStoreTest, AConditionalWriteDoesNotEvictItsOwnKey) {
  const auto store = Make(1 << 20, /*lru=*/true);
  const std::string value(400'000, 'v');
  const auto first = store->Write({"counter", {}}, value);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(store->Write({"other", {}}, value).ok());
  const auto second = store->Write({"counter", *first}, value);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_FALSE(second->IsUnknown());
  EXPECT_EQ(store->Read({"counter", {}, {}, {}})->generation, *second);
  // Where there is no other one, the write fails and the value stays.
  const auto third = store->Write({"counter", *second}, std::string(900'000, 'w'));
  EXPECT_EQ(third.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store->Read({"counter", {}, {}, {}})->generation, *second);
}

// While its payload comes, others make room too.
TEST(LocalStoreTest, AConditionalWriteKeepsItsValueUntilItIsCommitted) {
  const auto store = Make(1 << 20, /*lru=*/true);
  const auto first = store->Write({"counter", {}}, std::string(100'000, 'v'));
  ASSERT_TRUE(first.ok());
  auto pending = store->Prepare("counter", 100'000, *first);
  ASSERT_TRUE(pending.ok() && pending->has_value());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(store->Write({"other" + std::to_string(i), {}}, std::string(100'000, 'o')).ok());
  }
  EXPECT_FALSE(store->Commit(**std::move(pending), *first).IsUnknown());
}

TEST(LocalStoreTest, AValueThatCanNeverFitEvictsNothing) {
  const auto store = Make(1 << 20, /*lru=*/true);
  ASSERT_TRUE(store->Write({"small", {}}, "v").ok());
  // Less than the capacity, but a large value begins at a cache line behind its key.
  const auto written = store->Write({"big", {}}, std::string((1 << 20) - 51, 'w'));
  EXPECT_EQ(written.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store->Read({"small", {}, {}, {}})->value_bytes, 1U);
}

// Evicting what a reader holds would lose it and free nothing.
TEST(LocalStoreTest, EvictionPassesOverWhatReadersHold) {
  const auto store = Make(1 << 20, /*lru=*/true);
  std::vector<Buffer> held;
  for (int i = 0; i < 10; ++i) {
    const std::string key = "k" + std::to_string(i);
    Put(*store, key, std::string(90'000, static_cast<char>('0' + i)));
    if (i < 3) held.push_back(store->Read({key, {}, {}, {}})->value);
  }
  for (int i = 3; i < 10; ++i) (void)Get(*store, "k" + std::to_string(i));
  // The three are the least recently used now.
  for (int i = 0; i < 20; ++i) Put(*store, "new" + std::to_string(i), std::string(90'000, 'v'));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(held[i].view(), std::string(90'000, static_cast<char>('0' + i)));
    EXPECT_EQ(Get(*store, "k" + std::to_string(i)), held[i].view());
  }
  EXPECT_EQ(Get(*store, "k3"), "(none)");

  // With all of it held there is nothing to gain, and nothing goes.
  const auto keys = ListAll(*store, {}, 100);
  for (const std::string& key : keys) held.push_back(store->Read({key, {}, {}, {}})->value);
  const std::uint64_t evicted = Figure(*store, "evicted");
  EXPECT_EQ(store->Write({"one more", {}}, std::string(90'000, 'v')).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(ListAll(*store, {}, 100), keys);
  EXPECT_EQ(Figure(*store, "evicted"), evicted);
  held.clear();
  Put(*store, "one more", std::string(90'000, 'v'));
  EXPECT_EQ(Figure(*store, "evicted"), evicted + 1);
}

std::string AsMuch(std::size_t bytes) { return std::string(bytes, 'v'); }

// Among what readers hold there may be no piece that is large enough, whatever goes.
TEST(LocalStoreTest, EvictionThatCannotMakeRoomIsNotBegun) {
  const auto store = Make(1 << 20, /*lru=*/true);
  for (int i = 0; i < 10; ++i) Put(*store, "k" + std::to_string(i), AsMuch(90'000));
  Buffer held = store->Read({"k5", {}, {}, {}})->value;
  const auto keys = ListAll(*store, {}, 100);
  const auto refused = store->Write({"large", {}}, AsMuch(700'000));
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  // Each value takes 22 pages of 256; the five before the one held are fewer than what is behind.
  EXPECT_THAT(refused.status().message(),
              ::testing::HasSubstr(std::to_string((256 - 6 * 22) * 4096) + " with all evicted"));
  EXPECT_EQ(ListAll(*store, {}, 100), keys);
  EXPECT_EQ(Figure(*store, "evicted"), 0U);
  // What does fit beside the one that is held comes in.
  Put(*store, "large", AsMuch(500'000));
  EXPECT_EQ(held.view(), AsMuch(90'000));
  held = Buffer();
  Put(*store, "large", AsMuch(700'000));
}

// Pieces of a page, every fourth of them held: three pages in a row at most.
TEST(LocalStoreTest, EvictionThatCannotMakeRoomForASmallValueIsNotBegun) {
  const auto store = Make(256 << 10, /*lru=*/true);
  std::vector<Buffer> held;
  for (int i = 0; i < 64; ++i) {
    const std::string key = "k" + std::to_string(i);
    Put(*store, key, AsMuch(4000));
    if (i % 4 == 3) held.push_back(store->Read({key, {}, {}, {}})->value);
  }
  ASSERT_EQ(Figure(*store, "largest_free_bytes"), 0U);
  EXPECT_EQ(store->Write({"five pages", {}}, AsMuch(20'000)).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(Figure(*store, "evicted"), 0U);
  EXPECT_EQ(Figure(*store, "keys"), 64U);
  Put(*store, "one page", AsMuch(4000));
  EXPECT_EQ(Figure(*store, "evicted"), 1U);
  held.erase(held.begin());
  Put(*store, "five pages", AsMuch(20'000));
  for (const Buffer& buffer : held) EXPECT_EQ(buffer.view(), AsMuch(4000));
}

TEST(LocalStoreTest, ALargeValueAmongVeryManySmallOnes) {
  const auto store = Make(8 << 20, /*lru=*/true);
  constexpr int kKeys = (8 << 20) / 256;
  for (int i = 0; i < kKeys; ++i) Put(*store, "k" + std::to_string(i), AsMuch(200));
  ASSERT_EQ(Figure(*store, "keys"), kKeys);
  ASSERT_EQ(Figure(*store, "largest_free_bytes"), 0U);
  const std::string middle = "k" + std::to_string(kKeys / 2);
  const Buffer held = store->Read({middle, {}, {}, {}})->value;
  EXPECT_EQ(store->Write({"large", {}}, AsMuch(5 << 20)).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(Figure(*store, "evicted"), 0U);
  Put(*store, "large", AsMuch(4'000'000));
  // Those that were used last stay.
  EXPECT_LT(Figure(*store, "evicted"), kKeys * 5 / 8);
  EXPECT_EQ(Get(*store, "k" + std::to_string(kKeys - 1)), AsMuch(200));
  EXPECT_EQ(Get(*store, middle), AsMuch(200));
}

// 64 bytes to 128 KiB, with readers that hold some; what is found is what was written last.
TEST(LocalStoreTest, EvictionUnderMixedSizes) {
  const auto store = Make(4 << 20, /*lru=*/true);
  std::mt19937_64 random(1);
  const auto value_of = [](std::uint64_t key, std::uint64_t version) {
    const std::size_t size = std::size_t{64} << (version / 3 % 12);
    std::string value(size - version % 50, static_cast<char>('a' + key % 26));
    return value.append(std::to_string(version));
  };
  std::map<std::uint64_t, std::uint64_t> versions;
  std::vector<std::pair<Buffer, std::string>> held(8);
  const std::uint64_t rounds = kSanitized ? 3'000 : 30'000;
  std::uint64_t found = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t key = random() % 300;
    const std::string name = "key" + std::to_string(key);
    if (round % 3 == 0) {
      versions[key] = round;
      Put(*store, name, value_of(key, round));
      ASSERT_EQ(Get(*store, name), value_of(key, round));
      continue;
    }
    const auto read = store->Read({name, {}, {}, {}});
    if (read->state != ReadState::kValue) continue;
    ++found;
    ASSERT_TRUE(read->value.view() == value_of(key, versions.at(key))) << name;
    auto& slot = held[random() % held.size()];
    ASSERT_TRUE(slot.first.view() == slot.second);
    slot = {read->value, value_of(key, versions.at(key))};
  }
  EXPECT_GT(found, rounds / 10);
  EXPECT_GT(Figure(*store, "evicted"), rounds / 20);
  EXPECT_EQ(Figure(*store, "refused_for_room"), 0u);
}

// What is held and on its way at a time leaves room for the largest: nobody is refused, however the
// others change the store while it is looked over.
TEST(LocalStoreTest, WritersThatEvictBesideEachOtherAreNotRefused) {
  const auto store = Make(16 << 20, /*lru=*/true);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t + 1);
      Buffer held;
      for (int i = 0; i < (kSanitized ? 500 : 5'000); ++i) {
        const std::string key = "k" + std::to_string(random() % 500);
        auto pending =
            store->Prepare(key, (std::size_t{1} << (10 + random() % 9)) + random() % 200'000, {});
        ASSERT_TRUE(pending.ok()) << pending.status().ToString();
        ASSERT_FALSE(store->Commit(**std::move(pending), {}).IsUnknown());
        if (i % 3 == 0)
          held = store->Read({"k" + std::to_string(random() % 500), {}, {}, {}})->value;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(Figure(*store, "evicted"), 1'000U);
  EXPECT_EQ(Figure(*store, "refused_for_room"), 0U);
}

TEST(LocalStoreTest, ListsInOrderWhateverThePageSize) {
  const auto store = Make(8 << 20);
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "a/" + std::to_string(i * 7919 % 3000);
    expected.push_back(key);
    Put(*store, key, "v");
  }
  Put(*store, "b", "v");
  std::sort(expected.begin(), expected.end());
  for (const std::uint64_t limit : {1, 7, 100, 5000}) {
    EXPECT_EQ(ListAll(*store, KeyRange::Prefix("a/"), limit), expected) << limit;
  }
  EXPECT_THAT(ListAll(*store, {"a/2998", "a/3"}, 10, 2), ::testing::ElementsAre("2998", "2999"));
  EXPECT_EQ(ListAll(*store, {"c", ""}, 10).size(), 0u);
}

TEST(LocalStoreTest, DeletesRangesInSteps) {
  const auto store = Make(8 << 20);
  for (int i = 0; i < 1000; ++i) Put(*store, std::to_string(i), "v");
  KeyRange range{"", "5"};
  std::uint64_t deleted = 0;
  for (;;) {
    const auto step = store->DeleteRange(range, 100);
    EXPECT_LE(step.deleted, 100u);
    deleted += step.deleted;
    if (step.next.empty()) break;
    range.inclusive_min = step.next;
  }
  EXPECT_EQ(deleted, 445u);
  EXPECT_EQ(ListAll(*store, {}, 1000).size(), 555u);
}

TEST(LocalStoreTest, OneConditionalWriteOfManyWins) {
  const auto store = Make(8 << 20);
  const int rounds = kSanitized ? 200 : 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        for (;;) {
          const auto now = store->Read({"n", {}, {}, {}});
          const std::string next = now->state == ReadState::kMissing
                                       ? "1"
                                       : std::to_string(std::stoi(now->value.ToString()) + 1);
          if (!Put(*store, "n", next, now->generation).IsUnknown()) break;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Get(*store, "n"), std::to_string(4 * rounds));
}

TEST(LocalStoreTest, OverheadOfASmallEntryIsBelow100Bytes) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's allocator pads and counts nothing";
  constexpr int kEntries = 300'000;
  const auto store = Make(256 << 20);
  const std::size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
  std::uint64_t payload = 0;
  for (int i = 0; i < kEntries; ++i) {
    const std::string key = "metrics/host-" + std::to_string(i);
    const std::string value(static_cast<std::size_t>(32 + i % 64), 'v');
    payload += key.size() + value.size();
    Put(*store, key, value);
  }
  const std::size_t directory = mallinfo2().uordblks + mallinfo2().hblkhd - heap;
  const std::uint64_t region = Figure(*store, "used_bytes");
  const double page_table = static_cast<double>(region) / 4096 * 16;
  const double overhead =
      (static_cast<double>(region + directory - payload) + page_table) / kEntries;
  std::cout << "overhead of a small entry: " << overhead << " bytes\n";
  EXPECT_LT(overhead, 100);
}

// A small value that nobody reads is overwritten where it lies; one that is read stays as it was.
TEST(LocalStoreTest, WhoReadsASmallValueKeepsIt) {
  for (const std::size_t size : {1, 256, 2048, 2049}) {
    const auto store = Make(1 << 20);
    const auto read = [&store] { return *store->Read({"key", {}, {}, {}}); };
    Put(*store, "key", std::string(size, 'a'));
    const auto first = read();
    const Generation second = Put(*store, "key", std::string(size, 'b'));
    EXPECT_NE(first.generation, second);
    const char* place = nullptr;
    {
      const auto found = read();
      EXPECT_EQ(found.value.ToString(), std::string(size, 'b'));
      EXPECT_EQ(found.generation, second);
      place = found.value.data();
      EXPECT_NE(place, first.value.data());
    }
    const Generation third = Put(*store, "key", std::string(size, 'c'));
    EXPECT_NE(third, second);
    const auto last = read();
    EXPECT_EQ(last.value.ToString(), std::string(size, 'c'));
    EXPECT_EQ(last.generation, third);
    EXPECT_EQ(last.value.data() == place, size <= 2048) << size;
    EXPECT_EQ(first.value.ToString(), std::string(size, 'a'));
    EXPECT_EQ(ListAll(*store, {}, 10).size(), 1U);
  }
}

}  // namespace
}  // namespace cairn::dram
