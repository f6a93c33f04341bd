#include "src/server/node_service.h"

#include <gtest/gtest.h>

#include <thread>
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
  node.service().states().SetStopping();
  EXPECT_EQ(StatusCode::kUnavailable, node.service().Ready().code()) << "it is about to stop";
}

TEST(NodeServiceTest, AFullDiskDegradesTheNode) {
  TestNode node;
  node.engine().SetCapacity(0);
  // The write is in the log and waits for room until its deadline; the node knows soon.
  replication::RequestContext context;
  context.deadline = node.service().clock().Now() + std::chrono::seconds(2);
  EXPECT_FALSE(node.service().Execute(Wire::kThrift, context, kv::Set{"a", "1", ""}).ok());
  while (node.service().Health().nodes[0].status == "healthy") std::this_thread::yield();
  EXPECT_EQ("degraded", node.service().Health().nodes[0].status);
  EXPECT_EQ("degraded", node.service().Health().status) << "it is there, and not well";
  EXPECT_EQ(0, node.service().Health().healthy_nodes);
  EXPECT_TRUE(node.service().Ready().ok()) << "what needs no writes is served";
  EXPECT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::Get{"a", ""}).ok()) << "reads go on";
  node.engine().SetCapacity({});
}

// Nodes 0, 1, ... with these states, a letter each: h(ealthy), d(egraded), u(nreachable), ?
// (unknown).
std::string StatusOf(const consensus::Membership& membership, const std::string& states) {
  std::vector<NodeStatus> nodes;
  for (const char state : states) {
    NodeStatus node;
    node.node_id = static_cast<std::int32_t>(nodes.size());
    node.status = state == 'h'   ? "healthy"
                  : state == 'd' ? "degraded"
                  : state == 'u' ? "unreachable"
                                 : "unknown";
    nodes.push_back(node);
  }
  return ClusterStatus(nodes, membership);
}

consensus::Membership MembersOf(std::uint32_t voters, std::uint32_t learners) {
  consensus::Membership membership;
  for (std::uint32_t i = 0; i < voters + learners; ++i) {
    membership.members.push_back({NodeId(i), IncarnationId(10 + i), i < voters});
  }
  return membership;
}

TEST(ClusterStatusTest, AMajorityOfTheVotersDecides) {
  const consensus::Membership three = MembersOf(3, 0);
  EXPECT_EQ("healthy", StatusOf(three, "hhh"));
  EXPECT_EQ("degraded", StatusOf(three, "hhu"));
  EXPECT_EQ("unhealthy", StatusOf(three, "huu"));
  EXPECT_EQ("unhealthy", StatusOf(three, "h?u"));
  EXPECT_EQ("degraded", StatusOf(MembersOf(5, 0), "huhuh"));
  EXPECT_EQ("unhealthy", StatusOf(MembersOf(4, 0), "hhuu")) << "half is no majority";
}

TEST(ClusterStatusTest, AVoterWithAFullDiskIsThere) {
  const consensus::Membership three = MembersOf(3, 0);
  EXPECT_EQ("degraded", StatusOf(three, "hdd"));
  EXPECT_EQ("degraded", StatusOf(three, "ddd"));
  EXPECT_EQ("degraded", StatusOf(three, "udd"));
  EXPECT_EQ("unhealthy", StatusOf(three, "uud"));
}

TEST(ClusterStatusTest, LearnersDoNotCountForAMajority) {
  EXPECT_EQ("unhealthy", StatusOf(MembersOf(3, 2), "huuhh")) << "three of five, one of the voters";
  EXPECT_EQ("degraded", StatusOf(MembersOf(3, 2), "hhuuu")) << "two of five, two of the voters";
  EXPECT_EQ("degraded", StatusOf(MembersOf(3, 1), "hhhu")) << "not all are well";
  EXPECT_EQ("healthy", StatusOf(MembersOf(3, 1), "hhhh"));
}

TEST(ClusterStatusTest, AVoterThatIsBeingReplacedIsGone) {
  consensus::Membership membership = MembersOf(3, 0);
  membership.members[2].leaving = true;
  membership.members.push_back({NodeId(2), IncarnationId(20), /*voter=*/false, /*joining=*/true});
  EXPECT_EQ("degraded", StatusOf(membership, "hdh"));
  EXPECT_EQ("unhealthy", StatusOf(membership, "huh")) << "the new node 2 has no vote yet";
}

TEST(ClusterStatusTest, OldAndNewVotersBothNeedAMajority) {
  // The vote of node 1 goes to node 3; nodes 0 and 2 keep theirs.
  consensus::Membership membership = MembersOf(4, 0);
  membership.outgoing_voters = MembersOf(3, 0).Voters();
  membership.members[1].voter = false;
  EXPECT_EQ("degraded", StatusOf(membership, "huhh"));
  EXPECT_EQ("unhealthy", StatusOf(membership, "huuh")) << "one of the three old ones";
  EXPECT_EQ("unhealthy", StatusOf(membership, "hhuu")) << "one of the three new ones";
}

TEST(ClusterStatusTest, ANodeByItselfIsItsOwnMajority) {
  EXPECT_EQ("healthy", StatusOf({}, "h"));
  EXPECT_EQ("degraded", StatusOf({}, "d"));
  EXPECT_EQ("unhealthy", StatusOf({}, "?"));
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
