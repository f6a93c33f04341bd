#include "src/consensus/raft/raft_core.h"

#include <gtest/gtest.h>

#include "src/consensus/raft/cluster_test_util.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

RaftOptions Fast() {
  RaftOptions raft;
  raft.election_timeout = milliseconds(100);
  raft.heartbeat_interval = milliseconds(20);
  raft.max_in_flight = 4;
  raft.max_append_bytes = 16;
  raft.max_cached_bytes = 64;
  return raft;
}

TestCluster::Options Of(std::uint32_t nodes, std::uint32_t voters) {
  return {nodes, voters, Fast()};
}

TEST(RaftCore, TheOnlyVoterLeadsAtOnceAndCommitsWhatIsDurable) {
  TestCluster cluster(Of(1, 1), 1);
  TestCluster::Node& node = cluster.node(NodeId(0));
  EXPECT_EQ(node.core->role(), Role::kLeader);
  EXPECT_TRUE(cluster.Propose(NodeId(0)));
  EXPECT_EQ(node.core->committed(), Slot(0));
  cluster.PersistOne(NodeId(0));
  EXPECT_EQ(node.core->committed(), Slot(1));  // The no-op.
  cluster.PersistOne(NodeId(0));
  EXPECT_EQ(node.core->committed(), Slot(2));
  cluster.Barrier(NodeId(0));
  EXPECT_EQ(cluster.barriers_opened(), 1u);
}

TEST(RaftCore, ALeaderIsElectedAndReplicates) {
  TestCluster cluster(Of(3, 3), 1);
  cluster.Run(seconds(1));
  const auto leader = cluster.Leader();
  ASSERT_TRUE(leader.has_value());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(cluster.Propose(*leader));
  cluster.Run(milliseconds(200));
  for (auto& [id, node] : cluster.nodes()) {
    EXPECT_EQ(node.core->committed(), cluster.node(*leader).core->log().last_slot());
    EXPECT_GE(node.core->committed(), Slot(51));
  }
}

TEST(RaftCore, ALeaderWithoutAQuorumStepsDownAndAnotherTakesOver) {
  TestCluster cluster(Of(3, 3), 2);
  cluster.Run(seconds(1));
  const NodeId old = *cluster.Leader();
  for (auto& [id, node] : cluster.nodes()) {
    if (id == old) continue;
    cluster.Cut(old, id);
    cluster.Cut(id, old);
  }
  cluster.Run(seconds(1));
  EXPECT_NE(cluster.node(old).core->role(), Role::kLeader);
  ASSERT_TRUE(cluster.Leader().has_value());
  EXPECT_NE(*cluster.Leader(), old);
  // Pre-vote: the one that was cut off did not drive its epoch up, and disturbs nobody on return.
  const Epoch epoch = cluster.node(*cluster.Leader()).core->epoch();
  const NodeId current = *cluster.Leader();
  cluster.HealNetwork();
  cluster.Run(seconds(1));
  EXPECT_EQ(cluster.Leader(), current);
  EXPECT_EQ(cluster.node(current).core->epoch(), epoch);
}

TEST(RaftCore, BarriersOpenOnEveryNode) {
  TestCluster cluster(Of(3, 3), 3);
  cluster.Run(seconds(1));
  cluster.Propose(*cluster.Leader());
  cluster.Run(milliseconds(100));
  for (auto& [id, node] : cluster.nodes()) cluster.Barrier(id);
  cluster.Run(milliseconds(100));
  EXPECT_EQ(cluster.barriers_opened(), 3u);
}

TEST(RaftCore, LeadershipIsHandedOver) {
  TestCluster cluster(Of(3, 3), 4);
  cluster.Run(seconds(1));
  const NodeId old = *cluster.Leader();
  const NodeId to((old.value() + 1) % 3);
  cluster.Step(old, TransferLeadership{to});
  EXPECT_FALSE(cluster.Propose(old));
  cluster.Run(milliseconds(60));
  EXPECT_EQ(cluster.Leader(), to);
  EXPECT_TRUE(cluster.Propose(to));
}

