// NodeClient, MultiNodeClient and Transaction against a whole node in this process, over sockets,
// by each wire.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cairn/client.h"
#include "src/client/library/node_client_test_util.h"

namespace cairn {
namespace {

using std::chrono::milliseconds;

INSTANTIATE_TEST_SUITE_P(Wires, NodeClientTest, ::testing::Values(Wire::kThrift, Wire::kGrpc),
                         [](const auto& wire) {
                           return std::string(wire.param == Wire::kGrpc ? "Grpc" : "Thrift");
                         });

TEST_P(NodeClientTest, ReadsWhatItWrote) {
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

TEST_P(NodeClientTest, RangesFollowKeySelectors) {
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

TEST_P(NodeClientTest, ScanIsOneVersionInManyPages) {
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

TEST_P(NodeClientTest, ManyCallsAreOnTheirWayAtOnce) {
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

TEST_P(NodeClientTest, ThreadsShareAClient) {
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

TEST_P(NodeClientTest, ConnectsAgainByItself) {
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

TEST_P(NodeClientTest, SaysWhatIsWrong) {
  EXPECT_EQ(NodeClient::Connect("nowhere").status().code(), StatusCode::kInvalidArgument);
  ClientOptions few;
  few.retry.max_attempts = 3;
  const auto client = Connect(few);
  EXPECT_EQ(client->Get("").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client->Set(std::string(20'000, 'k'), "v").status().code(),
            StatusCode::kInvalidArgument);
  ReadOptions family;
  family.column_family = "missing";
  const auto missing = client->Get("k", family);
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound) << missing.status().ToString();
  node_.Cut();
  const auto down = client->Get("k");
  EXPECT_EQ(down.status().code(), StatusCode::kUnavailable) << down.status().ToString();
  EXPECT_NE(down.status().message().find(node_.endpoint()), std::string::npos);
  ClientOptions options;
  options.connect_timeout = milliseconds(200);
  EXPECT_EQ(NodeClient::Connect(node_.endpoint(), options).status().code(),
            StatusCode::kUnavailable);
}

TEST_P(NodeClientTest, FamiliesAndVersionstamps) {
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
  const auto later = client->SetVersionstampedKeyAsync("e/" + std::string(10, '\0'), "2", to).Get();
  ASSERT_TRUE(later.ok()) << later.status().ToString();
  EXPECT_EQ(later->generated, "e/" + MakeVersionstamp(later->version, 0));
  const auto async = client->SetVersionstampedValueAsync("w", std::string(10, '\0')).Get();
  ASSERT_TRUE(async.ok()) << async.status().ToString();
  EXPECT_EQ(Show(client->Get("w")), async->generated);
  EXPECT_GE(*client->GetCommittedVersionAsync().Get(), async->version);
  for (const std::string& wrong : {std::string("no zeros at all"), std::string(9, '\0')}) {
    EXPECT_EQ(client->SetVersionstampedValue("v", wrong).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(client->SetVersionstampedValueAsync("v", wrong).Get().status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(client->SetVersionstampedKey(wrong, "v").status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(client->SetVersionstampedKeyAsync(wrong, "v").Get().status().code(),
              StatusCode::kInvalidArgument);
  }
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

// So that one whose answer was lost can be sent again.
TEST_P(NodeClientTest, FamiliesAreMadeAndDroppedUnderASession) {
  // A client ends its own with itself, unless the machine is so busy that it gives up on that.
  bool ended = false;
  for (int i = 0; i < 5 && !ended; ++i) {
    const std::size_t open = node_.sessions();
    ASSERT_TRUE(Connect()->CreateColumnFamily("f" + std::to_string(i)).ok());
    ended = node_.sessions() == open;
  }
  EXPECT_TRUE(ended);
  const auto client = Connect();
  const std::size_t before = node_.sessions();
  ASSERT_TRUE(client->DropColumnFamily("f0").ok());
  EXPECT_EQ(node_.sessions(), before + 1);
  ClientOptions without;
  without.sessions = false;
  const auto other = Connect(without);
  ASSERT_TRUE(other->CreateColumnFamily("f0").ok());
  EXPECT_EQ(node_.sessions(), before + 1);
}

TEST_P(NodeClientTest, ClosedClientsSaySo) {
  const auto client = Connect();
  Transaction transaction = client->Begin();
  transaction.Set("k", "v");
  client->Close();
  client->Close();
  EXPECT_EQ(client->Get("k").status().code(), StatusCode::kCancelled);
  EXPECT_EQ(client->SetAsync("k", "v").Get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(transaction.Commit().status().code(), StatusCode::kCancelled);
}

TEST_P(NodeClientTest, AWriteThatNeverLeftIsCertainlyNotApplied) {
  ClientOptions few;
  few.retry.max_attempts = 2;
  const auto client = Connect(few);
  ASSERT_TRUE(client->Set("k", "1").ok());
  node_.Cut();
  WriteOptions brief;
  brief.timeout = milliseconds(300);
  // Whichever call meets the broken connection first may be in doubt; those after it are not.
  EXPECT_FALSE(client->Get("k").ok());
  const auto set = client->Set("k", "2", brief);
  // The time may end during a wait before another try.
  EXPECT_TRUE(set.status().code() == StatusCode::kUnavailable ||
              set.status().code() == StatusCode::kTimeout)
      << set.status().ToString();
  EXPECT_FALSE(set.status().maybe_applied());
}

TEST_P(NodeClientTest, AWriteWhoseAnswerIsTooLongMayHaveBeenApplied) {
  ClientOptions options;
  options.max_message_bytes = 2000;
  const auto client = Connect(options);
  const std::string value_template = std::string(5000, 'v') + std::string(10, '\0');
  const Status status = client->SetVersionstampedValue("long", value_template).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_TRUE(status.maybe_applied()) << status.ToString();
  const auto got = Connect()->Get("long");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_TRUE(got->found);
}

// Asking again would not make it shorter.
TEST_P(NodeClientTest, AnAnswerThatIsTooLongEndsItsCallAtOnce) {
  ASSERT_TRUE(Connect()->Set("long", std::string(5000, 'v')).ok());
  ASSERT_TRUE(Connect()->Set("short", "v").ok());
  ClientOptions options;
  options.max_message_bytes = 2000;
  options.retry.max_attempts = 100;  // what asks again is seen sooner
  const auto client = Connect(options);
  for (const Status& status :
       {client->Get("long").status(), client->GetRange(RangeRequest::WithPrefix("l")).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_FALSE(status.maybe_applied());
    EXPECT_EQ(status.message().find("tries"), std::string::npos) << status.ToString();
    EXPECT_NE(status.message().find("; ask for less at once"), std::string::npos)
        << status.ToString();
  }
  // Also where it is the first answer on a connection, or others wait behind it.
  std::vector<Future<GetResult>> reads;
  for (int i = 0; i < 8; ++i) {
    reads.push_back(client->GetAsync("long"));
    reads.push_back(client->GetAsync("short"));
  }
  for (std::size_t i = 0; i < reads.size(); i += 2) {
    EXPECT_EQ(reads[i].Get().status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(Show(reads[i + 1].Get()), "v");
  }
}

TEST_P(NodeClientTest, ARequestOverTheNodesLimitIsRefusedAtOnce) {
  const ServedNode node(GetParam(), /*message_bytes=*/100'000);
  ClientOptions options;
  options.connect_timeout = kConnectPatience;
  const auto client = NodeClient::Connect(node.endpoint(), options);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  for (const std::size_t bytes : {std::size_t{200'000}, std::size_t{20} << 20}) {
    const std::string value = std::string(bytes, 'v') + std::string(10, '\0');
    for (const Status& status :
         {(*client)->Set("k", value).status(), (*client)->SetAsync("k", value).Get().status(),
          (*client)->SetVersionstampedValue("k", value).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
      EXPECT_FALSE(status.maybe_applied());
      EXPECT_EQ(status.message().find("tries"), std::string::npos) << status.ToString();
    }
  }
  EXPECT_TRUE((*client)->Set("small", "v").ok());
  EXPECT_EQ(Show((*client)->Get("k")), "(none)");
}

TEST_P(NodeClientTest, ScanLeavesEarlyAndGoesBackwards) {
  const auto client = Connect();
  const std::string value(64 << 10, 'v');
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(client->Set("s" + std::to_string(10 + i), value).ok());
  }
  int seen = 0;
  ASSERT_TRUE(
      client->Scan(RangeRequest(), [&](const auto&, const auto&) { return ++seen < 3; }).ok());
  EXPECT_EQ(seen, 3);
  RangeRequest range = RangeRequest::WithPrefix("s");
  range.reverse = true;
  range.limit = 30;
  std::vector<std::string> keys;
  const Status status = client->Scan(range, [&](const std::string& key, const std::string&) {
    keys.push_back(key);
    // The stream breaks and is begun again.
    if (keys.size() == 5) node_.Restart();
    return true;
  });
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(keys.size(), 30U);
  EXPECT_EQ(keys.front(), "s49");
  EXPECT_EQ(keys.back(), "s20");
  ReadOptions family;
  family.column_family = "missing";
  EXPECT_EQ(client
                ->Scan(
                    range, [](const auto&, const auto&) { return true; }, family)
                .code(),
            StatusCode::kNotFound);
}

// Waits that only a cancellation ends.
ClientOptions Patient() {
  ClientOptions options;
  options.timeout = std::chrono::hours(3);
  options.retry.initial_backoff = options.retry.max_backoff = std::chrono::hours(1);
  return options;
}

TEST_P(NodeClientTest, AScanIsCancelledFromAnotherThread) {
  const auto client = Connect(Patient());
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(client->Set(key, "value").ok());
  const auto all = [](const auto&, const auto&) { return true; };
  {
    // Between two pairs of one answer.
    const ScanCanceller canceller;
    int seen = 0;
    const auto each = [&](const auto&, const auto&) {
      ++seen;
      std::thread([&] { canceller.Cancel(); }).join();
      return true;
    };
    const Status status = client->Scan(RangeRequest(), each, {}, canceller);
    EXPECT_EQ(status.code(), StatusCode::kCancelled) << status.ToString();
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(client->Scan(RangeRequest(), all, {}, canceller).code(), StatusCode::kCancelled)
        << "it stays cancelled";
  }
  EXPECT_TRUE(client->Scan(RangeRequest(), all, {}, ScanCanceller()).ok());
  // While it waits for an answer: the node has no such version. Two scans have the one canceller.
  ReadOptions never;
  never.min_version = 1'000'000;
  const ScanCanceller canceller;
  Status ended[2];
  std::thread first([&] { ended[0] = client->Scan(RangeRequest(), all, never, canceller); });
  std::thread second([&] { ended[1] = client->Scan(RangeRequest(), all, never, canceller); });
  canceller.Cancel();
  first.join();
  second.join();
  for (const Status& status : ended) EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_TRUE(client->Scan(RangeRequest(), all, {}, ScanCanceller()).ok())
      << "what was given up is in nobody's way";
}

TEST_P(NodeClientTest, AScanThatWaitsForItsNextTryIsCancelled) {
  const auto client = Connect(Patient());
  // More than is on its way when the node goes.
  const std::string value(64 << 10, 'v');
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client->Set(std::to_string(i), value).ok());
  RangeRequest range;
  range.max_bytes = 64 << 10;
  const ScanCanceller canceller;
  std::thread other;
  const auto each = [&](const auto&, const auto&) {
    if (other.joinable()) return true;
    node_.Cut();
    other = std::thread([own = canceller] { own.Cancel(); });
    return true;
  };
  const Status status = client->Scan(range, each, {}, canceller);
  other.join();
  EXPECT_EQ(status.code(), StatusCode::kCancelled) << status.ToString();
}

TEST_P(NodeClientTest, CancelledCallsEndSoon) {
  ClientOptions one;
  one.max_connections = 1;
  const auto client = Connect(one);
  ReadOptions never;
  never.min_version = 1'000'000;
  never.timeout = std::chrono::hours(1);
  auto waiting = client->GetAsync("k", never);
  waiting.Cancel();
  EXPECT_EQ(waiting.Get().status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(client->Get("k").ok()) << "the node still works on what was cancelled";
  never.timeout = milliseconds(100);
  const Status late = client->Get("k", never).status();
  // Whichever is first: the end of the time, or the node's word that it lacks the version.
  EXPECT_TRUE(late.code() == StatusCode::kTimeout || late.code() == StatusCode::kStale)
      << late.ToString();
}

TEST_P(NodeClientTest, AClusterIsReachedThroughTheNodesThatLive) {
  ServedNode gone(GetParam());
  const std::string dead = gone.endpoint();
  gone.Cut();
  MultiNodeOptions options;
  options.connect_timeout = kConnectPatience;
  const auto client = MultiNodeClient::Connect({dead, node_.endpoint(), dead}, options);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  ASSERT_TRUE((*client)->Set("k", "1").ok());
  EXPECT_EQ(Show((*client)->Get("k")), "1");
  EXPECT_EQ(*(*client)->DiscoverLeader(), node_.endpoint());
  const std::vector<EndpointState> states = (*client)->Endpoints();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].endpoint, dead);
  EXPECT_TRUE(states[1].believed_leader);
  EXPECT_GT(states[1].calls, 0U);
  options.connect_timeout = milliseconds(300);
  EXPECT_EQ(MultiNodeClient::Connect({dead}, options).status().code(), StatusCode::kUnavailable);
}

TEST(MultiNodeClientTest, RefusesWhatMakesNoCluster) {
  const auto code = [](const std::vector<std::string>& endpoints, const MultiNodeOptions& options) {
    return MultiNodeClient::Connect(endpoints, options).status().code();
  };
  MultiNodeOptions options;
  EXPECT_EQ(code({}, options), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"nowhere"}, options), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"a:1", "grpc://a:2"}, options), StatusCode::kInvalidArgument);
  options.read_strategy = ReadStrategy::kSticky;
  options.sticky_node = 2;
  EXPECT_EQ(code({"a:1", "a:2"}, options), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cairn
