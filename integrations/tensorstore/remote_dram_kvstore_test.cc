// TensorStore's own conformance tests of key-value stores over the driver "remote_dram": on the
// server itself, as a client, and as one of three nodes; round trips of specs and URLs; and what
// those tests do not ask: generations that never come back, cancellation, errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "cairn/remote_dram.h"
#include "tensorstore/context.h"
#include "tensorstore/internal/global_initializer.h"
#include "tensorstore/kvstore/generation.h"
#include "tensorstore/kvstore/kvstore.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/kvstore/spec.h"
#include "tensorstore/kvstore/test_matchers.h"
#include "tensorstore/kvstore/test_util.h"
#include "tensorstore/util/future.h"
#include "tensorstore/util/result.h"

namespace {

namespace kvstore = tensorstore::kvstore;
using ::tensorstore::Context;
using ::tensorstore::KvStore;
using ::tensorstore::StorageGeneration;
using ::tensorstore::internal::KeyValueStoreOpsTestParameters;
using ::testing::HasSubstr;

std::unique_ptr<cairn::RemoteDram> Serve(const std::string& spec) {
  auto server = cairn::RemoteDram::Open(spec);
  EXPECT_TRUE(server.ok()) << server.status().ToString();
  return std::move(*server);
}
std::unique_ptr<cairn::RemoteDram> Serve() {
  return Serve(R"({"listen_addr": "127.0.0.1:0", "capacity_bytes": "256MiB"})");
}

KvStore Open(::nlohmann::json spec) {
  spec["driver"] = "remote_dram";
  auto store = kvstore::Open(spec, Context::Default()).result();
  EXPECT_TRUE(store.ok()) << store.status();
  return *store;
}

KvStore Client(const cairn::RemoteDram& server) {
  return Open({{"remote_addr", server.listen_address()}});
}

using Use = absl::FunctionRef<void(const KvStore& store)>;

void OnAServer(Use use) { use(Open({{"listen_addr", "127.0.0.1:0"}})); }

void OnAClient(Use use) {
  const auto server = Serve();
  use(Client(*server));
}

// The store under test is node 0. Each pool has ports of its own, so that no driver is used twice.
void OnAPool(Use use) {
  static int next_port = 21000;
  std::vector<std::string> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back("127.0.0.1:" + std::to_string(next_port++));
  const auto spec = [&](int self) {
    ::nlohmann::json others = ::nlohmann::json::array();
    for (int i = 0; i < 3; ++i) {
      if (i != self) others.push_back(nodes[i]);
    }
    return ::nlohmann::json{
        {"listen_addr", nodes[self]}, {"remote_addrs", others}, {"key_routing", "hash"}};
  };
  const auto one = Serve(spec(1).dump());
  const auto two = Serve(spec(2).dump());
  use(Open(spec(0)));
}

void Register(const std::string& name, void (*get_store)(Use)) {
  KeyValueStoreOpsTestParameters parameters;
  parameters.test_name = name;
  parameters.get_store = get_store;
  tensorstore::internal::RegisterKeyValueStoreOpsTests(parameters);
}

TENSORSTORE_GLOBAL_INITIALIZER {
  Register("RemoteDramServer", OnAServer);
  Register("RemoteDramClient", OnAClient);
  Register("RemoteDramPool", OnAPool);
}

TEST(RemoteDramKvStoreTest, ConcurrentWrites) {
  const auto server = Serve();
  tensorstore::internal::TestConcurrentWritesOptions options;
  options.get_store = [&] { return Client(*server); };
  tensorstore::internal::TestConcurrentWrites(options);
}

TEST(RemoteDramKvStoreTest, SpecAndUrlRoundTrip) {
  const auto server = Serve();
  tensorstore::internal::KeyValueStoreSpecRoundtripOptions options;
  options.full_spec = {{"driver", "remote_dram"}, {"remote_addr", server->listen_address()}};
  options.url = "remote-dram://" + server->listen_address() + "/";
  tensorstore::internal::TestKeyValueStoreSpecRoundtrip(options);
}

TEST(RemoteDramKvStoreTest, ASpecWithoutAUrlRoundTrips) {
  tensorstore::internal::KeyValueStoreSpecRoundtripOptions options;
  options.full_spec = {{"driver", "remote_dram"},
                       {"listen_addr", "127.0.0.1:0"},
                       {"capacity_bytes", "64MiB"},
                       {"eviction", "lru"}};
  // What it holds goes with it.
  options.check_data_persists = false;
  options.check_data_after_serialization = false;
  tensorstore::internal::TestKeyValueStoreSpecRoundtrip(options);
}

TEST(RemoteDramKvStoreTest, SpecsThatCannotBeSayWhy) {
  for (const auto& [members, advice] : std::vector<std::pair<::nlohmann::json, std::string>>{
           {::nlohmann::json::object(), "listen_addr"},
           {{{"remote_addr", "a:1"}, {"replication_factor", 2}}, "set it to 1"},
           {{{"remote_adr", "a:1"}}, "remote_adr"}}) {
    ::nlohmann::json spec = members;
    spec["driver"] = "remote_dram";
    const auto store = kvstore::Open(spec, Context::Default()).result();
    EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(store.status().message()), HasSubstr(advice));
  }
}

TEST(RemoteDramKvStoreTest, AGenerationNeverComesBack) {
  const auto server = Serve();
  const KvStore store = Client(*server);
  const auto first = kvstore::Write(store, "k", absl::Cord("v")).result();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(kvstore::Delete(store, "k").result().ok());
  ASSERT_TRUE(kvstore::Write(store, "k", absl::Cord("v")).result().ok());
  kvstore::WriteOptions options;
  options.generation_conditions.if_equal = first->generation;
  const auto late = kvstore::Write(store, "k", absl::Cord("w"), options).result();
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_TRUE(StorageGeneration::IsUnknown(late->generation));
}

TEST(RemoteDramKvStoreTest, AServerThatIsGoneIsUnavailable) {
  auto server = Serve();
  const KvStore store = Client(*server);
  ASSERT_TRUE(kvstore::Write(store, "k", absl::Cord("v")).result().ok());
  server.reset();
  const auto read = kvstore::Read(store, "k").result();
  EXPECT_EQ(read.status().code(), absl::StatusCode::kUnavailable);
  // Dropping the future gives the operation up.
  { auto dropped = kvstore::Read(store, "k"); }
}

}  // namespace
