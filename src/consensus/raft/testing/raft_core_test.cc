#include "src/consensus/raft/raft_core.h"

#include <gtest/gtest.h>

#include <chrono>

#include "src/base/sanitizers.h"
#include "src/consensus/raft/testing/cluster.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Cluster::Options Of(std::uint32_t nodes, std::uint32_t voters, std::uint32_t learners = 0) {
  return {nodes, voters, learners, FastRaft()};
}

TEST(RaftCore, TheOnlyVoterLeadsWhenItsVoteIsDurableAndCommitsWhatIs) {
  Cluster cluster(Of(1, 1), 1);
  Cluster::Node& node = cluster.node(NodeId(0));
  EXPECT_EQ(node.core->role(), Role::kCandidate);
  cluster.PersistOne(NodeId(0));
  EXPECT_EQ(node.core->role(), Role::kLeader);
  EXPECT_TRUE(cluster.Propose(NodeId(0)));
  EXPECT_EQ(node.core->committed(), Slot(0));
  cluster.PersistOne(NodeId(0));
  EXPECT_EQ(node.core->committed(), Slot(1));  // The no-op.
  cluster.PersistOne(NodeId(0));
  EXPECT_EQ(node.core->committed(), Slot(2));
  cluster.Barrier(NodeId(0));
  EXPECT_EQ(cluster.opened().size(), 1u);
}

TEST(RaftCore, ALeaderIsElectedAndReplicates) {
  Cluster cluster(Of(3, 3), 1);
  cluster.Run(seconds(1));
  const auto leader = cluster.Leader();
  ASSERT_TRUE(leader.has_value());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(cluster.Propose(*leader));
  cluster.Run(milliseconds(200));
  for (auto& [id, node] : cluster.nodes()) {
    EXPECT_EQ(node.core->committed(), cluster.node(*leader).core->log().last_slot());
    EXPECT_GE(node.core->committed(), Slot(51));
  }
  EXPECT_FALSE(cluster.broken().has_value()) << *cluster.broken();
}

TEST(RaftCore, ALeaderWithoutAQuorumStepsDownAndAnotherTakesOver) {
  Cluster cluster(Of(3, 3), 2);
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
  cluster.Heal();
  cluster.Run(seconds(1));
  EXPECT_EQ(cluster.Leader(), current);
  EXPECT_EQ(cluster.node(current).core->epoch(), epoch);
}

// Whom a new leader has not heard of it awaits for an election timeout, and then takes for silent.
TEST(RaftCore, ANewLeaderAwaitsWhoHasNotAnswered) {
  Cluster cluster(Of(3, 3), 1);
  cluster.Crash(NodeId(2));
  for (int i = 0; i < 1000 && !cluster.Leader(); ++i) cluster.Run(milliseconds(10));
  ASSERT_TRUE(cluster.Leader().has_value());
  const NodeId leader = *cluster.Leader();
  const auto of = [&](NodeId node) {
    for (const PeerProgress& peer : cluster.node(leader).core->ProgressOfPeers(cluster.now())) {
      if (peer.peer.node == node) return peer;
    }
    ADD_FAILURE() << "node " << ToString(node) << " is no peer";
    return PeerProgress();
  };
  EXPECT_TRUE(of(NodeId(2)).awaited);
  EXPECT_FALSE(of(NodeId(2)).answers);
  cluster.Run(seconds(1));
  ASSERT_EQ(cluster.Leader(), leader);
  const NodeId other(1 - leader.value());
  EXPECT_TRUE(of(other).answers);
  EXPECT_FALSE(of(other).awaited);
  EXPECT_FALSE(of(NodeId(2)).awaited);
  EXPECT_FALSE(of(NodeId(2)).answers);
}

TEST(RaftCore, BarriersOpenOnEveryNode) {
  Cluster cluster(Of(3, 3), 3);
  cluster.Run(seconds(1));
  cluster.Propose(*cluster.Leader());
  cluster.Run(milliseconds(100));
  for (auto& [id, node] : cluster.nodes()) cluster.Barrier(id);
  cluster.Run(milliseconds(100));
  EXPECT_EQ(cluster.opened().size(), 3u);
}

TEST(RaftCore, AFollowersBarriersShareFewRequests) {
  Cluster cluster(Of(3, 3), 3);
  cluster.Run(seconds(1));
  const NodeId leader = *cluster.Leader();
  const NodeId follower((leader.value() + 1) % 3);
  cluster.Settle();
  for (int i = 0; i < 1000; ++i) cluster.Barrier(follower);
  EXPECT_LE(cluster.network().size(), 4u);
  // They are lost; each heartbeat asks for the newest alone.
  while (!cluster.network().empty()) cluster.Drop(0);
  cluster.Run(milliseconds(100));
  EXPECT_EQ(cluster.opened().size(), 1000u);
  EXPECT_FALSE(cluster.broken().has_value()) << *cluster.broken();
}