TEST(RaftCore, MembersComeAndGo) {
  // Three voters and two learners become five voters, then the first two leave.
  TestCluster cluster(Of(5, 3), 5);
  cluster.Run(seconds(1));
  Membership target;
  for (std::uint32_t n = 0; n < 5; ++n) target.members.push_back({NodeId(n), {}, true});
  cluster.Step(*cluster.Leader(), ChangeMembership{ProposalId(1), target});
  cluster.Run(milliseconds(300));
  EXPECT_EQ(cluster.node(*cluster.Leader()).core->membership(), target);
  target.members.erase(target.members.begin(), target.members.begin() + 2);
  cluster.Step(*cluster.Leader(), ChangeMembership{ProposalId(2), target});
  cluster.Run(seconds(2));
  ASSERT_TRUE(cluster.Leader().has_value());
  EXPECT_GE(cluster.Leader()->value(), 2u);
  EXPECT_EQ(cluster.node(*cluster.Leader()).core->membership(), target);
  EXPECT_TRUE(cluster.Propose(*cluster.Leader()));
  cluster.Run(milliseconds(200));
  EXPECT_EQ(cluster.node(NodeId(4)).core->committed(), cluster.highest_committed());
}

// Everything at once, at random; then it heals and must go on.
void RunRandom(std::uint64_t seed, const TestCluster::Options& options) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  TestCluster cluster(options, seed);
  Random& random = cluster.random();
  const auto any_node = [&] {
    return NodeId(static_cast<std::uint32_t>(random.Below(options.nodes)));
  };
  for (int i = 0; i < 4000 && !testing::Test::HasFatalFailure(); ++i) {
    switch (random.Below(40)) {
      case 0:
        cluster.Crash(any_node());
        break;
      case 1:
      case 2: {
        const NodeId id = any_node();
        if (!cluster.node(id).core) cluster.Start(id);
        break;
      }
      case 3:
        cluster.Cut(any_node(), any_node());
        break;
      case 4:
        cluster.HealNetwork();
        break;
      case 5:
        cluster.Barrier(any_node());
        break;
      case 6:
        cluster.Compact(any_node());
        break;
      case 7:
        if (const auto leader = cluster.Leader()) {
          cluster.Step(*leader, TransferLeadership{any_node()});
        }
        break;
      case 8:
        if (const auto leader = cluster.Leader(); leader && random.OneIn(1, 3)) {
          Membership target;
          for (std::uint32_t n = 0; n < options.nodes; ++n) {
            if (random.OneIn(4, 5)) target.members.push_back({NodeId(n), {}, random.OneIn(4, 5)});
          }
          if (!target.Voters().empty()) {
            cluster.Step(*leader, ChangeMembership{ProposalId(1'000'000), target});
          }
        }
        break;
      case 9:
      case 10:
      case 11:
      case 12:
        cluster.Advance(Duration(static_cast<std::int64_t>(random.Below(30'000'000))));
        for (auto& [id, node] : cluster.nodes()) {
          if (random.OneIn(9, 10)) cluster.Tick(id);
        }
        break;
      case 13:
      case 14:
      case 15:
        if (const auto leader = cluster.Leader()) cluster.Propose(*leader);
        break;
      case 16:
      case 17:
      case 18:
      case 19:
      case 20:
      case 21:
        cluster.PersistOne(any_node());
        break;
      default:
        cluster.DeliverOne(5);
    }
  }
  if (testing::Test::HasFatalFailure()) return;
  cluster.HealNetwork();
  for (auto& [id, node] : cluster.nodes()) {
    if (!node.core) cluster.Start(id);
  }
  cluster.Run(seconds(3));
  ASSERT_TRUE(cluster.Leader().has_value()) << "no leader after healing\n" << cluster.Describe();
  const NodeId leader = *cluster.Leader();
  const Slot before = cluster.highest_committed();
  ASSERT_TRUE(cluster.Propose(leader) ||
              (cluster.Run(seconds(1)), cluster.Propose(*cluster.Leader())));
  cluster.Run(seconds(1));
  EXPECT_GT(cluster.highest_committed(), before) << "no progress after healing";
}

TEST(RaftCore, RandomHistoriesKeepThePromises) {
  for (std::uint64_t seed = 1; seed <= 150 && !HasFatalFailure(); ++seed) RunRandom(seed, Of(3, 3));
  for (std::uint64_t seed = 1; seed <= 100 && !HasFatalFailure(); ++seed) RunRandom(seed, Of(5, 4));
}

TEST(RaftCore, RandomHistoriesWithLeasesKeepThePromises) {
  TestCluster::Options options = Of(3, 3);
  options.raft.leases = true;
  for (std::uint64_t seed = 1000; seed <= 1100 && !HasFatalFailure(); ++seed) {
    RunRandom(seed, options);
  }
}

}  // namespace
}  // namespace cairn::consensus::raft
