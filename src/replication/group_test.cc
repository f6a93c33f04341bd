// Replicas of a group of several nodes, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/replication/group_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(GroupTest, AWriteAtTheLeaderReachesEveryNode) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  for (std::uint32_t n = 0; n < 3; ++n) {
    EXPECT_EQ(group.Get(NodeId(n), "k", ReadLevel::kReadIndex), "v");
    EXPECT_TRUE(group.node(NodeId(n)).recovered);
  }
  group.ExpectSameStates();
}

// It would be in the leader's log, and reach nobody.
TEST(GroupTest, AWriteThatFitsIntoNoFrameIsRefused) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  std::optional<Result<kv::WriteResult>> answer;
  kv::Command command;
  command.operation = kv::Set{"k", std::string(kMaxReplicatedCommandBytes, 'v'), ""};
  group.node(leader).replica->Propose(std::move(command), MonotonicTime::Max(),
                                      [&](auto result) { answer = std::move(result); });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(answer->status().message(), testing::HasSubstr("may take 67108864"));
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  group.ExpectSameStates();
}

TEST(GroupTest, AcknowledgedWritesSurviveTheLossOfTheLeader) {
  Group group(3);
  group.StartAll();
  NodeId leader = group.AwaitAgreement();
  for (int round = 0; round < 5; ++round) {
    const std::string n = std::to_string(round);
    ASSERT_TRUE(group.Set(leader, "k" + n, n).ok());
    group.Crash(leader);
    const NodeId next = group.AwaitAgreement();
    EXPECT_NE(next, leader);
    for (int i = 0; i <= round; ++i) {
      EXPECT_EQ(group.Get(next, "k" + std::to_string(i), ReadLevel::kLeader), std::to_string(i));
    }
    group.Start(leader);
    leader = group.AwaitAgreement();
  }
  group.ExpectSameStates();
}

TEST(GroupTest, AllNodesCrashAtOnceAndNothingAcknowledgedIsLost) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), std::to_string(i)).ok());
  }
  for (std::uint32_t n = 0; n < 3; ++n) group.Crash(NodeId(n));
  group.StartAll();
  const NodeId next = group.AwaitAgreement();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(group.Get(next, "k" + std::to_string(i), ReadLevel::kReadIndex), std::to_string(i));
  }
  group.ExpectSameStates();
}

TEST(GroupTest, NoAnswerBeforeAQuorumHasTheWriteOnDisk) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  // Nobody else's disk takes anything: nothing can be acknowledged.
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) == leader) continue;
    auto& disk = group.machine(NodeId(n)).disk;
    disk.SetCapacity(disk.UsedBytes());
    disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
  }
  group.options.disk_retry = seconds(5);
  RequestContext context;
  context.deadline = group.time.Now() + milliseconds(1);
  const auto answer = group.Execute(leader, kv::Set{"k", "v", ""}, context);
  EXPECT_EQ(answer.status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(answer.status().maybe_applied());
}

TEST(GroupTest, AFollowerWithoutRoomStopsAcknowledgingServesReadsAndResumes) {
  Group group(3);
  group.options.disk_retry = seconds(1);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId full = group.Other(leader);
  ASSERT_TRUE(group.Set(leader, "k", "before").ok());
  ASSERT_TRUE(group.AwaitApplied());
  // A write to the disk finds no room (one of zeros ahead of the records may, too); what comes
  // after it queues behind it.
  for (int i = 0; i < 5 && group.replica(full)->status().health.ok(); ++i) {
    group.machine(full).disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
    ASSERT_TRUE(group.Set(leader, "e" + std::to_string(i), "v").ok());
    group.time.RunFor(milliseconds(10));
  }
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(group.Set(leader, "f" + std::to_string(i), std::to_string(i)).ok());
  }
  const ReplicaStatus stuck = group.replica(full)->status();
  EXPECT_LT(stuck.durable_slot, group.replica(leader)->status().committed_slot);
  EXPECT_LE(stuck.applied_slot, stuck.durable_slot);
  EXPECT_EQ(stuck.health.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(group.Get(full, "k", ReadLevel::kLocal), "before");
  const std::uint64_t syncs = group.machine(full).disk.Count(FileOperation::kSync);
  ASSERT_TRUE(group.AwaitApplied());
  EXPECT_EQ(group.Get(full, "f39", ReadLevel::kLocal), "39");
  EXPECT_TRUE(group.replica(full)->status().health.ok());
  // Many persists waited: they shared a few syncs.
  EXPECT_LT(group.machine(full).disk.Count(FileOperation::kSync) - syncs, 10u);
  group.ExpectSameStates();
}

