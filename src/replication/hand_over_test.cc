// A node that is to stop hands leadership over, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/replication/group_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

// Elections by time-out take ten seconds and more: whoever leads sooner was asked to.
class HandOverTest : public ::testing::Test {
 protected:
  HandOverTest() : group(3) {
    group.raft.election_timeout = seconds(10);
    group.raft.heartbeat_interval = milliseconds(50);
    group.StartAll();
    leader = group.AwaitAgreement();
    EXPECT_TRUE(group.Set(leader, "k", "v").ok());
  }

  Later<Status> Begin(NodeId at, Duration bound = seconds(4)) {
    auto later = std::make_shared<std::optional<Status>>();
    group.replica(at)->HandOver(group.time.Now() + bound,
                                [later](Status status) { later->emplace(std::move(status)); });
    return later;
  }
  Status Await(const Later<Status>& later) {
    EXPECT_TRUE(group.time.RunUntil([&] { return later->has_value(); }));
    return later->value_or(TimeoutError("never answered"));
  }
  consensus::Leadership LeadershipAt(NodeId node) {
    return group.replica(node)->status().leadership;
  }

  Group group;
  NodeId leader;
};

TEST_F(HandOverTest, AnotherNodeLeadsAtOnceAndInTheNextEpoch) {
  const Epoch epoch = LeadershipAt(leader).epoch;
  const MonotonicTime begun = group.time.Now();
  const Status status = Await(Begin(leader));
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_LT(group.time.Now() - begun, milliseconds(200));
  const NodeId next = group.AwaitAgreement();
  EXPECT_NE(next, leader);
  EXPECT_EQ(LeadershipAt(next).epoch, epoch.Next());
}

TEST_F(HandOverTest, WhatClientsAskMeanwhileIsAnswered) {
  std::vector<Later<Group::Answer>> answers;
  const auto write_everywhere = [&](const std::string& key) {
    for (std::uint32_t n = 0; n < 3; ++n) {
      answers.push_back(group.Begin(NodeId(n), kv::Set{key + std::to_string(n), "v", ""}));
    }
  };
  write_everywhere("before");
  const Later<Status> handed_over = Begin(leader);
  write_everywhere("meanwhile");
  EXPECT_TRUE(Await(handed_over).ok());
  write_everywhere("after");
  const MonotonicTime begun = group.time.Now();
  for (const auto& answer : answers) EXPECT_TRUE(group.Await(answer).ok());
  EXPECT_LT(group.time.Now() - begun, milliseconds(500));
  group.ExpectSameStates();
}

TEST_F(HandOverTest, TheNodeThatIsFurtherAlongIsAsked) {
  const NodeId behind = group.Other(leader);
  group.Kill(behind);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), "v").ok());
  // Back, and cut off before it has caught up: only just heard of.
  group.Start(behind);
  group.network().Cut(leader, behind);
  const MonotonicTime begun = group.time.Now();
  EXPECT_TRUE(Await(Begin(leader)).ok());
  // It was the first one asked: the next one's turn comes after a third of the time.
  EXPECT_LT(group.time.Now() - begun, seconds(1));
  const std::optional<NodeId> next = group.Leader();
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(*next, leader);
  EXPECT_NE(*next, behind);
}

TEST_F(HandOverTest, AVoterThatDoesNotTakeOverIsFollowedByTheNextOne) {
  // Still answers as far as the leader knows, and is gone.
  const NodeId gone = group.Other(leader);
  const NodeId other(3 - leader.value() - gone.value());
  group.Kill(gone);
  group.network().Cut(leader, other);
  const Later<Status> handed_over = Begin(leader);
  group.time.RunFor(milliseconds(200));
  EXPECT_FALSE(handed_over->has_value());
  group.network().Heal();
  const Status status = Await(handed_over);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(group.AwaitAgreement(), other);
}

TEST_F(HandOverTest, ANodeThatDoesNotLeadHasNothingToHandOver) {
  const Epoch epoch = LeadershipAt(leader).epoch;
  EXPECT_TRUE(Await(Begin(group.Other(leader))).ok());
  EXPECT_EQ(group.AwaitAgreement(), leader);
  EXPECT_EQ(LeadershipAt(leader).epoch, epoch);
}

TEST_F(HandOverTest, ALeaderThatIsAloneSaysSo) {
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) != leader) group.Kill(NodeId(n));
  }
  const Status bounded = Await(Begin(leader, seconds(1)));
  EXPECT_EQ(bounded.code(), StatusCode::kTimeout) << bounded.ToString();
  group.time.RunFor(seconds(9));
  // By now it knows that nobody is there.
  const Status status = Await(Begin(leader));
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kFailedPrecondition) << status.ToString();
}

TEST_F(HandOverTest, TheOnlyVoterSaysSoAtOnce) {
  Group alone(1);
  alone.StartAll();
  const NodeId self = alone.AwaitAgreement();
  auto later = std::make_shared<std::optional<Status>>();
  alone.replica(self)->HandOver(alone.time.Now() + seconds(4),
                                [later](Status status) { later->emplace(std::move(status)); });
  ASSERT_TRUE(alone.time.RunUntil([&] { return later->has_value(); }));
  EXPECT_EQ((*later)->code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT((*later)->message(), HasSubstr("no other voter"));
}

}  // namespace
}  // namespace cairn::replication
