// NodeClient and Transaction against a whole node in this process, over sockets.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cairn/client.h"
#include "src/server/testing/test_node.h"
#include "src/server/thrift/kv_processor.h"
#include "src/server/thrift/thrift_server.h"

namespace cairn {
namespace {

using std::chrono::milliseconds;

// A node that serves Thrift on a free port.
class ServedNode {
 public:
  ServedNode() { Serve(0); }
  ~ServedNode() {
    Cut();
    node_.StopReplica();
  }
  void Serve(std::uint16_t port) {
    server::ThriftServerOptions options;
    options.port = port;
    auto server =
        server::ThriftServer::Start(options, server::MakeKvProcessor(&node_.service()), &clock_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    port_ = server_->port();
  }
  // Ends the server, not the node.
  void Cut() {
    if (server_) server_->Stop(Duration::zero());
    server_.reset();
  }
  void Restart() {
    Cut();
    Serve(port_);
  }
  [[nodiscard]] std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  SystemClock clock_;
  server::testing::TestNode node_;
  std::unique_ptr<server::ThriftServer> server_;
  std::uint16_t port_ = 0;
};

class NodeClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<NodeClient> Connect(const ClientOptions& options = {}) {
    auto client = NodeClient::Connect(node_.endpoint(), options);
    EXPECT_TRUE(client.ok()) << client.status().ToString();
    return std::move(*client);
  }
  ServedNode node_;
};

// The value, or what went wrong, as text.
std::string Show(const Result<GetResult>& result) {
  if (!result.ok()) return result.status().ToString();
  return result->found ? result->value : "(none)";
}

TEST_F(NodeClientTest, ReadsWhatItWrote) {
  const auto client = Connect();
  const auto version = client->Set("fruit/apple", std::string("r\0d", 3));
  ASSERT_TRUE(version.ok()) << version.status().ToString();
  const auto got = client->Get("fruit/apple");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_TRUE(got->found);
  EXPECT_EQ(got->value, std::string("r\0d", 3));
  EXPECT_EQ(got->version, *version);
  EXPECT_GE(client->last_version(), *version);
  ASSERT_TRUE(client->Delete("fruit/apple").ok());
  EXPECT_EQ(Show(client->Get("fruit/apple")), "(none)");
  ReadOptions past;
  past.at_version = *version;
  EXPECT_EQ(Show(client->Get("fruit/apple", past)), std::string("r\0d", 3));
}

TEST_F(NodeClientTest, RangesFollowKeySelectors) {
  const auto client = Connect();
  for (const char* key : {"a", "b", "c", "d", "\xFF\xFF"}) {
    ASSERT_TRUE(client->Set(key, "x").ok());
  }
  const auto keys = [&](const RangeRequest& range) {
    std::string text;
    const auto result = client->GetRange(range);
    if (!result.ok()) return result.status().ToString();
    for (const KeyValue& pair : result->key_values) text += pair.key + " ";
    return text + (result->has_more ? "+" : ".");
  };
  EXPECT_EQ(keys(RangeRequest::Between("b", "d")), "b c .");
  EXPECT_EQ(keys(RangeRequest()), "a b c d \xFF\xFF .");
  EXPECT_EQ(keys(RangeRequest::WithPrefix("\xFF")), "\xFF\xFF .");
  RangeRequest range = RangeRequest::Between("a", "d");
  range.reverse = true;
  range.limit = 2;
  EXPECT_EQ(keys(range), "c b +");
  range = RangeRequest();
  range.begin = KeySelector::LastLessThan("c");
  range.end = KeySelector::FirstGreaterThan("c", 1);
  EXPECT_EQ(keys(range), "b c d .");
}

TEST_F(NodeClientTest, ScanIsOneVersionInManyPages) {
  const auto client = Connect();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client->Set("k" + std::to_string(100 + i), std::string(100, 'v')).ok());
  }
  RangeRequest range = RangeRequest::WithPrefix("k");
  range.max_bytes = 500;
  std::vector<std::string> keys;
  const Status status = client->Scan(range, [&](const std::string& key, const std::string&) {
    // A key that is written behind the scan's back is not seen.
    if (keys.empty()) {
      EXPECT_TRUE(client->Set("k999", "late").ok());
    }
    keys.push_back(key);
    return true;
  });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(keys.size(), 50U);
  EXPECT_EQ(keys.back(), "k149");
}

TEST_F(NodeClientTest, ManyCallsAreOnTheirWayAtOnce) {
  const auto client = Connect();
  std::vector<Future<std::uint64_t>> sets;
  for (int i = 0; i < 2000; ++i) {
    sets.push_back(client->SetAsync("n" + std::to_string(i), std::to_string(i)));
  }
  for (auto& set : sets) {
    const auto version = set.Get();
    ASSERT_TRUE(version.ok()) << version.status().ToString();
  }
  std::vector<Future<GetResult>> gets;
  for (int i = 0; i < 2000; ++i) gets.push_back(client->GetAsync("n" + std::to_string(i)));
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(Show(gets[static_cast<std::size_t>(i)].Get()), std::to_string(i));
  }
}

