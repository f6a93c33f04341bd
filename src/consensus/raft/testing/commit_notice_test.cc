// When followers hear of a commit that no further append takes along (docs/adr/0025).
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Heartbeats come so seldom that none helps, and disks write at once.
class CommitNoticeTest : public testing::Test {
 protected:
  static Cluster::Options Options(Duration delay, bool leases) {
    Cluster::Options options{3, 3, 0, FastRaft()};
    options.raft.election_timeout = seconds(100);
    options.raft.heartbeat_interval = seconds(10);
    options.raft.commit_notice_delay = delay;
    options.raft.leases = leases;
    return options;
  }

  void Begin(Duration delay, bool leases = false) {
    cluster_.emplace(Options(delay, leases), 1);
    cluster_->Advance(seconds(250));
    cluster_->Tick(kLeader);
    cluster_->Settle();
    ASSERT_EQ(cluster_->Leader(), kLeader);
    ASSERT_EQ(Committed(kLeader), Slot(1));
    cluster_->on_message = [this](const Cluster::InFlight& sent, const std::string&) {
      const RaftMessage message = Decode(sent.message.body)->message;
      const auto* append = std::get_if<AppendRequest>(&message);
      empty_appends_ += append != nullptr && append->entries.empty() ? 1 : 0;
    };
  }
  Slot Committed(NodeId id) { return cluster_->node(id).core->committed(); }
  void PassTime(Duration by) {
    cluster_->Advance(by);
    cluster_->Tick(kLeader);
    cluster_->Settle();
  }

  static constexpr NodeId kLeader{0};
  static constexpr NodeId kFollower{1};
  static constexpr NodeId kOther{2};
  std::optional<Cluster> cluster_;
  int empty_appends_ = 0;
};

TEST_F(CommitNoticeTest, LeadershipIsToldAtOnce) {
  Begin(milliseconds(5));
  EXPECT_EQ(Committed(kFollower), Slot(1));
  EXPECT_EQ(Committed(kOther), Slot(1));
}
TEST_F(CommitNoticeTest, WithoutADelayEachCommitIsToldAtOnce) {
  Begin(Duration::zero());
  cluster_->Propose(kLeader);
  cluster_->Settle();
  EXPECT_EQ(Committed(kFollower), Slot(2));
  EXPECT_EQ(Committed(kOther), Slot(2));
}
TEST_F(CommitNoticeTest, OneThatNobodyWaitsForIsToldAfterTheDelay) {
  Begin(milliseconds(5));
  cluster_->Propose(kLeader);
  cluster_->Settle();
  ASSERT_EQ(Committed(kLeader), Slot(2));
  PassTime(milliseconds(4));
  EXPECT_EQ(Committed(kFollower), Slot(1));
  PassTime(milliseconds(1));
  EXPECT_EQ(Committed(kFollower), Slot(2));
  EXPECT_EQ(Committed(kOther), Slot(2));
  EXPECT_EQ(empty_appends_, 2);
  PassTime(milliseconds(100));
  EXPECT_EQ(empty_appends_, 2);  // Once.
}
TEST_F(CommitNoticeTest, WritesThatFollowSaveTheNotice) {
  Begin(milliseconds(5));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(cluster_->Propose(kLeader).has_value());
    cluster_->Settle();
    EXPECT_EQ(Committed(kFollower), Committed(kLeader).Prev());
    PassTime(milliseconds(1));
  }
  EXPECT_EQ(empty_appends_, 0);
  PassTime(milliseconds(5));
  PassTime(milliseconds(5));
  EXPECT_EQ(Committed(kFollower), Committed(kLeader));
}
TEST_F(CommitNoticeTest, OneThatSomebodyWaitsForElsewhereIsToldAtOnce) {
  Begin(milliseconds(5));
  cluster_->Propose(kLeader, "x", true);
  cluster_->Settle();
  EXPECT_EQ(Committed(kFollower), Slot(2));
  EXPECT_EQ(Committed(kOther), Slot(2));
}
TEST_F(CommitNoticeTest, ANodeThatAcknowledgesLateIsToldToo) {
  for (const bool announce : {true, false}) {
    Begin(milliseconds(5));
    cluster_->Propose(kLeader, "x", announce);
    cluster_->PersistAll(kLeader);
    // The quorum is there without kOther, whose append is on its way still.
    for (std::size_t i = 0; i < cluster_->network().size();) {
      if (cluster_->network()[i].message.to == kOther) {
        ++i;
      } else {
        cluster_->Deliver(i);
        i = 0;
        cluster_->PersistAll(kFollower);
      }
    }
    ASSERT_EQ(Committed(kLeader), Slot(2));
    cluster_->Settle();
    EXPECT_EQ(Committed(kOther), announce ? Slot(2) : Slot(1));
    PassTime(milliseconds(5));
    EXPECT_EQ(Committed(kOther), Slot(2));
  }
}
TEST_F(CommitNoticeTest, ABarrierUnderALeaseTellsWhomItAnswers) {
  Begin(milliseconds(5), true);
  cluster_->Propose(kLeader);
  cluster_->Settle();
  ASSERT_TRUE(cluster_->node(kLeader).core->lease_is_valid());
  ASSERT_EQ(Committed(kFollower), Slot(1));
  const std::uint64_t barrier = cluster_->Barrier(kFollower);
  cluster_->Settle();
  ASSERT_EQ(cluster_->opened().at(barrier), Slot(2));
  EXPECT_EQ(Committed(kFollower), Slot(2));
  EXPECT_EQ(Committed(kOther), Slot(1));
}

}  // namespace
}  // namespace cairn::consensus::raft
