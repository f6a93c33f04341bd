// Reads, writes and deletes of single keys without conditions, byte ranges, what is pinned and what
// is borrowed.
#include <gtest/gtest.h>

#include <future>

#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

// Around the sizes at which transports and the store change their ways.
constexpr std::size_t kSizes[] = {
    0, 1, 100, 4095, 4096, 32 << 10, (32 << 10) + 1, 1 << 20, (5 << 20) + 3};

void AMissingKey(RemoteDram& store) {
  const auto result = store.Read("nothing").Get();
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->state, ReadResult::State::kMissing);
  EXPECT_TRUE(result->generation.IsNoValue());
  EXPECT_TRUE(result->value.empty());
}

void ValuesOfAllSizes(RemoteDram& store) {
  for (const std::size_t size : kSizes) {
    const std::string key = "size/" + std::to_string(size);
    const std::string value = Bytes(size, size);
    const auto written = Put(store, key, value);
    ASSERT_TRUE(written.ok()) << written.status().ToString();
    const auto read = store.Read(key).Get();
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->state, ReadResult::State::kValue);
    EXPECT_EQ(read->generation, written->generation);
    EXPECT_EQ(read->value_bytes, size);
    EXPECT_TRUE(read->value.view() == value) << size;
    EXPECT_GE(read->time, written->time);
  }
}

