// What TensorStore's conformance tests do not ask of the driver "remote_dram": generations that
// never come back, several clients, servers that are stopped, killed and brought back with
// operations in flight, cancellation, transactions, capacity, and who keeps what alive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "remote_dram_testing.h"
#include "tensorstore/kvstore/driver.h"
#include "tensorstore/kvstore/generation.h"
#include "tensorstore/kvstore/key_range.h"
#include "tensorstore/kvstore/kvstore.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/kvstore/read_result.h"
#include "tensorstore/transaction.h"
#include "tensorstore/util/execution/any_receiver.h"
#include "tensorstore/util/execution/execution.h"
#include "tensorstore/util/future.h"
#include "tensorstore/util/result.h"

namespace cairn_testing {
namespace {

namespace kvstore = tensorstore::kvstore;
using ::tensorstore::Future;
using ::tensorstore::KeyRange;
using ::tensorstore::KvStore;
using ::tensorstore::StorageGeneration;
using ::tensorstore::Transaction;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::TestWithParam;

constexpr std::size_t kLarge = 16 << 20;

// The generation of what it wrote; unknown if the condition did not hold.
StorageGeneration Put(const KvStore& store, std::string_view key, absl::Cord value,
                      kvstore::WriteOptions options = {}) {
  const auto written = kvstore::Write(store, key, std::move(value), std::move(options)).result();
  EXPECT_TRUE(written.ok()) << written.status();
  return written.ok() ? written->generation : StorageGeneration::Unknown();
}

kvstore::WriteOptions IfEqual(const StorageGeneration& generation) {
  kvstore::WriteOptions options;
  options.generation_conditions.if_equal = generation;
  return options;
}

// Nothing if the key has no value.
std::optional<std::string> Get(const KvStore& store, std::string_view key) {
  const auto read = kvstore::Read(store, key).result();
  EXPECT_TRUE(read.ok()) << read.status();
  if (!read.ok() || !read->has_value()) return std::nullopt;
  return std::string(read->value);
}

class RemoteDramMoreTest : public TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramMoreTest, testing::ValuesIn(kWays),
                         [](const auto& way) { return NameOf(way.param); });

// Over a wire, as only a process can be stopped.
class RemoteDramFaultTest : public TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramFaultTest, testing::Values(Way::kTcp, Way::kSharedMemory),
                         [](const auto& way) { return NameOf(way.param); });

TEST_P(RemoteDramMoreTest, AGenerationNeverComesBack) {
  const Server server(GetParam());
  const KvStore one = Open(server.Client(1));
  const KvStore two = Open(server.Client(2));
  std::set<std::string> seen;
  for (int round = 0; round < 100; ++round) {
    const KvStore& store = round % 2 == 0 ? one : two;
    const StorageGeneration generation = Put(store, "k", absl::Cord("same"));
    EXPECT_TRUE(seen.insert(generation.value).second);
    ASSERT_TRUE(kvstore::Delete(store, "k").result().ok());
    // Neither while there is nothing, nor after it was written again.
    EXPECT_TRUE(
        StorageGeneration::IsUnknown(Put(one, "k", absl::Cord("late"), IfEqual(generation))));
    Put(two, "k", absl::Cord("same"));
    EXPECT_TRUE(
        StorageGeneration::IsUnknown(Put(one, "k", absl::Cord("late"), IfEqual(generation))));
    const auto deleted = kvstore::Delete(one, "k", IfEqual(generation)).result();
    ASSERT_TRUE(deleted.ok()) << deleted.status();
    EXPECT_TRUE(StorageGeneration::IsUnknown(deleted->generation));
    kvstore::ReadOptions unless;
    unless.generation_conditions.if_not_equal = generation;
    const auto read = kvstore::Read(two, "k", unless).result();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->value, "same");
  }
}