TEST(RaftCore, LeadershipIsHandedOver) {
  Cluster cluster(Of(3, 3), 4);
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
  Cluster cluster(Of(5, 3, 2), 5);
  cluster.Run(seconds(1));
  Membership target;
  for (std::uint32_t n = 0; n < 5; ++n) {
    target.members.push_back({NodeId(n), IncarnationId(n + 1), true});
  }
  cluster.Step(*cluster.Leader(), ChangeMembership{ProposalId(1), target});
  cluster.Run(milliseconds(300));
  EXPECT_EQ(cluster.node(*cluster.Leader()).core->membership(), target);
  target.members.erase(target.members.begin(), target.members.begin() + 2);
  cluster.Step(*cluster.Leader(), ChangeMembership{ProposalId(2), target});
  cluster.Run(seconds(2));
  ASSERT_TRUE(cluster.Leader().has_value());
  EXPECT_GE(cluster.Leader()->value(), 2u);
  const Membership& now = cluster.node(*cluster.Leader()).core->membership();
  EXPECT_EQ(now.members, target.members);
  EXPECT_TRUE(now.WasRemoved(cluster.peer(NodeId(0))));
  EXPECT_TRUE(cluster.Propose(*cluster.Leader()));
  cluster.Run(milliseconds(200));
  EXPECT_EQ(cluster.node(NodeId(4)).core->committed(), cluster.highest_committed());
  // They were told, and don't come back.
  EXPECT_TRUE(cluster.node(NodeId(0)).removed);
  EXPECT_TRUE(cluster.node(NodeId(1)).removed);
  target.members.insert(target.members.begin(), {NodeId(0), IncarnationId(1), true});
  const Effects effects = cluster.Step(*cluster.Leader(), ChangeMembership{ProposalId(3), target});
  EXPECT_EQ(effects.rejected.size(), 1u);
}

TEST(RaftCore, AWipedVoterIsReplacedByItsNewIncarnation) {
  Cluster cluster(Of(3, 3), 6);
  cluster.Run(seconds(1));
  const NodeId leader = *cluster.Leader();
  const NodeId wiped((leader.value() + 1) % 3);
  for (int i = 0; i < 20; ++i) cluster.Propose(leader);
  cluster.Run(milliseconds(100));
  const PeerId old = cluster.peer(wiped);
  cluster.Wipe(wiped);
  cluster.Start(wiped);
  // Not before the old one has been silent for an election timeout.
  const Membership target =
      cluster.node(leader).core->membership().WithReplaced(cluster.peer(wiped));
  EXPECT_EQ(cluster.Step(leader, ChangeMembership{ProposalId(7), target}).rejected.size(), 1u);
  cluster.Run(seconds(1));
  const Membership& now = cluster.node(leader).core->membership();
  EXPECT_EQ(now.members, target.members);
  EXPECT_TRUE(now.WasRemoved(old));
  EXPECT_EQ(cluster.node(wiped).core->committed(), cluster.highest_committed());
  EXPECT_FALSE(cluster.broken().has_value()) << *cluster.broken();
}

TEST(RaftCore, AChangeThatLeavesNoVoterIsRefused) {
  Cluster cluster(Of(3, 3), 7);
  cluster.Run(seconds(1));
  const NodeId leader = *cluster.Leader();
  const Membership before = cluster.node(leader).core->membership();
  Membership target = before;
  for (Membership::Member& member : target.members) member.voter = false;
  EXPECT_EQ(cluster.Step(leader, ChangeMembership{ProposalId(1), target}).rejected.size(), 1u);
  target.members.clear();
  EXPECT_EQ(cluster.Step(leader, ChangeMembership{ProposalId(2), target}).rejected.size(), 1u);
  EXPECT_EQ(cluster.node(leader).core->membership(), before);
}

// A lease rests on what a follower promised, whatever it has come to think of the leader since.
TEST(RaftCore, WithLeasesAForgottenLeaderIsStillHonoured) {
  Cluster::Options options = Of(3, 3);
  options.raft.leases = true;
  Cluster cluster(options, 8);
  cluster.Run(seconds(1));
  cluster.Settle();
  const NodeId leader = *cluster.Leader();
  const NodeId follower((leader.value() + 1) % 3);
  const NodeId other((leader.value() + 2) % 3);
  const RaftCore& core = *cluster.node(follower).core;
  const Epoch newer = core.epoch().Next();
  const auto receive = [&](const RaftMessage& message) {
    const Framed framed{cluster.peer(other).incarnation, cluster.peer(follower).incarnation,
                        message};
    cluster.Step(follower, MessageReceived{other, Encode(framed)});
  };
  receive(VoteResponse{newer, false, false, false});
  ASSERT_EQ(core.epoch(), newer);
  const VoteRequest request{newer.Next(), Slot(1000), newer, false, false};
  receive(request);
  EXPECT_EQ(core.epoch(), newer);
  cluster.Advance(milliseconds(150));  // The promise was for one election timeout.
  receive(request);
  EXPECT_EQ(core.epoch(), newer.Next());
}

void RunSeeds(std::uint64_t first, std::uint64_t count, const HistoryOptions& options) {
  if (kSanitized) count = (count + 7) / 8;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto broken = RunRandomHistory(seed, options);
    ASSERT_FALSE(broken.has_value()) << "seed " << seed << ": " << broken->what;
  }
}

TEST(RaftCore, RandomHistoriesKeepThePromises) {
  RunSeeds(1, 150, {Of(3, 3)});
  RunSeeds(1, 100, {Of(5, 4, 1)});
  RunSeeds(1, 60, {Of(7, 5)});
}

TEST(RaftCore, RandomHistoriesWithLeasesKeepThePromises) {
  HistoryOptions options{Of(3, 3)};
  options.cluster.raft.leases = true;
  options.cluster.raft.commit_notice_delay = milliseconds(7);
  RunSeeds(1000, 150, options);
}

}  // namespace
}  // namespace cairn::consensus::raft