void ValuesGivenAway(RemoteDram& store) {
  // A Buffer with a pin of its own is held only as long as it is needed.
  auto dropped = std::make_shared<std::promise<void>>();
  const std::string bytes = Bytes(1 << 20, 7);
  std::shared_ptr<const void> pin(bytes.data(), [dropped](const void*) { dropped->set_value(); });
  ASSERT_TRUE(store.Write("pinned", Buffer(bytes.data(), bytes.size(), std::move(pin))).Get().ok());
  EXPECT_EQ(dropped->get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  ASSERT_TRUE(store.Write("taken", Buffer::Take(Bytes(100, 8))).Get().ok());
  EXPECT_TRUE(Value(store, "pinned") == bytes);
  EXPECT_EQ(Value(store, "taken"), Bytes(100, 8));
}

void AnyBytesAreAKey(RemoteDram& store) {
  const std::string keys[] = {std::string("\0", 1),
                              std::string("\xFF\xFF"),
                              "a/b/.zarray",
                              std::string("nul\0inside", 10),
                              "\"quoted\"\n",
                              std::string(kMaxKeyBytes, 'k'),
                              std::string(kMaxKeyBytes, '\xFF')};
  for (const std::string& key : keys) ASSERT_TRUE(Put(store, key, "v" + key).ok());
  for (const std::string& key : keys) EXPECT_TRUE(Value(store, key) == "v" + key);
  const auto listed = store.List({}).Get();
  ASSERT_TRUE(listed.ok()) << listed.status().ToString();
  EXPECT_EQ(listed->size(), std::size(keys));
}

void KeysBeyondTheBounds(RemoteDram& store) {
  for (const std::string& key : {std::string(), std::string(kMaxKeyBytes + 1, 'k')}) {
    EXPECT_EQ(Value(store, key), "INVALID_ARGUMENT");
    EXPECT_EQ(Put(store, key, "v").status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(store.Delete(key).Get().status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(store.RouteOf(key).status().code(), StatusCode::kInvalidArgument);
  }
}

void DeleteAndWriteAgain(RemoteDram& store) {
  ASSERT_TRUE(Put(store, "k", "one").ok());
  const auto deleted = store.Delete("k").Get();
  ASSERT_TRUE(deleted.ok());
  EXPECT_TRUE(deleted->generation.IsNoValue());
  EXPECT_EQ(Value(store, "k"), "(missing)");
  EXPECT_TRUE(store.Delete("k").Get().ok());  // of a key that is not there
  ASSERT_TRUE(Put(store, "k", "two").ok());
  EXPECT_EQ(Value(store, "k"), "two");
}

void GenerationsNeverComeBack(RemoteDram& store) {
  std::vector<Generation> seen;
  for (int i = 0; i < 50; ++i) {
    const auto written = Put(store, "k", i % 2 == 0 ? "same" : "other");
    ASSERT_TRUE(written.ok());
    for (const Generation& g : seen) ASSERT_NE(g, written->generation);
    seen.push_back(written->generation);
    if (i % 3 == 0) {
      ASSERT_TRUE(store.Delete("k").Get().ok());
    }
  }
}

void ByteRanges(RemoteDram& store) {
  for (const std::size_t size : {std::size_t{10}, std::size_t{2 << 20}}) {
    const std::string value = Bytes(size, 3);
    ASSERT_TRUE(Put(store, "k", value).ok());
    const auto n = static_cast<std::int64_t>(size);
    const struct {
      ByteRange range;
      std::string expected;
    } cases[] = {{{0, -1}, value},
                 {{3, -1}, value.substr(3)},
                 {{3, 7}, value.substr(3, 4)},
                 {{-5, -1}, value.substr(size - 5)},
                 {{-n, -1}, value},
                 {{4, 4}, ""},
                 {{0, 0}, ""},
                 {{n, n}, ""},
                 {{n, -1}, ""},
                 {{n - 1, n}, value.substr(size - 1)}};
    for (const auto& [range, expected] : cases) {
      const auto read = store.Read("k", {range, {}, {}, {}}).Get();
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_TRUE(read->value.view() == expected) << range.inclusive_min << range.exclusive_max;
      EXPECT_EQ(read->value_bytes, size);
    }
    for (const ByteRange range :
         {ByteRange{0, n + 1}, ByteRange{n + 1, -1}, ByteRange{-n - 1, -1}, ByteRange{5, 4},
          ByteRange{-3, 5}, ByteRange{INT64_MIN, -1}, ByteRange{0, INT64_MAX}, ByteRange{0, -2}}) {
      EXPECT_EQ(Value(store, "k", {range, {}, {}, {}}), "OUT_OF_RANGE")
          << range.inclusive_min << " " << range.exclusive_max;
    }
  }
  EXPECT_EQ(Value(store, "nothing", {{3, 7}, {}, {}, {}}), "(missing)");
}

void WhatWasReadStays(RemoteDram& store) {
  const std::string first = Bytes(1 << 20, 1);
  ASSERT_TRUE(Put(store, "k", first).ok());
  const Buffer read = store.Read("k").Get().value().value;
  for (int i = 2; i < 8; ++i) ASSERT_TRUE(Put(store, "k", Bytes(1 << 20, i)).ok());
  ASSERT_TRUE(store.Delete("k").Get().ok());
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(Put(store, "other" + std::to_string(i), Bytes(1 << 20, 100 + i)).ok());
  }
  EXPECT_TRUE(read.view() == first);
}

void CallbacksMayStartMore(RemoteDram& store) {
  ASSERT_TRUE(Put(store, "k", "v").ok());
  std::promise<int> done;
  int left = 100;
  std::function<void(Result<ReadResult>)> next = [&](const Result<ReadResult>& read) {
    if (!read.ok() || read->value.view() != "v" || --left == 0) {
      done.set_value(left);
      return;
    }
    store.Read("k").OnReady(next);
  };
  store.Read("k").OnReady(next);
  auto result = done.get_future();
  ASSERT_EQ(result.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(result.get(), 0);
}

void Batches(RemoteDram& store) {
  std::vector<WriteRequestItem> writes;
  std::vector<ReadRequestItem> reads;
  for (int i = 0; i < 200; ++i) {
    writes.push_back({"k" + std::to_string(i), Buffer::Copy(Bytes(i, i)), {}});
    reads.push_back({"k" + std::to_string(i), {}});
  }
  reads.push_back({"nothing", {}});
  for (auto& written : store.WriteBatch(std::move(writes))) EXPECT_TRUE(written.Get().ok());
  auto results = store.ReadBatch(reads);
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(results[i].Get().value().value.view() == Bytes(i, i));
  EXPECT_EQ(results[200].Get().value().state, ReadResult::State::kMissing);
}

void RoutesAndPeers(RemoteDram& store) {
  ASSERT_TRUE(Put(store, "k", "v").ok());
  const auto route = store.RouteOf("k");
  ASSERT_TRUE(route.ok()) << route.status().ToString();
  EXPECT_FALSE(route->reason.empty());
  bool found = false;
  for (const PeerStatus& peer : store.Peers()) {
    if (peer.address != route->server) continue;
    found = true;
    EXPECT_EQ(peer.local, route->local);
    EXPECT_TRUE(peer.connected);
  }
  EXPECT_TRUE(found);
}

}  // namespace

std::vector<StoreTest> PointTests() {
  return {{"AMissingKey", AMissingKey},
          {"ValuesOfAllSizes", ValuesOfAllSizes},
          {"ValuesGivenAway", ValuesGivenAway},
          {"AnyBytesAreAKey", AnyBytesAreAKey},
          {"KeysBeyondTheBounds", KeysBeyondTheBounds},
          {"DeleteAndWriteAgain", DeleteAndWriteAgain},
          {"GenerationsNeverComeBack", GenerationsNeverComeBack},
          {"ByteRanges", ByteRanges},
          {"WhatWasReadStays", WhatWasReadStays},
          {"CallbacksMayStartMore", CallbacksMayStartMore},
          {"Batches", Batches},
          {"RoutesAndPeers", RoutesAndPeers}};
}

}  // namespace cairn::dram