TEST(GroupTest, TheLeaderNeverAppliesBeyondItsOwnDisk) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  auto& disk = group.machine(leader).disk;
  disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
  const auto later = group.Begin(leader, kv::Set{"k", "w", ""});
  // The others have it and it is committed, but here it waits for the disk.
  ASSERT_TRUE(group.time.RunUntil([&] {
    const ReplicaStatus s = group.replica(leader)->status();
    return s.committed_slot > s.durable_slot;
  }));
  EXPECT_FALSE(later->has_value());
  EXPECT_EQ(group.Get(leader, "k", ReadLevel::kLocal), "v");
  EXPECT_TRUE(group.Await(later).ok());
  const ReplicaStatus s = group.replica(leader)->status();
  EXPECT_GE(s.durable_slot, s.applied_slot);
}

TEST(GroupTest, AWriteThatAnotherLeaderOverwroteIsNotAcknowledged) {
  Group group(3);
  group.StartAll();
  const NodeId old = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(old, "k", "1").ok());
  group.network().Isolate(old);
  const auto lost = group.Begin(old, kv::Set{"k", "lost", ""});
  group.time.RunFor(seconds(2));
  const NodeId next = group.AwaitLeader();
  ASSERT_NE(next, old);
  ASSERT_TRUE(group.Set(next, "k", "2").ok());
  group.network().Heal();
  const auto answer = group.Await(lost);
  ASSERT_FALSE(answer.ok());
  EXPECT_TRUE(answer.status().maybe_applied());
  group.AwaitAgreement();
  for (std::uint32_t n = 0; n < 3; ++n) {
    EXPECT_EQ(group.Get(NodeId(n), "k", ReadLevel::kReadIndex), "2");
  }
  group.ExpectSameStates();
}

TEST(GroupTest, WritesAndBarriersWaitForALeader) {
  Group group(3);
  group.Start(NodeId(0));
  group.time.RunFor(seconds(1));
  const auto write = group.Begin(NodeId(0), kv::Set{"k", "v", ""});
  RequestContext linearizable;
  linearizable.read_level = ReadLevel::kReadIndex;
  const auto read = group.Begin(NodeId(0), kv::Get{"other", ""}, linearizable);
  group.time.RunFor(seconds(1));
  EXPECT_FALSE(write->has_value());
  EXPECT_FALSE(read->has_value());
  RequestContext hasty;
  hasty.deadline = group.time.Now() + milliseconds(100);
  const auto late = group.Execute(NodeId(0), kv::Set{"k", "late", ""}, hasty);
  EXPECT_EQ(late.status().code(), StatusCode::kTimeout);
  EXPECT_FALSE(late.status().maybe_applied());
  group.Start(NodeId(1));
  group.Start(NodeId(2));
  EXPECT_TRUE(group.Await(read).ok());
  const Status written = group.Await(write).status();
  // Where another node was elected the write went there, or was told who leads.
  EXPECT_TRUE(written.ok() || written.code() == StatusCode::kNotLeader) << written.ToString();
}

TEST(GroupTest, LossDoublingAndReorderingDoNoHarm) {
  Group group(5, 7);
  group.network().SetFaults(10, 20);
  group.StartAll();
  int written = 0;
  for (int i = 0; i < 100; ++i) {
    const NodeId leader = group.AwaitLeader();
    RequestContext context;
    context.deadline = group.time.Now() + seconds(2);
    written += group.Execute(leader, kv::Set{"k" + std::to_string(i), "v", ""}, context).ok();
  }
  EXPECT_GT(written, 50);
  group.network().SetFaults(0, 0);
  group.AwaitAgreement();
  group.ExpectSameStates();
}

