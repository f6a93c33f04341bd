#include "src/dram/pool/testing/store_conformance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "src/base/clock.h"

namespace cairn::dram {
namespace {

class SuiteTest : public ::testing::Test {
 public:
  SuiteTest(StoreTest test, StoreHarnessFactory factory)
      : test_(test), factory_(std::move(factory)) {}
  void TestBody() override {
    const std::unique_ptr<StoreHarness> harness = factory_();
    test_.run(harness->store());
  }

 private:
  const StoreTest test_;
  const StoreHarnessFactory factory_;
};

std::string Quoted(const std::vector<std::string>& nodes, const std::string& without) {
  std::string list;
  for (const std::string& node : nodes) {
    if (node != without) list += (list.empty() ? "\"" : ", \"") + node + "\"";
  }
  return list;
}

}  // namespace

void RegisterStoreConformance(const std::string& suite, const StoreHarnessFactory& factory) {
  for (const auto& part : {PointTests(), ConditionTests(), RangeTests(), ConcurrencyTests()}) {
    for (const StoreTest& test : part) {
      ::testing::RegisterTest(
          suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
          [test, factory]() -> ::testing::Test* { return new SuiteTest(test, factory); });
    }
  }
}

void AwaitPeers(const RemoteDram& store) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (;;) {
    const auto peers = store.Peers();
    if (std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return peer.connected; })) {
      return;
    }
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
    std::this_thread::yield();
  }
}

Result<WriteResult> Put(RemoteDram& store, std::string_view key, std::string_view value,
                        WriteOptions options) {
  return store.Write(key, Buffer::Borrow(value), options).Get();
}

std::string Value(RemoteDram& store, std::string_view key, ReadOptions options) {
  const auto result = store.Read(key, options).Get();
  if (!result.ok()) return std::string(StatusCodeName(result.status().code()));
  if (result->state == ReadResult::State::kMissing) return "(missing)";
  if (result->state == ReadResult::State::kUnspecified) return "(unspecified)";
  return result->value.ToString();
}

std::string Bytes(std::size_t size, std::uint64_t seed) {
  SeededRandom random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

std::string NodeSpec(const std::string& self, const std::vector<std::string>& nodes,
                     const std::string& more) {
  return R"({"listen_addr": ")" + self + R"(", "capacity_bytes": "64MiB", "remote_addrs": [)" +
         Quoted(nodes, self) + "]" + more + "}";
}

std::string ClientSpec(const std::vector<std::string>& nodes, const std::string& more) {
  return R"({"remote_addrs": [)" + Quoted(nodes, "") + "]" + more + "}";
}

}  // namespace cairn::dram
