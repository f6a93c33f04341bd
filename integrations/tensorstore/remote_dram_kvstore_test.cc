// TensorStore's own conformance tests of key-value stores over the driver "remote_dram": on a
// server itself, as a client of another process's server over each of the ways, and as one of three
// nodes; and round trips of specs and URLs. remote_dram_more_test.cc has what those tests do not
// ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "remote_dram_testing.h"
#include "tensorstore/context.h"
#include "tensorstore/internal/global_initializer.h"
#include "tensorstore/kvstore/driver.h"
#include "tensorstore/kvstore/kvstore.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/kvstore/spec.h"
#include "tensorstore/kvstore/supported_features.h"
#include "tensorstore/kvstore/test_util.h"

namespace cairn_testing {
namespace {

namespace kvstore = tensorstore::kvstore;
using ::tensorstore::KvStore;
using ::tensorstore::kvstore::SupportedFeatures;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using Use = absl::FunctionRef<void(const KvStore& store)>;

void Register(const std::string& name, std::function<void(Use)> get_store, std::size_t value_size) {
  tensorstore::internal::KeyValueStoreOpsTestParameters parameters;
  parameters.test_name = name;
  parameters.get_store = std::move(get_store);
  parameters.value_size = value_size;
  tensorstore::internal::RegisterKeyValueStoreOpsTests(parameters);
}

// A server that nobody else has opened, nor will: drivers of one spec share it.
nlohmann::json OwnServer() {
  static std::atomic<int> number = 0;
  return {{"driver", "remote_dram"},
          {"listen_addr", "127.0.0.1:0"},
          {"capacity_bytes", (64 << 20) + ++number}};
}

TENSORSTORE_GLOBAL_INITIALIZER {
  Register(
      "RemoteDramServer", [](Use use) { use(Open(OwnServer())); }, 0);
  for (const Way way : kWays) {
    const auto as_client = [way](Use use) {
      const Server server(way);
      use(Open(server.Client()));
    };
    Register("RemoteDramClient" + NameOf(way), as_client, 0);
    // Beyond what goes in one message.
    Register("RemoteDramLarge" + NameOf(way), as_client, 1 << 20);
    const auto as_node = [way](Use use) {
      const Pool pool(way);
      use(Open(pool.spec()));
    };
    Register("RemoteDramPool" + NameOf(way), as_node, 0);
  }
}

class RemoteDramWaysTest : public TestWithParam<Way> {};

INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramWaysTest, testing::ValuesIn(kWays),
                         [](const auto& way) { return NameOf(way.param); });

TEST_P(RemoteDramWaysTest, ConcurrentWrites) {
  const Server server(GetParam());
  std::atomic<int> number = 0;
  tensorstore::internal::TestConcurrentWritesOptions options;
  // Each thread is a client of its own.
  options.get_store = [&] { return Open(server.Client(++number)); };
  tensorstore::internal::TestConcurrentWrites(options);
}

TEST_P(RemoteDramWaysTest, ASpecRoundTrips) {
  const Server server(GetParam());
  tensorstore::internal::KeyValueStoreSpecRoundtripOptions options;
  options.full_spec = server.Client();
  tensorstore::internal::TestKeyValueStoreSpecRoundtrip(options);
}

// The others would have to be shown what the way is.
TEST(RemoteDramKvStoreTest, ASpecAndItsUrlRoundTrip) {
  const ServerProcess server;
  tensorstore::internal::KeyValueStoreSpecRoundtripOptions options;
  options.full_spec = {{"driver", "remote_dram"}, {"remote_addr", server.address()}};
  options.url = "remote-dram://" + server.address() + "/";
  tensorstore::internal::TestKeyValueStoreSpecRoundtrip(options);
}

TEST(RemoteDramKvStoreTest, UrlsRoundTrip) {
  const std::vector<std::pair<std::string, std::string>> paths = {
      {"", ""},
      {"array/", "array/"},
      {"a b/%/ü?#", "a%20b/%25/%C3%BC%3F%23"},
      {"@tag", "%40tag"},
  };
  for (const auto& [path, encoded] : paths) {
    nlohmann::json spec = {{"driver", "remote_dram"}, {"remote_addr", "node1:12345"}};
    if (!path.empty()) spec["path"] = path;
    tensorstore::internal::TestKeyValueStoreUrlRoundtrip(spec,
                                                         "remote-dram://node1:12345/" + encoded);
  }
}

TEST(RemoteDramKvStoreTest, UrlsThatCannotBeSayWhy) {
  for (const auto& [url, advice] : std::vector<std::pair<std::string, std::string>>{
           {"remote-dram:node1:12345", "remote-dram://"},
           {"remote-dram://", "remote_addr"},
           {"remote-dram://node1", "port"},
           {"remote-dram://node1:12345/a?b", "uery"},
           {"remote-dram://node1:12345/a#b", "ragment"}}) {
    const auto spec = kvstore::Spec::FromUrl(url);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr(advice)) << url;
  }
}

