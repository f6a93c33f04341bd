// A leader whose writes wait although nobody refuses them knows it, and says so.
#include "src/replication/stall.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/replication/group_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string WhyAt(Replica* replica) { return WhyWritesWait(replica->status()).message(); }

TEST(StallTest, ALeaderWhoseFollowersDoNotAcknowledgeSaysSo) {
  Group group(3);
  group.options.report_interval = seconds(1);
  group.options.disk_retry = seconds(20);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  Replica* const replica = group.replica(leader);
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  ASSERT_TRUE(group.AwaitApplied());
  EXPECT_FALSE(replica->status().stalled_for.has_value()) << "nothing waits";
  std::vector<NodeId> others;
  for (const NodeId id : {NodeId(0), NodeId(1), NodeId(2)}) {
    if (id != leader) others.push_back(id);
  }
  // Nothing gets to their journals until the next try; they answer heartbeats as ever. A write to
  // the disk that fails may be one of zeros ahead of the records, so there are some.
  RequestContext context;
  context.deadline = group.time.Now() + seconds(100);
  const auto both_wait = [&] {
    return !group.replica(others[0])->status().health.ok() &&
           !group.replica(others[1])->status().health.ok();
  };
  std::vector<Later<Group::Answer>> begun;
  while (!both_wait() && begun.size() < 10) {
    for (const NodeId id : others) {
      if (!group.replica(id)->status().health.ok()) continue;
      group.machine(id).disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
    }
    begun.push_back(group.Begin(leader, kv::Set{"k", "w", ""}, context));
    group.time.RunFor(milliseconds(10));
  }
  ASSERT_TRUE(both_wait());
  group.time.RunFor(kStallBound - milliseconds(500));
  EXPECT_TRUE(replica->status().stalled_for.has_value());
  EXPECT_EQ(WhyAt(replica), "") << "it may be slow";
  // Further writes do not make it look alive.
  begun.push_back(group.Begin(leader, kv::Set{"l", "w", ""}, context));
  group.time.RunFor(seconds(2));
  EXPECT_EQ(replica->status().leadership.role, consensus::Role::kLeader);
  EXPECT_TRUE(replica->status().health.ok()) << "it has room";
  EXPECT_NE(WhyAt(replica).find("none got through for 6 s: too few of the other voters"),
            std::string::npos)
      << WhyAt(replica);
  for (const PeerReport& report : group.replica(others[0])->Reports()) {
    if (report.node == leader) {
      EXPECT_NE(report.report.problem.find("none got through"), std::string::npos);
    }
  }
  for (const auto& later : begun) EXPECT_TRUE(group.Await(later).ok());
  EXPECT_EQ(WhyAt(replica), "");
  EXPECT_FALSE(replica->status().stalled_for.has_value());
}

TEST(StallTest, ALeaderWhoseOwnDatabaseOrDiskHangsSaysWhich) {
  ReplicaStatus status;
  status.applied_slot = Slot(5);
  status.last_slot = Slot(9);
  status.stalled_for = seconds(7);
  const auto why = [&](std::uint64_t durable, std::uint64_t committed) {
    status.durable_slot = Slot(durable);
    status.committed_slot = Slot(committed);
    const std::string message = WhyWritesWait(status).message();
    return message.substr(message.find(": ") + 2);
  };
  EXPECT_EQ(why(5, 5), "the disk of this node has not written them");
  EXPECT_EQ(why(5, 6), "the disk of this node has not written what is committed");
  EXPECT_EQ(why(6, 6), "the database of this node does not take what is committed");
  status.health = ResourceExhaustedError("no room");
  EXPECT_EQ(WhyWritesWait(status).message(), "no room") << "what is known is told";
}

TEST(StallTest, WhoComesToLeadHasNotWaitedYet) {
  VirtualTime time;
  StallWatch watch;
  watch.Note(Slot(1), Slot(1), false, time);
  EXPECT_EQ(watch.For(time.Now()), std::nullopt);
  watch.Note(Slot(2), Slot(1), false, time);
  time.RunFor(seconds(3));
  EXPECT_EQ(watch.For(time.Now()), Duration(seconds(3)));
  watch.Note(Slot(3), Slot(1), false, time);
  EXPECT_EQ(watch.For(time.Now()), Duration(seconds(3))) << "more entries do not begin it anew";
  watch.Note(Slot(3), Slot(1), true, time);
  EXPECT_EQ(watch.For(time.Now()), Duration(0));
  watch.Note(Slot(3), Slot(3), true, time);
  EXPECT_EQ(watch.For(time.Now()), std::nullopt);
}

}  // namespace
}  // namespace cairn::replication