TEST_P(RemoteDramFaultTest, AGenerationOutlivesItsServer) {
  ServerProcess server;
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  const StorageGeneration old = Put(store, "k", absl::Cord("v"));
  server.Kill();
  const ServerProcess again(server.address());
  EXPECT_EQ(Get(store, "k"), std::nullopt);
  // The same first write to the same server's first key is another one.
  EXPECT_NE(Put(store, "k", absl::Cord("v")), old);
  EXPECT_TRUE(StorageGeneration::IsUnknown(Put(store, "k", absl::Cord("late"), IfEqual(old))));
  EXPECT_EQ(Get(store, "k"), "v");
}

// Generations of another store than this.
TEST_P(RemoteDramMoreTest, AForeignGenerationIsNone) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client());
  Put(store, "k", absl::Cord("v"));
  for (const auto& foreign :
       {StorageGeneration::FromString("etag"), StorageGeneration::FromUint64(1),
        StorageGeneration::FromValues(std::uint64_t{0}, std::uint64_t{0}),
        StorageGeneration::FromValues(std::uint64_t{0}, std::uint64_t{1})}) {
    EXPECT_TRUE(StorageGeneration::IsUnknown(Put(store, "k", absl::Cord("w"), IfEqual(foreign))));
    EXPECT_TRUE(
        StorageGeneration::IsUnknown(Put(store, "none", absl::Cord("w"), IfEqual(foreign))));
  }
  EXPECT_EQ(Get(store, "k"), "v");
}