TEST(RemoteDramKvStoreTest, ASpecWithoutAUrlRoundTrips) {
  tensorstore::internal::KeyValueStoreSpecRoundtripOptions options;
  options.full_spec = {{"driver", "remote_dram"},
                       {"listen_addr", "127.0.0.1:0"},
                       {"capacity_bytes", "64MiB"},
                       {"eviction", "lru"}};
  tensorstore::internal::TestKeyValueStoreSpecRoundtrip(options);
}

// Members come back as they were written, whatever their order, with what is about the context left
// out where it is the default.
TEST(RemoteDramKvStoreTest, SpecsAreNormalized) {
  tensorstore::internal::TestKeyValueStoreSpecRoundtripNormalize(
      {{"driver", "remote_dram"},
       {"remote_addrs", {"b:2", "a:1"}},
       {"key_routing", "hash"},
       {"data_copy_concurrency", "data_copy_concurrency"},
       {"path", "p/"}},
      {{"driver", "remote_dram"},
       {"key_routing", "hash"},
       {"remote_addrs", {"b:2", "a:1"}},
       {"path", "p/"}});
  // TensorStore's own form of a store without a path.
  tensorstore::internal::TestKeyValueStoreSpecRoundtripNormalize(
      {{"driver", "remote_dram"}, {"remote_addr", "a:1"}, {"path", ""}},
      {{"driver", "remote_dram"}, {"remote_addr", "a:1"}});
}

TEST(RemoteDramKvStoreTest, SpecsThatCannotBeSayWhy) {
  for (const auto& [members, advice] : std::vector<std::pair<nlohmann::json, std::string>>{
           {nlohmann::json::object(), "listen_addr"},
           {{{"remote_addr", "a:1"}, {"replication_factor", 2}}, "set it to 1"},
           {{{"remote_addr", 7}}, "remote_addr"},
           {{{"remote_addr", "a:1"}, {"remote_adr", "a:1"}}, "remote_adr"}}) {
    nlohmann::json spec = members;
    spec["driver"] = "remote_dram";
    const auto store = kvstore::Open(spec, tensorstore::Context::Default()).result();
    EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument) << spec;
    EXPECT_THAT(std::string(store.status().message()), HasSubstr(advice)) << spec;
  }
}

TEST(RemoteDramKvStoreTest, WhatItSupports) {
  const KvStore store = Open({{"driver", "remote_dram"}, {"remote_addr", "a:1"}});
  EXPECT_EQ(store.driver->GetSupportedFeatures({}),
            SupportedFeatures::kSingleKeyAtomicReadModifyWrite |
                SupportedFeatures::kAtomicWriteWithoutOverwrite);
  EXPECT_THAT(store.driver->DescribeKey("a\nb"), HasSubstr(R"("a\nb" in remote_dram)"));
}

// That the ways are what they are called.
TEST(RemoteDramKvStoreTest, AClientSharesMemoryOnlyIfToldTo) {
  for (const auto& [way, connections] :
       std::vector<std::pair<Way, std::uint64_t>>{{Way::kTcp, 0}, {Way::kSharedMemory, 1}}) {
    const Server server(way);
    const KvStore store = Open(server.Client());
    ASSERT_TRUE(kvstore::Write(store, "k", absl::Cord("v")).result().ok());
    // Over TCP, so that asking does not count.
    const Server* const asked = &server;
    nlohmann::json spec = asked->Client();
    spec["shared_memory"] = false;
    EXPECT_EQ(Figure(spec, "shared_memory_connections"), connections) << NameOf(way);
  }
}

}  // namespace
}  // namespace cairn_testing
