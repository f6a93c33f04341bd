#include "src/server/node_service.h"

#include <gtest/gtest.h>

#include <utility>
#include <variant>

#include "src/server/testing/test_node.h"

namespace cairn::server {
namespace {

using testing::TestNode;
using testing::TestNodeOptions;

kv::AtomicCommit CommitOf(const std::string& key, Version read_version,
                          std::vector<kv::ConflictKey> conflicts = {}) {
  kv::AtomicCommit commit;
  commit.read_version = read_version;
  commit.read_conflict_keys = std::move(conflicts);
  commit.operations.push_back({kv::MutationType::kSet, key, "value", ""});
  return commit;
}

TEST(NodeServiceTest, CountsWhatItAnswered) {
  TestNode node;
  NodeService& service = node.service();
  ASSERT_TRUE(service.Execute(Wire::kThrift, {}, kv::Set{"a", "1", ""}).ok());
  ASSERT_TRUE(service.Execute(Wire::kThrift, {}, kv::Get{"a", ""}).ok());
  ASSERT_TRUE(service.Execute(Wire::kThrift, {}, kv::Get{"b", ""}).ok());
  ASSERT_FALSE(service.Execute(Wire::kThrift, {}, kv::Get{"", ""}).ok());
  ASSERT_TRUE(service.Execute(Wire::kThrift, {}, CommitOf("a", Version(0))).ok());
  const auto conflict = service.Execute(Wire::kThrift, {}, CommitOf("a", Version(2), {{"a", {}}}));
  EXPECT_EQ(StatusCode::kConflict, conflict.status().code());

  const DatabaseStats stats = service.Stats();
  EXPECT_EQ(3, stats.writes);
  EXPECT_EQ(3, stats.reads) << "a refused read is answered too";
  EXPECT_EQ(1, stats.committed_transactions);
  EXPECT_EQ(1, stats.aborted_transactions);
  EXPECT_EQ(0, stats.active_transactions);
  EXPECT_GT(stats.average_response_time_ms, 0);
  EXPECT_EQ(1, stats.total_keys);
  EXPECT_GT(stats.total_size_bytes, 0);
}

TEST(NodeServiceTest, ADeadlineThatHasPassedIsATimeoutAndNothingIsDone) {
  TestNode node;
  replication::RequestContext context;
  context.deadline = node.service().clock().Now();
  const auto late = node.service().Execute(Wire::kThrift, context, kv::Set{"a", "1", ""});
  EXPECT_EQ(StatusCode::kTimeout, late.status().code());
  EXPECT_FALSE(late.status().maybe_applied());
  const auto read = node.service().Execute(Wire::kThrift, {}, kv::Get{"a", ""});
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(std::get<kv::GetResult>(read.value()).found);
}

TEST(NodeServiceTest, AStandaloneNodeIsHealthyAndLeads) {
  TestNode node;
  const ClusterHealth health = node.service().Health();
  EXPECT_EQ("healthy", health.status);
  EXPECT_EQ(1, health.healthy_nodes);
  ASSERT_EQ(1u, health.nodes.size());
  ASSERT_TRUE(health.leader.has_value());
  EXPECT_EQ("127.0.0.1:9090", health.leader->endpoint);
  EXPECT_GE(health.epoch, 1);
  EXPECT_GT(health.nodes[0].last_seen_s, 1'600'000'000);
  EXPECT_LT(health.nodes[0].last_seen_s, 100'000'000'000) << "seconds, not micro- or milliseconds";
  EXPECT_GE(health.nodes[0].uptime_s.value_or(-1), 0);
}

TEST(NodeServiceTest, ANodeIsReadyOnceItHasRecovered) {
  TestNodeOptions options;
  options.recover = false;
  TestNode node(options);
  const Status early = node.service().Ready();
  EXPECT_EQ(StatusCode::kUnavailable, early.code());
  EXPECT_NE(std::string::npos, early.message().find("replaying its journal")) << early.message();
  node.Recover();
  EXPECT_TRUE(node.service().Ready().ok());
}

TEST(NodeServiceTest, AFullDiskDegradesTheNode) {
  TestNode node;
  node.engine().SetCapacity(0);
  // The write is in the log and waits for room until its deadline; the node knows by then.
  replication::RequestContext context;
  context.deadline = node.service().clock().Now() + std::chrono::milliseconds(200);
  EXPECT_FALSE(node.service().Execute(Wire::kThrift, context, kv::Set{"a", "1", ""}).ok());
  EXPECT_EQ("degraded", node.service().Health().nodes[0].status);
  EXPECT_EQ("unhealthy", node.service().Health().status) << "of one node none is healthy";
  EXPECT_TRUE(node.service().Ready().ok()) << "what needs no writes is served";
  EXPECT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::Get{"a", ""}).ok()) << "reads go on";
  node.engine().SetCapacity({});
}

TEST(NodeServiceTest, NodesAreFoundByTheirId) {
  TestNode node;
  EXPECT_TRUE(node.service().NodeInfo({}).ok());
  EXPECT_TRUE(node.service().NodeInfo(0).ok());
  const auto unknown = node.service().NodeInfo(7);
  EXPECT_EQ(StatusCode::kNotFound, unknown.status().code());
  EXPECT_NE(std::string::npos, unknown.status().message().find("node 7"));
}

TEST(NodeServiceTest, ColumnFamiliesAreListed) {
  TestNode node;
  ASSERT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::CreateColumnFamily{"b"}).ok());
  ASSERT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::CreateColumnFamily{"a"}).ok());
  EXPECT_EQ((std::vector<std::string>{"default", "a", "b"}), node.service().ColumnFamilies());
}

TEST(NodeServiceTest, AStoppedReplicaIsUnavailable) {
  TestNode node;
  node.StopReplica();
  const auto refused = node.service().Execute(Wire::kThrift, {}, kv::Set{"a", "1", ""});
  EXPECT_EQ(StatusCode::kUnavailable, refused.status().code());
}

}  // namespace
}  // namespace cairn::server