TEST_P(RemoteDramMoreTest, SeveralClientsCountTogether) {
  constexpr int kClients = 4;
  constexpr int kTimes = 50;
  const Server server(GetParam());
  std::vector<std::thread> threads;
  for (int client = 1; client <= kClients; ++client) {
    threads.emplace_back([&server, client] {
      const KvStore store = Open(server.Client(client));
      for (int done = 0; done < kTimes;) {
        const auto read = kvstore::Read(store, "count").result();
        ASSERT_TRUE(read.ok()) << read.status();
        int count = 0;
        if (read->has_value()) {
          ASSERT_TRUE(absl::SimpleAtoi(std::string(read->value), &count));
        }
        const auto written = Put(store, "count", absl::Cord(absl::StrCat(count + 1)),
                                 IfEqual(read->stamp.generation));
        if (!StorageGeneration::IsUnknown(written)) ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Get(Open(server.Client()), "count"), absl::StrCat(kClients * kTimes));
}

// The contexts are two, and so are the drivers.
TEST(RemoteDramSharedPoolTest, OneSpecIsOneServer) {
  const nlohmann::json spec = {
      {"driver", "remote_dram"}, {"listen_addr", "127.0.0.1:0"}, {"capacity_bytes", "5MiB"}};
  const KvStore one = Open(spec);
  {
    const KvStore two = Open(spec);
    EXPECT_NE(one.driver, two.driver);
    Put(two, "k", absl::Cord("v"));
  }
  EXPECT_EQ(Get(one, "k"), "v");
}

TEST(RemoteDramSharedPoolTest, AServerThatWasClosedCanBeOpenedAgain) {
  const Pool pool(Way::kTcp);
  nlohmann::json spec = pool.spec();
  spec.erase("remote_addrs");
  spec.erase("key_routing");
  for (int round = 0; round < 20; ++round) {
    const KvStore store = Open(spec);
    EXPECT_EQ(Get(store, "k"), std::nullopt);
    Put(store, "k", absl::Cord("v"));
  }
}

TEST(RemoteDramSharedPoolTest, ThreadsThatOpenAtOnceGetOneServer) {
  const nlohmann::json spec = {
      {"driver", "remote_dram"}, {"listen_addr", "127.0.0.1:0"}, {"capacity_bytes", "6MiB"}};
  for (int round = 0; round < 20; ++round) {
    std::vector<KvStore> stores(4);
    std::vector<std::thread> threads;
    for (KvStore& store : stores) threads.emplace_back([&] { store = Open(spec); });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(Get(stores[0], "k"), std::nullopt);
    Put(stores[0], "k", absl::Cord("v"));
    for (const KvStore& store : stores) EXPECT_EQ(Get(store, "k"), "v");
  }
}

// Who opens it waits until who closes it is done.
TEST(RemoteDramSharedPoolTest, OneThreadOpensWhatAnotherCloses) {
  const Pool pool(Way::kTcp);
  nlohmann::json spec = pool.spec();
  spec.erase("remote_addrs");
  spec.erase("key_routing");
  for (int round = 0; round < 100; ++round) {
    KvStore store = Open(spec);
    Put(store, "k", absl::Cord("v"));
    absl::Notification closing;
    std::thread closer([&] {
      closing.Notify();
      store = KvStore();
    });
    closing.WaitForNotification();
    Put(Open(spec), "k", absl::Cord("w"));
    closer.join();
  }
}

TEST_P(RemoteDramFaultTest, AServerKilledWithOperationsInFlightAndItsReturn) {
  ServerProcess server;
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  Put(store, "k", absl::Cord("v"));
  // Stopped, it leaves everything unanswered.
  server.Stop();
  auto read = kvstore::Read(store, "k");
  auto write = kvstore::Write(store, "large", absl::Cord(std::string(kLarge, 'x')));
  auto deletion = kvstore::Delete(store, "k");
  auto range = kvstore::DeleteRange(store, KeyRange::Prefix("p/"));
  auto list = kvstore::ListFuture(store);
  server.Kill();
  for (const absl::Status& status :
       {read.status(), write.status(), deletion.status(), range.status(), list.status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  const ServerProcess again(server.address());
  Put(store, "k", absl::Cord("w"));
  EXPECT_EQ(Get(store, "k"), "w");
}

TEST_P(RemoteDramFaultTest, AStoppedServerCostsNoMoreThanTheTimeout) {
  const ServerProcess server;
  nlohmann::json spec = ClientSpec(GetParam(), server.address());
  spec["timeout_ms"] = 200;
  const KvStore store = Open(spec);
  Put(store, "k", absl::Cord("v"));
  server.Stop();
  auto read = kvstore::Read(store, "k");
  auto write = kvstore::Write(store, "k", absl::Cord("w"));
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDeadlineExceeded) << read.status();
  EXPECT_EQ(write.status().code(), absl::StatusCode::kDeadlineExceeded) << write.status();
  server.Continue();
}

// Soon, and not when the silent server is given up: what it cuts off to get its value back says so.
TEST_P(RemoteDramFaultTest, ADroppedWriteLetsGoOfItsValue) {
  const ServerProcess server;
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  Put(store, "k", absl::Cord("v"));
  server.Stop();
  const auto beside = kvstore::Read(store, "k");
  const std::string bytes(kLarge, 'x');
  absl::Notification released;
  {
    const auto write = kvstore::Write(
        store, "large", absl::MakeCordFromExternal(bytes, [&released] { released.Notify(); }));
    EXPECT_FALSE(write.ready());
    EXPECT_FALSE(released.HasBeenNotified());
  }
  released.WaitForNotification();
  EXPECT_THAT(beside.status().ToString(), HasSubstr("to take back the payload"));
  server.Continue();
  EXPECT_EQ(Get(store, "k"), "v");
}

// Keeps what its sender told it.
struct Listener {
  struct State {
    tensorstore::AnyCancelReceiver cancel;
    std::vector<std::string> told;
    absl::Notification stopped;
  };
  std::shared_ptr<State> state = std::make_shared<State>();

  void set_starting(tensorstore::AnyCancelReceiver cancel) {
    state->cancel = std::move(cancel);
    state->told.push_back("starting");
  }
  void set_value(const kvstore::ListEntry& entry) { state->told.push_back(entry.key); }
  void set_done() { state->told.push_back("done"); }
  void set_error(const absl::Status& status) { state->told.push_back(status.ToString()); }
  void set_stopping() {
    state->told.push_back("stopping");
    state->stopped.Notify();
  }
};

TEST_P(RemoteDramFaultTest, AListThatIsCancelledEndsAtOnce) {
  const ServerProcess server;
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  Put(store, "k", absl::Cord("v"));
  server.Stop();
  const auto beside = kvstore::Read(store, "k");
  const Listener listener;
  tensorstore::execution::submit(kvstore::List(store, {}), Listener(listener));
  EXPECT_FALSE(listener.state->stopped.HasBeenNotified());
  listener.state->cancel();
  listener.state->stopped.WaitForNotification();
  EXPECT_THAT(listener.state->told, ElementsAre("starting", "done", "stopping"));
  server.Continue();
  EXPECT_TRUE(beside.result().ok()) << beside.status();
}

TEST_P(RemoteDramFaultTest, AListThatFailsSaysSo) {
  ServerProcess server;
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  Put(store, "k", absl::Cord("v"));
  server.Stop();
  const Listener listener;
  tensorstore::execution::submit(kvstore::List(store, {}), Listener(listener));
  server.Kill();
  listener.state->stopped.WaitForNotification();
  EXPECT_THAT(listener.state->told, ElementsAre("starting", HasSubstr("UNAVAILABLE"), "stopping"));
}

TEST_P(RemoteDramMoreTest, AnIsolatedTransactionIsWrittenWhenItCommits) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client());
  const Transaction transaction(tensorstore::isolated);
  const KvStore inside = (store | transaction).value();
  ASSERT_TRUE(kvstore::Write(inside, "a", absl::Cord("1")).result().ok());
  ASSERT_TRUE(kvstore::Write(inside, "b", absl::Cord("2")).result().ok());
  EXPECT_EQ(Get(inside, "a"), "1");
  EXPECT_EQ(Get(store, "a"), std::nullopt);
  ASSERT_TRUE(transaction.CommitAsync().result().ok());
  EXPECT_EQ(Get(store, "a"), "1");
  EXPECT_EQ(Get(store, "b"), "2");
}

TEST_P(RemoteDramMoreTest, ATransactionWhoseReadIsNoLongerTrueIsAborted) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client(1));
  const KvStore other = Open(server.Client(2));
  Put(store, "a", absl::Cord("1"));
  const Transaction transaction(tensorstore::isolated | tensorstore::repeatable_read);
  const KvStore inside = (store | transaction).value();
  const auto read = kvstore::Read(inside, "a").result();
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_TRUE(
      kvstore::Write(inside, "a", absl::Cord("2"), IfEqual(read->stamp.generation)).result().ok());
  Put(other, "a", absl::Cord("3"));
  const auto committed = transaction.CommitAsync().result();
  EXPECT_EQ(committed.status().code(), absl::StatusCode::kAborted) << committed.status();
  EXPECT_EQ(Get(store, "a"), "3");
}

