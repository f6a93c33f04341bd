// Many threads at once, and operations that are given up.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "src/base/clock.h"
#include "src/base/sanitizers.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

constexpr int kThreads = 4;

void Together(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
}

// Read, add one, write if nobody else did: every addition counts.
void NoUpdateIsLost(RemoteDram& store) {
  const int rounds = kSanitized ? 30 : 150;
  Together([&](int) {
    for (int done = 0; done < rounds;) {
      const auto read = store.Read("counter").Get();
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      const int value = read->value.empty() ? 0 : std::stoi(read->value.ToString());
      const auto written = Put(store, "counter", std::to_string(value + 1), {read->generation, {}});
      ASSERT_TRUE(written.ok()) << written.status().ToString();
      if (!written->generation.IsUnknown()) ++done;
    }
  });
  EXPECT_EQ(Value(store, "counter"), std::to_string(kThreads * rounds));
}

// Each thread against a map of its own keys.
void AsAMapWould(RemoteDram& store) {
  const int rounds = kSanitized ? 100 : 500;
  Together([&](int t) {
    SeededRandom random(static_cast<std::uint64_t>(t));
    std::map<std::string, std::string> model;
    for (int i = 0; i < rounds; ++i) {
      const std::string key = std::to_string(t) + "/" + std::to_string(random.Below(10));
      const std::uint64_t choice = random.Below(10);
      if (choice < 4) {
        const std::string value = Bytes(random.Below(choice == 0 ? 200'000 : 200), random.Next());
        ASSERT_TRUE(Put(store, key, value).ok());
        model[key] = value;
      } else if (choice < 5) {
        ASSERT_TRUE(store.Delete(key).Get().ok());
        model.erase(key);
      } else {
        const auto it = model.find(key);
        ASSERT_TRUE(Value(store, key) == (it == model.end() ? "(missing)" : it->second));
      }
    }
  });
}

// A value is always one that was written as a whole.
void ValuesAreNeverTorn(RemoteDram& store) {
  const int rounds = kSanitized ? 20 : 100;
  constexpr std::size_t kSize = 300'000;
  ASSERT_TRUE(Put(store, "k", std::string(kSize, 'z')).ok());
  Together([&](int t) {
    for (int i = 0; i < rounds; ++i) {
      if (t % 2 == 0) {
        ASSERT_TRUE(Put(store, "k", std::string(kSize, static_cast<char>('a' + i % 26))).ok());
      } else {
        const std::string value = Value(store, "k");
        ASSERT_EQ(value.size(), kSize);
        ASSERT_EQ(value.find_first_not_of(value[0]), std::string::npos);
      }
    }
  });
}

// Cancelled at any moment, an operation ends all the same, one way or the other.
void CancelledOperationsEnd(RemoteDram& store) {
  const std::string large = Bytes(1 << 20, 1);
  for (int i = 0; i < 50; ++i) {
    auto written = store.Write("k", Buffer::Borrow(large));
    if (i % 3 != 0) written.Cancel();
    auto read = store.Read("k");
    auto listed = store.List({});
    if (i % 2 == 0) read.Cancel();
    listed.Cancel();
    const auto wrote = written.Get();
    EXPECT_TRUE(wrote.ok() || wrote.status().code() == StatusCode::kCancelled ||
                wrote.status().code() == StatusCode::kUnavailable)
        << wrote.status().ToString();
    const auto got = read.Get();
    EXPECT_TRUE(got.ok() || got.status().code() == StatusCode::kCancelled ||
                got.status().code() == StatusCode::kUnavailable)
        << got.status().ToString();
    (void)listed.Get();
  }
  // It works as before. The connection may have been made anew to take back what was lent.
  Status status = UnavailableError("");
  for (int i = 0; i < 100 && !status.ok(); ++i) status = Put(store, "k", "v").status();
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Value(store, "k"), "v");
}

}  // namespace

std::vector<StoreTest> ConcurrencyTests() {
  return {{"NoUpdateIsLost", NoUpdateIsLost},
          {"AsAMapWould", AsAMapWould},
          {"ValuesAreNeverTorn", ValuesAreNeverTorn},
          {"CancelledOperationsEnd", CancelledOperationsEnd}};
}

}  // namespace cairn::dram