TEST(GroupTest, ADatabaseThatLagsReadsItsLogBackFromTheJournal) {
  Group group(3);
  group.options.max_apply_queue_bytes = 1;  // nothing waits in memory
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId full = group.Other(leader);
  group.machine(full).engines.SetCapacity(0);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), std::to_string(i)).ok());
  }
  group.time.RunFor(seconds(1));
  EXPECT_LT(group.replica(full)->status().applied_slot, group.replica(full)->status().durable_slot);
  group.machine(full).engines.SetCapacity(std::nullopt);
  group.ExpectSameStates();
  EXPECT_EQ(group.Get(full, "k49", ReadLevel::kLocal), "49");
}

TEST(GroupTest, AFollowerWhoseDatabaseIsFullDoesNotQueueForEver) {
  Group group(3);
  group.options.max_apply_backlog_bytes = 64 << 10;
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId full = group.Other(leader);
  group.machine(full).engines.SetCapacity(0);
  const std::string value(8 << 10, 'v');
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), value).ok());
  }
  group.time.RunFor(seconds(1));
  const ReplicaStatus stuck = group.replica(full)->status();
  EXPECT_LT(stuck.durable_slot, group.replica(leader)->status().committed_slot);
  group.machine(full).engines.SetCapacity(std::nullopt);
  group.ExpectSameStates();
}

TEST(GroupTest, AnIsolatedLeaderGrowsStale) {
  Group group(3);
  group.options.freshness_interval = milliseconds(100);
  group.routing.allow_stale_reads = false;
  group.routing.max_staleness = milliseconds(500);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  group.time.RunFor(seconds(1));
  for (std::uint32_t n = 0; n < 3; ++n) {
    EXPECT_EQ(group.Get(NodeId(n), "k", ReadLevel::kLocal), "v");
  }
  group.network().Isolate(leader);
  group.time.RunFor(milliseconds(600));
  EXPECT_EQ(group.Get(leader, "k", ReadLevel::kLocal).substr(0, 5), "STALE");
  group.network().Heal();
  group.AwaitAgreement();
  group.time.RunFor(seconds(1));
  EXPECT_EQ(group.Get(leader, "k", ReadLevel::kLocal), "v");
}

TEST(GroupTest, TheLeaderKnowsWhatTheOthersHoldWithoutAReport) {
  Group group(3);
  ASSERT_EQ(group.options.report_interval, Duration::zero()) << "nobody reports";
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId cut = group.Other(leader);
  const auto lacks = [&](NodeId node) -> std::uint64_t {
    std::optional<GroupView> seen;
    group.replica(leader)->View([&](std::optional<GroupView> view) { seen = std::move(view); });
    EXPECT_TRUE(group.time.RunUntil([&] { return seen.has_value(); }));
    const auto* const progress = seen->Of(seen->membership.Find(node)->id());
    if (progress == nullptr) return ~0ULL;
    return seen->committed_slot.value() - std::min(progress->match, seen->committed_slot).value();
  };
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  ASSERT_TRUE(group.AwaitApplied());
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) == leader) continue;
    EXPECT_EQ(lacks(NodeId(n)), 0U);
  }
  group.network().Isolate(cut);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  EXPECT_EQ(lacks(cut), 5U);
  group.network().Heal();
  ASSERT_TRUE(group.AwaitApplied());
  EXPECT_EQ(lacks(cut), 0U);
  EXPECT_TRUE(group.replica(leader)->Reports().empty());
}

TEST(GroupTest, FramesOfAnotherClusterAreTurnedAway) {
  Group group(3);
  group.options.cluster = 7;
  group.Start(NodeId(0));
  group.Start(NodeId(1));
  group.AwaitLeader();
  group.options.cluster = 8;
  group.Start(NodeId(2));
  group.time.RunFor(seconds(2));
  EXPECT_GT(group.replica(NodeId(2))->status().bad_frames, 0u);
  EXPECT_EQ(group.replica(NodeId(2))->status().applied_slot, Slot(0));
}

// ---- What a leader does that is ill

void ExpectHandedOver(Group& group, NodeId ill) {
  ASSERT_TRUE(group.time.RunUntil([&] {
    const auto leader = group.Leader();
    return leader.has_value() && *leader != ill;
  })) << "nobody took over";
  // Writes go through at every node, the ill one too: another one leads.
  ASSERT_TRUE(group.time.RunUntil(
      [&] { return group.replica(ill)->status().leadership.leader == group.Leader(); }));
  EXPECT_TRUE(group.Set(ill, "after", "1").ok());
}

