#include "src/server/peer_sight.h"

#include <gtest/gtest.h>

#include <chrono>

namespace cairn::server {
namespace {

using replication::GroupView;

constexpr IncarnationId kFirstLife(100);
constexpr IncarnationId kSecondLife(200);

// Node 0 leads, nodes 1 and 2 vote; the log is committed up to slot 50.
GroupView Leading() {
  GroupView view;
  view.self = NodeId(0);
  view.leadership = {consensus::Role::kLeader, Epoch(3), NodeId(0)};
  view.committed_slot = Slot(50);
  view.last_slot = Slot(60);
  for (std::uint32_t n = 0; n < 3; ++n) {
    view.membership.members.push_back({NodeId(n), kFirstLife, true, false, false, ""});
  }
  return view;
}

void Acknowledge(GroupView* view, const consensus::PeerId& peer, Slot match) {
  view->peers.push_back({peer, match, true, {}, false});
}

PeerSight Peer(std::uint32_t node) {
  PeerSight peer;
  peer.node = NodeId(node);
  return peer;
}

PeerSight Reporting(std::uint32_t node, Slot applied) {
  PeerSight peer = Peer(node);
  peer.report.emplace();
  peer.report->applied_slot = applied;
  peer.report_age = std::chrono::milliseconds(900);
  return peer;
}

TEST(PeerSightTest, OnALeaderTheLagIsWhatThePeerHasNotAcknowledged) {
  GroupView view = Leading();
  Acknowledge(&view, {NodeId(1), kFirstLife}, Slot(47));
  // It holds what is not committed yet, too.
  Acknowledge(&view, {NodeId(2), kFirstLife}, Slot(55));
  // One has not reported, the other one's report is old.
  std::vector<PeerSight> peers = {Peer(1), Reporting(2, Slot(9))};
  AddProgress(view, &peers);
  ASSERT_TRUE(peers[0].acknowledged && peers[1].acknowledged);
  EXPECT_EQ(Slot(47), peers[0].acknowledged->match);
  EXPECT_EQ(Slot(55), peers[1].acknowledged->match);
  // What was committed at another moment makes no difference.
  const auto first = LagOf(peers[0], Slot(1000));
  const auto second = LagOf(peers[1], Slot(1000));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(3U, first->slots);
  EXPECT_EQ(0U, second->slots);
  EXPECT_FALSE(first->by_report || second->by_report);
}

TEST(PeerSightTest, ElsewhereTheReportIsAllThereIs) {
  GroupView view = Leading();
  view.self = NodeId(1);
  view.leadership.role = consensus::Role::kFollower;
  std::vector<PeerSight> peers = {Reporting(0, Slot(40)), Reporting(2, Slot(70)), Peer(5)};
  AddProgress(view, &peers);
  for (const PeerSight& peer : peers) EXPECT_FALSE(peer.acknowledged.has_value());
  const auto behind = LagOf(peers[0], Slot(50));
  const auto ahead = LagOf(peers[1], Slot(50));
  ASSERT_TRUE(behind && ahead);
  EXPECT_EQ(10U, behind->slots);
  EXPECT_EQ(0U, ahead->slots);
  EXPECT_TRUE(behind->by_report && ahead->by_report);
  EXPECT_FALSE(LagOf(peers[2], Slot(50)).has_value());
}

// A new leader does not know yet what the others hold: the whole log would be no measurement.
TEST(PeerSightTest, APeerThatHasAcknowledgedNothingIsNotSaidToLackAll) {
  GroupView view = Leading();
  Acknowledge(&view, {NodeId(1), kFirstLife}, Slot());
  Acknowledge(&view, {NodeId(2), kFirstLife}, Slot());
  std::vector<PeerSight> peers = {Peer(1), Reporting(2, Slot(48))};
  AddProgress(view, &peers);
  EXPECT_FALSE(LagOf(peers[0], Slot(50)).has_value());
  const auto reported = LagOf(peers[1], Slot(50));
  ASSERT_TRUE(reported.has_value());
  EXPECT_EQ(2U, reported->slots);
  EXPECT_TRUE(reported->by_report);
}

// Of one whose disk was emptied, the new life counts, and not what the former one held.
TEST(PeerSightTest, WhoComesBackEmptyIsSeenForItself) {
  GroupView view = Leading();
  view.membership.members[1].leaving = true;
  view.membership.members.insert(view.membership.members.begin() + 2,
                                 {NodeId(1), kSecondLife, false, true, false, ""});
  Acknowledge(&view, {NodeId(1), kFirstLife}, Slot(50));
  Acknowledge(&view, {NodeId(1), kSecondLife}, Slot(20));
  std::vector<PeerSight> peers = {Peer(1)};
  AddProgress(view, &peers);
  ASSERT_TRUE(peers[0].acknowledged.has_value());
  EXPECT_EQ(Slot(20), peers[0].acknowledged->match);
  EXPECT_EQ(30U, peers[0].acknowledged->lag);
}

}  // namespace
}  // namespace cairn::server