// One key is changed atomically; more than one would need what no driver without transactions of
// its own has, and TensorStore says so itself.
TEST_P(RemoteDramMoreTest, AnAtomicTransactionHasOneKey) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client());
  const Transaction one(tensorstore::atomic_isolated);
  ASSERT_TRUE(kvstore::Write((store | one).value(), "a", absl::Cord("1")).result().ok());
  ASSERT_TRUE(one.CommitAsync().result().ok());
  EXPECT_EQ(Get(store, "a"), "1");

  const Transaction two(tensorstore::atomic_isolated);
  const KvStore inside = (store | two).value();
  ASSERT_TRUE(kvstore::Write(inside, "b", absl::Cord("1")).result().ok());
  const auto second = kvstore::Write(inside, "c", absl::Cord("2")).result();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kInvalidArgument) << second.status();
  EXPECT_FALSE(two.CommitAsync().result().ok());
  EXPECT_EQ(Get(store, "b"), std::nullopt);
}

TEST_P(RemoteDramFaultTest, AFullServerRefusesAndLosesNothing) {
  const ServerProcess server("127.0.0.1:0", "4MiB");
  const KvStore store = Open(ClientSpec(GetParam(), server.address()));
  const std::string value(512 << 10, 'x');
  int stored = 0;
  absl::Status status;
  for (; status.ok() && stored < 16; ++stored) {
    status = kvstore::Write(store, absl::StrCat("k", stored), absl::Cord(value)).status();
  }
  --stored;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_GE(stored, 4);
  for (int i = 0; i < stored; ++i) EXPECT_EQ(Get(store, absl::StrCat("k", i)), value);
  ASSERT_TRUE(kvstore::Delete(store, "k0").result().ok());
  Put(store, "k0", absl::Cord(value));
}