TEST(GroupTest, ALeaderWhoseEngineIsFullHandsOver) {
  Group group(3);
  group.StartAll();
  const NodeId ill = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(ill, "before", "1").ok());
  group.machine(ill).engines.SetCapacity(0);
  RequestContext impatient;
  impatient.deadline = group.time.Now() + milliseconds(300);
  EXPECT_FALSE(group.Execute(ill, kv::Set{"stuck", "1", ""}, impatient).ok());
  ExpectHandedOver(group, ill);
  group.machine(ill).engines.SetCapacity(std::nullopt);
  group.ExpectSameStates();
}

TEST(GroupTest, ALeaderWhoseJournalHasNoRoomHandsOver) {
  Group group(3);
  group.options.limits.entry_bytes = 4 << 10;
  group.options.limits.transaction_bytes = 4 << 10;
  group.StartAll();
  const NodeId ill = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(ill, "before", "1").ok());
  group.machine(ill).disk.SetCapacity(group.machine(ill).disk.UsedBytes());
  // Until the space that was allocated ahead is used up.
  ASSERT_TRUE(group.time.RunUntil([&] {
    RequestContext impatient;
    impatient.deadline = group.time.Now() + milliseconds(300);
    (void)group.Execute(ill, kv::Set{"k", std::string(3000, 'v'), ""}, impatient);
    return !group.replica(ill)->status().health.ok();
  }));
  ExpectHandedOver(group, ill);
  group.machine(ill).disk.SetCapacity(std::nullopt);
  group.ExpectSameStates();
}

// The journal is cut when it is long, but not to the bone.
TEST(GroupTest, ANodeThatWasAwayBrieflyNeedsNoSnapshot) {
  Group group(3);
  group.options.max_journal_bytes = 256 << 10;
  group.options.retain_journal_bytes = 128 << 10;
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId away = group.Other(leader);
  const auto write = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), std::string(2000, 'v')).ok());
    }
  };
  write(300);
  EXPECT_GT(group.node(leader).journal->Contents().compacted_slot, Slot(50)) << "never cut";
  for (int round = 0; round < 6; ++round) {
    group.Kill(away);
    write(30);  // Less than what is kept.
    group.Start(away);
    group.ExpectSameStates();
    EXPECT_EQ(group.replica(away)->status().snapshots_installed, 0u);
    write(40);
  }
}

// It leads until the change is committed, and whoever is left may be ahead of it.
TEST(GroupOfOneTest, IsNotThatOfALeaderThatIsBeingRemoved) {
  Group group(2);
  group.raft.election_timeout = std::chrono::seconds(10);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  group.replica(leader)->EditMembership(
      [leader](const GroupView& view) { return WithRemoved(view, leader, false); }, [](Status) {});
  const auto status = [&] { return group.replica(leader)->status(); };
  ASSERT_TRUE(group.time.RunUntil([&] {
    return !status().membership.IsJoint() && status().membership.Find(leader) == nullptr;
  }));
  group.network().Isolate(leader);
  group.time.RunFor(std::chrono::milliseconds(500));
  ASSERT_EQ(status().leadership.role, consensus::Role::kLeader);
  EXPECT_GE(group.replica(leader)->Staleness(), std::chrono::milliseconds(500));
}

TEST(GroupOfOneTest, IsStaleUntilWhatItAcknowledgedBeforeARestartIsAppliedAgain) {
  Group group(1);
  group.StartAll();
  const NodeId only = group.AwaitLeader();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(group.Set(only, "k" + std::to_string(i), "v").ok());
  const Slot acknowledged = group.replica(only)->status().applied_slot;
  EXPECT_EQ(group.replica(only)->Staleness(), Duration::zero());
  group.Crash(only);
  group.Start(only);
  const auto status = [&] { return group.replica(only)->status(); };
  ASSERT_TRUE(
      group.time.RunUntil([&] { return status().leadership.role == consensus::Role::kLeader; }));
  ASSERT_LT(status().applied_slot, acknowledged) << "its log has to be committed again first";
  EXPECT_EQ(group.replica(only)->Staleness(), Duration::max());
  ASSERT_TRUE(group.time.RunUntil([&] { return group.replica(only)->Staleness() == Duration(0); }));
  EXPECT_GE(status().applied_slot, acknowledged);
}

}  // namespace
}  // namespace cairn::replication
