// Transactions against a whole node in this process, over sockets, by each wire.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cairn/client.h"
#include "src/client/library/node_client_test_util.h"

namespace cairn {
namespace {

class TransactionTest : public NodeClientTest {};

INSTANTIATE_TEST_SUITE_P(Wires, TransactionTest, ::testing::Values(Wire::kThrift, Wire::kGrpc),
                         [](const auto& wire) {
                           return std::string(wire.param == Wire::kGrpc ? "Grpc" : "Thrift");
                         });

TEST_P(TransactionTest, TransactionsSeeTheirOwnWrites) {
  const auto client = Connect();
  for (const char* key : {"a", "c", "e", "g"}) ASSERT_TRUE(client->Set(key, "old").ok());
  Transaction tx = client->Begin();
  tx.Set("b", "new");
  tx.Set("c", "new");
  tx.Delete("e");
  EXPECT_EQ(Show(tx.Get("b")), "new");
  EXPECT_EQ(Show(tx.Get("c")), "new");
  EXPECT_EQ(Show(tx.Get("e")), "(none)");
  EXPECT_EQ(Show(tx.GetAsync("a").Get()), "old");
  const auto keys = [&](RangeRequest range, bool asynchronous) {
    const auto result = asynchronous ? tx.GetRangeAsync(range).Get() : tx.GetRange(range);
    if (!result.ok()) return result.status().ToString();
    std::string text;
    for (const KeyValue& pair : result->key_values) text += pair.key + "=" + pair.value + " ";
    return text + (result->has_more ? "+" : ".");
  };
  for (const bool asynchronous : {false, true}) {
    RangeRequest range = RangeRequest::Between("a", "z");
    EXPECT_EQ(keys(range, asynchronous), "a=old b=new c=new g=old .");
    range.limit = 2;
    EXPECT_EQ(keys(range, asynchronous), "a=old b=new +");
    range.reverse = true;
    EXPECT_EQ(keys(range, asynchronous), "g=old c=new +");
    range.limit = 4;
    EXPECT_EQ(keys(range, asynchronous), "g=old c=new b=new a=old .");
  }
  EXPECT_EQ(**tx.GetKey(KeySelector::FirstGreaterThan("c")), "g");
  EXPECT_EQ(**tx.GetKey(KeySelector::LastLessThan("c")), "b");
  EXPECT_EQ(**tx.GetKeyAsync(KeySelector::LastLessThan("c")).Get(), "b");
  EXPECT_EQ(**tx.SnapshotGetKey(KeySelector::LastLessThan("c")), "b");
  EXPECT_EQ(**tx.SnapshotGetKeyAsync(KeySelector::LastLessThan("c")).Get(), "b");
  EXPECT_FALSE(tx.GetKeyAsync(KeySelector::FirstGreaterThan("g")).Get()->has_value());
  EXPECT_EQ(**tx.GetKey(KeySelector::FirstGreaterOrEqual("a", 2)), "c");
  EXPECT_FALSE(tx.GetKey(KeySelector::LastLessThan("a"))->has_value());
  EXPECT_FALSE(tx.GetKey(KeySelector::FirstGreaterThan("g"))->has_value());
  const auto committed = tx.Commit();
  ASSERT_TRUE(committed.ok()) << committed.status().ToString();
  EXPECT_EQ(tx.committed_version(), *committed);
  // What any node is to know that serves this client's next read.
  EXPECT_GE(client->last_version(), *committed);
  EXPECT_EQ(Show(client->Get("b")), "new");
  EXPECT_EQ(Show(client->Get("e")), "(none)");
  EXPECT_EQ(tx.Get("a").status().code(), StatusCode::kFailedPrecondition);
}

TEST_P(TransactionTest, ConflictsAreFoundWhereSomethingWasRead) {
  const auto client = Connect();
  ASSERT_TRUE(client->Set("a", "1").ok());
  ASSERT_TRUE(client->Set("m", "1").ok());
  struct Case {
    const char* what;
    std::function<void(Transaction&)> read;
    const char* changed;
    bool conflicts;
  };
  const std::vector<Case> cases = {
      {"a key", [](Transaction& tx) { (void)tx.Get("a"); }, "a", true},
      {"another key", [](Transaction& tx) { (void)tx.Get("a"); }, "b", false},
      {"a snapshot read", [](Transaction& tx) { (void)tx.SnapshotGet("a"); }, "a", false},
      {"a phantom", [](Transaction& tx) { (void)tx.GetRange(RangeRequest::Between("a", "z")); },
       "c", true},
      {"beyond the range",
       [](Transaction& tx) { (void)tx.GetRange(RangeRequest::Between("a", "c")); }, "d", false},
      {"a snapshot range",
       [](Transaction& tx) { (void)tx.SnapshotGetRange(RangeRequest::Between("a", "z")); }, "c",
       false},
      {"beyond the limit",
       [](Transaction& tx) {
         RangeRequest range;
         range.limit = 1;
         EXPECT_TRUE(tx.GetRange(range)->has_more);
       },
       "z", false},
      {"a selector", [](Transaction& tx) { (void)tx.GetKey(KeySelector::FirstGreaterThan("a")); },
       "aa", true},
      {"a selector without waiting",
       [](Transaction& tx) { (void)tx.GetKeyAsync(KeySelector::FirstGreaterThan("a")).Get(); },
       "aa", true},
      {"a snapshot selector",
       [](Transaction& tx) {
         (void)tx.SnapshotGetKey(KeySelector::FirstGreaterThan("a"));
         (void)tx.SnapshotGetKeyAsync(KeySelector::FirstGreaterThan("a")).Get();
       },
       "aa", false},
      {"by hand",
       [](Transaction& tx) {
         tx.AddReadConflictKey("q");
         (void)tx.GetReadVersion();
       },
       "q", true},
      {"a range by hand",
       [](Transaction& tx) {
         tx.AddReadConflictRange("q", "s");
         (void)tx.GetReadVersion();
       },
       "r", true},
      {"its own write",
       [](Transaction& tx) {
         tx.Set("o", "x");
         (void)tx.Get("o");
         (void)tx.GetReadVersion();
       },
       "o", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Transaction tx = client->Begin();
    c.read(tx);
    tx.Set("out", "x");
    ASSERT_TRUE(client->Set(c.changed, "2").ok());
    const auto committed = tx.Commit();
    EXPECT_EQ(committed.ok(), !c.conflicts) << committed.status().ToString();
    if (c.conflicts) {
      EXPECT_EQ(committed.status().code(), StatusCode::kConflict);
    }
    for (const char* key : {"aa", "b", "c", "d", "o", "q", "r", "z"}) {
      ASSERT_TRUE(client->Delete(key).ok());
    }
  }
}

TEST_P(TransactionTest, ASwappedConflictRangeIsRefused) {
  const auto client = Connect();
  Transaction tx = client->Begin();
  tx.AddReadConflictRange("a", "m");
  tx.AddReadConflictRange("m", "c");
  tx.AddReadConflictRange("c", "d");
  tx.Set("k", "v");
  const Status refused = tx.Commit().status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("begins at m, behind its end c"), std::string::npos)
      << refused.message();
  tx.Reset();
  tx.AddReadConflictRange("m", "m");
  tx.Set("k", "v");
  EXPECT_TRUE(tx.Commit().ok());
}

TEST_P(TransactionTest, RunRetriesUntilTheSumIsRight) {
  const auto client = Connect();
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        const auto done = client->Run([](Transaction& tx) -> Status {
          const auto n = tx.Get("n");
          if (!n.ok()) return n.status();
          tx.Set("n", std::to_string((n->found ? std::stoi(n->value) : 0) + 1));
          return {};
        });
        EXPECT_TRUE(done.ok()) << done.status().ToString();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Show(client->Get("n")), std::to_string(kThreads * kEach));
}

TEST_P(TransactionTest, RunEndsWithTheBodysOwnError) {
  const auto client = Connect();
  int runs = 0;
  const auto done = client->Run([&](Transaction& tx) -> Status {
    ++runs;
    tx.Set("k", "v");
    return InvalidArgumentError("enough");
  });
  EXPECT_EQ(done.status().message(), "enough");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(Show(client->Get("k")), "(none)");
}

TEST_P(TransactionTest, OnErrorAsyncMakesReadyForAnotherTry) {
  const auto client = Connect();
  Transaction tx = client->Begin();
  for (std::uint64_t tries = 1; tries <= 3; ++tries) {
    EXPECT_EQ(Show(tx.Get("k")), tries == 1 ? "(none)" : std::to_string(tries - 1));
    tx.Set("k", "mine");
    ASSERT_TRUE(client->Set("k", std::to_string(tries)).ok());
    const Status conflict = tx.Commit().status();
    ASSERT_EQ(conflict.code(), StatusCode::kConflict);
    const auto failed = tx.OnErrorAsync(conflict).Get();
    ASSERT_TRUE(failed.ok()) << failed.status().ToString();
    EXPECT_EQ(*failed, tries);
    EXPECT_EQ(tx.pending_writes(), 0U);
  }
  EXPECT_EQ(tx.OnErrorAsync(InvalidArgumentError("no")).Get().status().message(), "no");
}

TEST_P(TransactionTest, AWaitForAnotherTryEndsWithTheClient) {
  ClientOptions options;
  options.timeout = std::chrono::hours(3);
  options.retry.initial_backoff = options.retry.max_backoff = std::chrono::hours(1);
  const auto client = Connect(options);
  Transaction tx = client->Begin();
  // After a conflict it is never long.
  EXPECT_TRUE(tx.OnError(ConflictError("another was first")).ok());
  tx.Set("k", "v");
  Future<std::uint64_t> cancelled = tx.OnErrorAsync(UnavailableError("meanwhile"));
  cancelled.Cancel();
  ASSERT_TRUE(cancelled.ready());
  EXPECT_EQ(cancelled.Get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(tx.pending_writes(), 1U) << "as it was";
  Future<std::uint64_t> waits = tx.OnErrorAsync(UnavailableError("meanwhile"));
  EXPECT_FALSE(waits.ready());
  client->Close();
  EXPECT_EQ(waits.Get().status().message(), "meanwhile");
  EXPECT_EQ(tx.OnError(UnavailableError("after")).message(), "after");
}

TEST_P(TransactionTest, TheReadVersionComesWithoutWaiting) {
  const auto client = Connect();
  const auto version = client->Set("k", "1");
  Transaction tx = client->Begin();
  EXPECT_EQ(*tx.GetReadVersionAsync().Get(), *version);
  ASSERT_TRUE(client->Set("k", "2").ok());
  EXPECT_EQ(*tx.GetReadVersionAsync().Get(), *version) << "it is taken once";
  EXPECT_EQ(*tx.GetReadVersion(), *version);
  EXPECT_EQ(Show(tx.Get("k")), "1");
  // All who wait for it have the same.
  Transaction other = client->Begin();
  Future<std::uint64_t> first = other.GetReadVersionAsync();
  Future<std::uint64_t> second = other.GetReadVersionAsync();
  EXPECT_EQ(*first.Get(), *version + 1);
  EXPECT_EQ(*second.Get(), *version + 1);
  other.Cancel();
  EXPECT_EQ(other.GetReadVersionAsync().Get().status().code(), StatusCode::kCancelled);
  ASSERT_TRUE(tx.Commit().ok());
  EXPECT_EQ(tx.GetReadVersionAsync().Get().status().code(), StatusCode::kFailedPrecondition);
}

TEST_P(TransactionTest, CancelEndsWhatWaitsUntilReset) {
  ClientOptions options;
  options.timeout = std::chrono::hours(3);
  options.retry.initial_backoff = options.retry.max_backoff = std::chrono::hours(1);
  const auto client = Connect(options);
  ASSERT_TRUE(client->Set("k", "1").ok());
  // What is asked after the cancellation. That it ends what waits for an answer already is
  // client_net_test's.
  std::vector<std::function<Status(Transaction&)>> refused = {
      [](Transaction& tx) { return tx.Get("k").status(); },
      [](Transaction& tx) { return tx.GetRange({}).status(); },
      [](Transaction& tx) { return tx.GetAsync("k").Get().status(); },
      [](Transaction& tx) { return tx.Commit().status(); }};
  for (const auto& ask : refused) {
    Transaction tx = client->Begin();
    tx.Cancel();
    EXPECT_EQ(ask(tx).code(), StatusCode::kCancelled);
    tx.Reset();
    EXPECT_EQ(Show(tx.Get("k")), "1");
  }
  {
    // It begins before this waits for an hour, or while it does.
    Transaction tx = client->Begin();
    std::thread canceller(tx.Canceller());
    EXPECT_EQ(tx.OnError(UnavailableError("an hour's wait")).code(), StatusCode::kCancelled);
    canceller.join();
    EXPECT_EQ(tx.Commit().status().code(), StatusCode::kCancelled);
  }
  // Run gives up, and does not run its body again.
  int runs = 0;
  std::function<void()> cancel;
  const auto ran = client->Run([&](Transaction& tx) {
    ++runs;
    cancel = tx.Canceller();
    cancel();
    return tx.Get("k").status();
  });
  EXPECT_EQ(ran.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(runs, 1);
  cancel();  // the transaction is gone
}

TEST_P(TransactionTest, KeysCanBeReadWithoutValues) {
  const auto client = Connect();
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(client->Set(key, "value").ok());
  RangeRequest range;
  range.keys_only = true;
  const std::vector<KeyValue> keys = {{"a", ""}, {"b", ""}, {"c", ""}};
  EXPECT_EQ(client->GetRange(range)->key_values, keys);
  EXPECT_EQ(client->GetRangeAsync(range).Get()->key_values, keys);
  std::vector<KeyValue> scanned;
  ASSERT_TRUE(client
                  ->Scan(range,
                         [&](const std::string& key, const std::string& value) {
                           scanned.push_back({key, value});
                           return true;
                         })
                  .ok());
  EXPECT_EQ(scanned, keys);
  Transaction tx = client->Begin();
  tx.Set("bb", "own");
  tx.Delete("c");
  const std::vector<KeyValue> seen = {{"a", ""}, {"b", ""}, {"bb", ""}};
  EXPECT_EQ(tx.GetRange(range)->key_values, seen);
  EXPECT_EQ(tx.SnapshotGetRangeAsync(range).Get()->key_values, seen);
}

TEST_P(TransactionTest, TransactionsWriteVersionstamps) {
  const auto client = Connect();
  Transaction tx = client->Begin();
  tx.Set("first", "x");
  tx.SetVersionstampedKey(std::string("log/") + std::string(10, '\0'), "event");
  tx.SetVersionstampedValue("last", std::string(10, '\0'));
  EXPECT_EQ(tx.Get("last").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(tx.GetRange(RangeRequest::WithPrefix("log/")).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Show(tx.Get("log/other")), "(none)");
  EXPECT_EQ(tx.pending_writes(), 3U);
  const auto version = tx.CommitAsync().Get();
  ASSERT_TRUE(version.ok()) << version.status().ToString();
  EXPECT_EQ(Show(client->Get("log/" + MakeVersionstamp(*version, 1))), "event");
  EXPECT_EQ(Show(client->Get("last")), MakeVersionstamp(*version, 2));
  Transaction brief = client->Begin();
  brief.SetVersionstampedKey("short", "x");
  EXPECT_EQ(brief.Commit().status().code(), StatusCode::kInvalidOperation);
}

TEST_P(TransactionTest, DeleteRangeDeletesWhatIsThere) {
  const auto client = Connect();
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(client->Set(key, "x").ok());
  Transaction tx = client->Begin();
  tx.Set("bb", "own");
  ASSERT_TRUE(tx.DeleteRange("b", "c").ok());
  EXPECT_EQ(Show(tx.Get("bb")), "(none)");
  ASSERT_TRUE(tx.Commit().ok());
  EXPECT_EQ(client->GetRange({})->key_values, (std::vector<KeyValue>{{"a", "x"}, {"c", "x"}}));
  Transaction empty = client->Begin();
  EXPECT_EQ(*empty.Commit(), 0U);
}

}  // namespace
}  // namespace cairn