TEST_P(RemoteDramMoreTest, WhatWasReadStays) {
  absl::Cord read;
  const std::string first(kLarge, '1');
  {
    const Server server(GetParam());
    const KvStore store = Open(server.Client());
    Put(store, "k", absl::Cord(first));
    read = kvstore::Read(store, "k").value().value;
    Put(store, "k", absl::Cord(std::string(kLarge, '2')));
    EXPECT_EQ(read, first);
    ASSERT_TRUE(kvstore::Delete(store, "k").result().ok());
    Put(store, "other", absl::Cord(std::string(kLarge, '3')));
    EXPECT_EQ(read, first);
  }
  EXPECT_EQ(read, first);
  // In one piece.
  EXPECT_TRUE(read.TryFlat().has_value());
}

TEST_P(RemoteDramMoreTest, AValueInPiecesIsOne) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client());
  absl::Cord value;
  std::string expected;
  for (int piece = 0; piece < 64; ++piece) {
    auto bytes = std::make_shared<std::string>(1 << 18, static_cast<char>(piece));
    expected += *bytes;
    value.Append(absl::MakeCordFromExternal(*bytes, [bytes] {}));
  }
  Put(store, "k", value);
  EXPECT_EQ(Get(store, "k"), expected);
}

TEST_P(RemoteDramMoreTest, AnOperationOutlivesTheStore) {
  const Server server(GetParam());
  std::vector<Future<tensorstore::TimestampedStorageGeneration>> writes;
  for (int i = 1; i <= 20; ++i) {
    writes.push_back(kvstore::Write(Open(server.Client(i)), absl::StrCat("k", i),
                                    absl::Cord(std::string(1 << 20, 'x'))));
  }
  for (const auto& write : writes) EXPECT_TRUE(write.result().ok()) << write.status();
  EXPECT_EQ(kvstore::ListFuture(Open(server.Client())).value().size(), 20u);
}

TEST_P(RemoteDramMoreTest, KeysBeyondTheBoundsAreRefused) {
  const Server server(GetParam());
  const KvStore store = Open(server.Client());
  Put(store, std::string(4096, 'k'), absl::Cord("v"));
  Put(store, std::string("\0\xff\n", 3), absl::Cord("v"));
  for (const std::string& key : {std::string(), std::string(4097, 'k')}) {
    const auto written = kvstore::Write(store, key, absl::Cord("v")).result();
    EXPECT_EQ(written.status().code(), absl::StatusCode::kInvalidArgument) << written.status();
  }
}

// No rule of routing for a key is not a key without a value.
TEST_P(RemoteDramMoreTest, AKeyWithoutAServerIsAnError) {
  const Server server(GetParam());
  nlohmann::json spec = server.Client();
  spec["key_routing"] = "explicit";
  spec["prefix_to_server_mapping"] = {{"a/", server.address()}};
  const KvStore store = Open(spec);
  Put(store, "a/k", absl::Cord("v"));
  const auto read = kvstore::Read(store, "b/k").result();
  EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition) << read.status();
}

}  // namespace
}  // namespace cairn_testing