TEST_F(NodeClientTest, ThreadsShareAClient) {
  ClientOptions options;
  options.max_connections = 2;
  const auto client = Connect(options);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        if (!client->Set(key, key).ok()) ++wrong;
        auto later = client->GetAsync(key);
        if (Show(client->Get(key)) != key) ++wrong;
        if (Show(later.Get()) != key) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(NodeClientTest, ConnectsAgainByItself) {
  const auto client = Connect();
  ASSERT_TRUE(client->Set("k", "1").ok());
  node_.Restart();
  EXPECT_EQ(Show(client->Get("k")), "1");
  node_.Restart();
  const auto set = client->Set("k", "2");
  EXPECT_TRUE(set.ok()) << set.status().ToString();
  node_.Restart();
  EXPECT_EQ(Show(client->GetAsync("k").Get()), "2");
}

TEST_F(NodeClientTest, SaysWhatIsWrong) {
  EXPECT_EQ(NodeClient::Connect("nowhere").status().code(), StatusCode::kInvalidArgument);
  const auto client = Connect();
  EXPECT_EQ(client->Get("").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client->Set(std::string(20'000, 'k'), "v").status().code(),
            StatusCode::kInvalidArgument);
  ReadOptions family;
  family.column_family = "missing";
  const auto missing = client->Get("k", family);
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound) << missing.status().ToString();
  node_.Cut();
  ReadOptions brief;
  brief.timeout = milliseconds(200);
  const auto down = client->Get("k", brief);
  EXPECT_EQ(down.status().code(), StatusCode::kUnavailable) << down.status().ToString();
  EXPECT_NE(down.status().message().find(node_.endpoint()), std::string::npos);
  ClientOptions options;
  options.connect_timeout = milliseconds(200);
  EXPECT_EQ(NodeClient::Connect(node_.endpoint(), options).status().code(),
            StatusCode::kUnavailable);
}

TEST_F(NodeClientTest, FamiliesAndVersionstamps) {
  const auto client = Connect();
  ASSERT_TRUE(client->CreateColumnFamily("logs").ok());
  const auto names = client->ListColumnFamilies();
  ASSERT_TRUE(names.ok()) << names.status().ToString();
  EXPECT_EQ(*names, (std::vector<std::string>{"default", "logs"}));
  WriteOptions to;
  to.column_family = "logs";
  const auto first =
      client->SetVersionstampedKey(std::string("e/") + std::string(10, '\0'), "1", to);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(first->generated, "e/" + MakeVersionstamp(first->version, 0));
  ReadOptions from;
  from.column_family = "logs";
  EXPECT_EQ(Show(client->Get(first->generated, from)), "1");
  EXPECT_EQ(Show(client->Get(first->generated)), "(none)");
  const auto value = client->SetVersionstampedValue("v", std::string(10, '\0'));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(Show(client->Get("v")), value->generated);
  ASSERT_TRUE(client->DropColumnFamily("logs").ok());
  const auto info = client->GetClusterInfo();
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  EXPECT_EQ(info->nodes.size(), 1U);
  EXPECT_TRUE(*client->IsLeader());
  EXPECT_GT(client->Ping()->count(), 0);
}

TEST_F(NodeClientTest, ClosedClientsSaySo) {
  const auto client = Connect();
  Transaction transaction = client->Begin();
  transaction.Set("k", "v");
  client->Close();
  client->Close();
  EXPECT_EQ(client->Get("k").status().code(), StatusCode::kCancelled);
  EXPECT_EQ(client->SetAsync("k", "v").Get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(transaction.Commit().status().code(), StatusCode::kCancelled);
}

// ---- Transactions

TEST_F(NodeClientTest, TransactionsSeeTheirOwnWrites) {
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
  EXPECT_EQ(**tx.GetKey(KeySelector::FirstGreaterOrEqual("a", 2)), "c");
  EXPECT_FALSE(tx.GetKey(KeySelector::LastLessThan("a"))->has_value());
  EXPECT_FALSE(tx.GetKey(KeySelector::FirstGreaterThan("g"))->has_value());
  const auto committed = tx.Commit();
  ASSERT_TRUE(committed.ok()) << committed.status().ToString();
  EXPECT_EQ(tx.committed_version(), *committed);
  EXPECT_EQ(Show(client->Get("b")), "new");
  EXPECT_EQ(Show(client->Get("e")), "(none)");
  EXPECT_EQ(tx.Get("a").status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(NodeClientTest, ConflictsAreFoundWhereSomethingWasRead) {
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

TEST_F(NodeClientTest, RunRetriesUntilTheSumIsRight) {
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

TEST_F(NodeClientTest, RunEndsWithTheBodysOwnError) {
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

TEST_F(NodeClientTest, TransactionsWriteVersionstamps) {
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

TEST_F(NodeClientTest, DeleteRangeDeletesWhatIsThere) {
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
