#include "src/replication/membership_edits.h"

#include <gtest/gtest.h>

namespace cairn::replication {
namespace {

using consensus::Membership;
using consensus::PeerId;

// Three voters of which node 0 leads; the log ends at slot 5000, all committed.
GroupView ThreeVoters() {
  GroupView view;
  view.self = NodeId(0);
  view.leadership = {consensus::Role::kLeader, Epoch(3), NodeId(0)};
  view.last_slot = view.committed_slot = Slot(5000);
  for (std::uint32_t n = 0; n < 3; ++n) {
    view.membership.members.push_back(
        {NodeId(n), IncarnationId(100 + n), true, false, false, "host" + std::to_string(n) + ":1"});
    if (n != 0) {
      view.peers.push_back({{NodeId(n), IncarnationId(100 + n)}, Slot(5000), true, {}, false});
    }
  }
  return view;
}

void Silence(GroupView* view, std::uint32_t node) {
  for (auto& peer : view->peers) {
    if (peer.peer.node == NodeId(node)) peer.answers = false;
  }
}

// Node 0 has just begun to lead, and has heard of nobody yet.
GroupView NewLeader() {
  GroupView view = ThreeVoters();
  for (auto& peer : view.peers) {
    peer.answers = false;
    peer.awaited = true;
  }
  return view;
}

// A learner that came.
void AddLearner(GroupView* view, std::uint32_t node, Slot match) {
  const IncarnationId incarnation(100 + node);
  view->membership.members.push_back(
      {NodeId(node), incarnation, false, false, false, "host" + std::to_string(node) + ":1"});
  view->peers.push_back({{NodeId(node), incarnation}, match, true, {}, false});
}

NewMember Node3() { return {NodeId(3), "host3:1", IncarnationId(999)}; }

TEST(MembershipEditsTest, ANewMemberTakesASeatUnderItsPlaceholder) {
  const GroupView view = ThreeVoters();
  const auto target = WithLearner(view, Node3());
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  ASSERT_EQ(target->members.size(), 4U);
  const Membership::Member expected{NodeId(3), IncarnationId(999), false, false, false, "host3:1"};
  EXPECT_EQ(target->members[3], expected);
  EXPECT_EQ(target->Voters(), view.membership.Voters());
  // Whoever comes to that seat is told from its placeholder, and takes it as a learner.
  const PeerId comes{NodeId(3), IncarnationId(103)};
  EXPECT_EQ(ClassifyJoin(*target, comes), consensus::JoinVerdict::kReplace);
  EXPECT_FALSE(target->WithReplaced(comes).Find(NodeId(3))->voter);
}

TEST(MembershipEditsTest, AddingAgainChangesNothingAndAddingAMemberIsRefused) {
  GroupView view = ThreeVoters();
  AddLearner(&view, 3, Slot(1));
  const auto again = WithLearner(view, Node3());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->members, view.membership.members);
  EXPECT_EQ(WithLearner(view, {NodeId(3), "other:1", IncarnationId(7)}).status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(WithLearner(view, {NodeId(1), "host1:1", IncarnationId(7)}).status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(WithLearner(view, {NodeId(4), "host1:1", IncarnationId(7)}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(WithLearner(view, {NodeId(4), "nonsense", IncarnationId(7)}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(MembershipEditsTest, WhoHasJustBegunToLeadDoesNotKnowWhoIsSilent) {
  GroupView view = NewLeader();
  const auto removed = [&](NodeId node) { return WithRemoved(view, node, false).status(); };
  EXPECT_EQ(removed(NodeId(2)).code(), StatusCode::kUnavailable);
  EXPECT_NE(removed(NodeId(2)).message().find("not heard of node 1 yet"), std::string::npos)
      << removed(NodeId(2)).message();
  EXPECT_TRUE(WithRemoved(view, NodeId(2), /*force=*/true).ok());
  // One of them is overdue: the other one may make a majority of three, but not of the two that
  // stay without it.
  view.peers[0].awaited = false;
  EXPECT_EQ(WithSuccessor(view, NodeId(1), Node3(), false).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(removed(NodeId(2)).code(), StatusCode::kFailedPrecondition);
  view.peers[1].awaited = false;
  EXPECT_EQ(WithSuccessor(view, NodeId(1), Node3(), false).status().code(),
            StatusCode::kFailedPrecondition);
  AddLearner(&view, 3, Slot(5000));
  view.peers.back().answers = false;
  view.peers.back().awaited = true;
  EXPECT_EQ(WithPromoted(view, NodeId(3)).status().code(), StatusCode::kUnavailable);
}

TEST(MembershipEditsTest, ALearnerIsPromotedWhenItHasCaughtUp) {
  GroupView view = ThreeVoters();
  AddLearner(&view, 3, Slot(100));
  const auto early = WithPromoted(view, NodeId(3));
  EXPECT_EQ(early.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(early.status().message().find("lacks 4900 slots"), std::string::npos)
      << early.status().message();
  view.peers.back().match = Slot(4000);
  ASSERT_TRUE(WithPromoted(view, NodeId(3)).ok());
  EXPECT_TRUE(WithPromoted(view, NodeId(3))->members[3].voter);
  view.peers.back().needs_snapshot = true;
  EXPECT_EQ(WithPromoted(view, NodeId(3)).status().code(), StatusCode::kFailedPrecondition);
  view.peers.back() = {view.peers.back().peer, Slot(5000), false, {}, false};
  EXPECT_EQ(WithPromoted(view, NodeId(3)).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(WithPromoted(view, NodeId(9)).status().code(), StatusCode::kNotFound);
  // Of a voter nothing changes.
  EXPECT_EQ(WithPromoted(view, NodeId(1))->members, view.membership.members);
}

TEST(MembershipEditsTest, ARemovalThatLeavesNoMajorityIsRefusedUnlessForced) {
  GroupView view = ThreeVoters();
  ASSERT_TRUE(WithRemoved(view, NodeId(2), false).ok());
  EXPECT_EQ(WithRemoved(view, NodeId(2), false)->members.size(), 2U);
  Silence(&view, 2);
  EXPECT_TRUE(WithRemoved(view, NodeId(2), false).ok());
  const auto refused = WithRemoved(view, NodeId(1), false);
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("silent: 2"), std::string::npos);
  EXPECT_TRUE(WithRemoved(view, NodeId(1), true).ok());
  // The last voter stays, whatever is asked.
  view.membership.members.resize(1);
  EXPECT_FALSE(WithRemoved(view, NodeId(0), true).ok());
}

TEST(MembershipEditsTest, ASuccessorJoinsWhileTheOldOneLeaves) {
  GroupView view = ThreeVoters();
  Silence(&view, 1);
  const auto target = WithSuccessor(view, NodeId(1), Node3(), false);
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  ASSERT_EQ(target->members.size(), 3U);
  EXPECT_EQ(target->Find(NodeId(1)), nullptr);
  EXPECT_TRUE(target->Find(NodeId(3))->voter);
  // A node of its own number comes back by itself.
  EXPECT_EQ(WithSuccessor(view, NodeId(1), {NodeId(1), "host1:1", IncarnationId(5)}, false)
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  // With another one silent, the two that stay can't decide.
  Silence(&view, 2);
  EXPECT_EQ(WithSuccessor(view, NodeId(1), Node3(), false).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(WithSuccessor(view, NodeId(1), Node3(), true).ok());
  EXPECT_EQ(WithSuccessor(view, NodeId(1), {NodeId(2), "", IncarnationId(5)}, true).status().code(),
            StatusCode::kAlreadyExists);
}

TEST(MembershipEditsTest, ALearnerMayBeTheSuccessor) {
  GroupView view = ThreeVoters();
  AddLearner(&view, 3, Slot(100));
  const auto target = WithSuccessor(view, NodeId(2), {NodeId(3), "", IncarnationId(5)}, false);
  ASSERT_TRUE(target.ok());
  EXPECT_TRUE(target->Find(NodeId(3))->voter);
  EXPECT_EQ(target->Find(NodeId(3))->incarnation, IncarnationId(103));
}

// Node 3 is on its way to take the vote of node 1.
GroupView Replacing() {
  GroupView view = ThreeVoters();
  view.membership.members[1].leaving = true;
  view.membership.members.push_back({NodeId(3), IncarnationId(999), false, true, false, "host3:1"});
  return view;
}

TEST(MembershipEditsTest, ASuccessorThatNeverComesIsReplacedByAVoter) {
  const NewMember node4{NodeId(4), "host4:1", IncarnationId(7)};
  const auto target = WithSuccessor(Replacing(), NodeId(3), node4, false);
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  EXPECT_EQ(target->Find(NodeId(3)), nullptr);
  ASSERT_NE(target->Find(NodeId(4)), nullptr);
  EXPECT_TRUE(target->Find(NodeId(4))->voter);
  EXPECT_EQ(target->Voters().size(), 3U);
  // The voters that there are decide meanwhile, the one that leaves among them.
  GroupView silent = Replacing();
  Silence(&silent, 1);
  Silence(&silent, 2);
  EXPECT_EQ(WithSuccessor(silent, NodeId(3), node4, false).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(MembershipEditsTest, OneThatLeavesGetsNoSecondSuccessor) {
  const auto refused =
      WithSuccessor(Replacing(), NodeId(1), {NodeId(4), "host4:1", IncarnationId(7)}, false);
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("being replaced already"), std::string::npos);
}

TEST(MembershipEditsTest, OneThatJoinsForAnotherTakesNoSecondPlace) {
  EXPECT_EQ(WithSuccessor(Replacing(), NodeId(2), {NodeId(3), "", IncarnationId(5)}, true)
                .status()
                .code(),
            StatusCode::kAlreadyExists);
}

TEST(MembershipEditsTest, RemovingANodeThatReplacesItselfLeavesOtherReplacementsAlone) {
  GroupView view = Replacing();
  auto& members = view.membership.members;
  members[2].leaving = true;
  members.insert(members.begin() + 3,
                 {NodeId(2), IncarnationId(202), false, true, false, "host2:1"});
  const auto target = WithRemoved(view, NodeId(2), true);
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  EXPECT_EQ(target->Find(NodeId(1)), nullptr);
  EXPECT_EQ(target->Find(NodeId(2)), nullptr);
  EXPECT_TRUE(target->Find(NodeId(3))->joining);
}

TEST(MembershipEditsTest, OneThatLeavesDoesNotComeBackEmptied) {
  const GroupView view = Replacing();
  EXPECT_EQ(ClassifyJoin(view.membership, {NodeId(1), IncarnationId(555)}),
            consensus::JoinVerdict::kUnknown);
  EXPECT_EQ(ClassifyJoin(view.membership, {NodeId(3), IncarnationId(555)}),
            consensus::JoinVerdict::kReplace);
  // It may where its own new incarnation is on its way.
  GroupView wiped = ThreeVoters();
  wiped.membership.members[1].leaving = true;
  wiped.membership.members.insert(wiped.membership.members.begin() + 2,
                                  {NodeId(1), IncarnationId(201), false, true, false, "host1:1"});
  EXPECT_EQ(ClassifyJoin(wiped.membership, {NodeId(1), IncarnationId(555)}),
            consensus::JoinVerdict::kReplace);
}

TEST(MembershipEditsTest, EndingOneReplacementLeavesANodeThatReplacesItself) {
  GroupView view = Replacing();
  auto& members = view.membership.members;
  members[2].leaving = true;
  members.insert(members.begin() + 3,
                 {NodeId(2), IncarnationId(202), false, true, false, "host2:1"});
  const auto target = WithRemoved(view, NodeId(3), true);
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  ASSERT_EQ(target->members.size(), 3U);
  EXPECT_FALSE(target->Find(NodeId(1))->leaving);
  EXPECT_EQ(target->Find(NodeId(2))->incarnation, IncarnationId(202));
}

TEST(MembershipEditsTest, RemovingTheOneThatJoinsEndsAReplacement) {
  const GroupView view = Replacing();
  const auto target = WithRemoved(view, NodeId(3), false);
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->members, ThreeVoters().membership.members);
  // Another change does not disturb it: who leaves is left to the core.
  const auto other = WithLearner(view, {NodeId(4), "host4:1", IncarnationId(7)});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->Find(NodeId(1)), nullptr);
  EXPECT_TRUE(other->Find(NodeId(3))->joining);
}

}  // namespace
}  // namespace cairn::replication
