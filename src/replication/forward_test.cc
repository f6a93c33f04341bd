// Writes that arrive where nobody leads.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "src/replication/forward_messages.h"
#include "src/replication/group_test_util.h"
#include "src/replication/peer_frame.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Version VersionOf(const Group::Answer& answer) {
  return std::get<kv::WriteResult>(*answer).version;
}

kv::AtomicCommit Append(const std::string& prefix) {
  kv::AtomicCommit commit;
  commit.read_version = Version(1);
  commit.operations.push_back(
      {kv::MutationType::kSetVersionstampedKey, prefix + std::string(10, '\0'), "x", ""});
  return commit;
}

std::size_t CountKeys(Group* group, NodeId at, const std::string& prefix) {
  RequestContext context;
  context.read_level = ReadLevel::kReadIndex;
  kv::GetRange range;
  range.range.begin = kv::KeySelector::FirstGreaterOrEqual(prefix);
  range.range.end = kv::KeySelector::FirstGreaterOrEqual(prefix + "\xff");
  const auto answer = group->Execute(at, range, context);
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  return answer.ok() ? std::get<kv::RangeResult>(*answer).key_values.size() : 0;
}

TEST(ForwardTest, EveryNodeTakesWrites) {
  Group group(3);
  group.StartAll();
  group.AwaitAgreement();
  for (std::uint32_t n = 0; n < 3; ++n) {
    for (int i = 0; i < 5; ++i) {
      const std::string key = std::to_string(n) + "/" + std::to_string(i);
      ASSERT_TRUE(group.Set(NodeId(n), key, "v").ok());
      EXPECT_EQ(group.Get(NodeId(n), key, ReadLevel::kLeader), "v");
    }
  }
  group.ExpectSameStates();
}

TEST(ForwardTest, ADeadlineFarAwayIsForwardedToo) {
  Group group(3);
  group.StartAll();
  const NodeId other = group.Other(group.AwaitAgreement());
  RequestContext context;
  context.deadline = group.time.Now() + std::chrono::hours(24 * 365 * 100);
  EXPECT_TRUE(group.Execute(other, kv::Set{"k", "v", ""}, context).ok());
}

TEST(ForwardTest, ASnapshotVersionThatWasNeverGivenOutIsRefusedAfterABarrier) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  for (const ReadLevel level : {ReadLevel::kLeader, ReadLevel::kReadIndex}) {
    RequestContext context;
    context.read_level = level;
    // One that was given out elsewhere is reached, though.
    const Version given = VersionOf(group.Execute(leader, kv::Set{"k", "v", ""}, context));
    const auto found =
        group.Execute(group.Other(leader), kv::SnapshotRead{"k", given, ""}, context);
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    const auto refused =
        group.Execute(group.Other(leader), kv::SnapshotRead{"k", Version(9999), ""}, context);
    EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(ForwardTest, AClientThatAskedForItIsToldWhoLeads) {
  Group group(3);
  group.routing.endpoint_of = [](NodeId node) { return "host" + ToString(node) + ":1"; };
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  RequestContext context;
  context.allow_forwarding = false;
  context.read_level = ReadLevel::kLeader;
  const NodeId other = group.Other(leader);
  for (const kv::KvOperation& operation :
       std::vector<kv::KvOperation>{kv::Set{"k", "v", ""}, kv::Get{"k", ""}}) {
    const auto refused = group.Execute(other, operation, context);
    EXPECT_EQ(refused.status().code(), StatusCode::kNotLeader);
    EXPECT_EQ(refused.status().leader_hint(), "host" + ToString(leader) + ":1");
    EXPECT_FALSE(refused.status().maybe_applied());
    EXPECT_TRUE(group.Execute(leader, operation, context).ok());
  }
}

// docs/adr/0013: a `leader` read elsewhere asks the leader for a barrier and is served here.
TEST(ForwardTest, ALeaderReadElsewhereSeesEverythingThatWasAcknowledged) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  for (int i = 0; i < 20; ++i) {
    const std::string value = std::to_string(i);
    ASSERT_TRUE(group.Set(leader, "k", value).ok());
    EXPECT_EQ(group.Get(other, "k", ReadLevel::kLeader), value);
  }
  // Cut off, it says nothing rather than something old; when the others are back, the newest.
  for (const NodeId id : {NodeId(0), NodeId(1), NodeId(2)}) {
    if (id != other) group.network().Cut(other, id);
    if (id != other) group.network().Cut(id, other);
  }
  ASSERT_TRUE(group.Set(leader, "k", "newer").ok());
  RequestContext context;
  context.read_level = ReadLevel::kLeader;
  context.deadline = group.time.Now() + seconds(3);
  EXPECT_EQ(group.Execute(other, kv::Get{"k", ""}, context).status().code(), StatusCode::kTimeout);
  group.network().Heal();
  EXPECT_EQ(group.Get(other, "k", ReadLevel::kLeader), "newer");
}

TEST(ForwardTest, LossAndDoublingApplyEachWriteOnce) {
  Group group(3, 5);
  group.network().SetFaults(10, 30);
  group.StartAll();
  std::size_t acknowledged = 0;
  std::size_t unknown = 0;
  for (int i = 0; i < 150; ++i) {
    RequestContext context;
    context.deadline = group.time.Now() + seconds(5);
    const auto answer = group.Execute(NodeId(i % 3), Append("log/"), context);
    acknowledged += answer.ok();
    unknown += answer.status().maybe_applied();
  }
  group.network().SetFaults(0, 0);
  group.AwaitAgreement();
  const std::size_t found = CountKeys(&group, NodeId(0), "log/");
  EXPECT_GE(found, acknowledged);
  EXPECT_LE(found, acknowledged + unknown);
  EXPECT_GT(acknowledged, 100u);
  group.ExpectSameStates();
}

TEST(ForwardTest, LeadersComeAndGoAndEachWriteIsAppliedOnce) {
  Group group(5, 9);
  group.network().SetFaults(2, 10);
  group.StartAll();
  NodeId asked(0);
  std::size_t acknowledged = 0;
  std::size_t unknown = 0;
  for (int i = 0; i < 60; ++i) {
    const NodeId leader = group.AwaitLeader();
    asked = group.Other(leader);
    RequestContext context;
    context.deadline = group.time.Now() + seconds(10);
    const auto later = group.Begin(asked, Append("log/"), context);
    if (i % 6 == 0) {
      group.time.RunFor(std::chrono::microseconds(300 * (i % 7)));
      group.Crash(leader);
      const auto answer = group.Await(later);
      acknowledged += answer.ok();
      unknown += answer.status().maybe_applied();
      group.Start(leader);
      continue;
    }
    const auto answer = group.Await(later);
    acknowledged += answer.ok();
    unknown += answer.status().maybe_applied();
  }
  group.network().SetFaults(0, 0);
  group.AwaitAgreement();
  const std::size_t found = CountKeys(&group, asked, "log/");
  EXPECT_GE(found, acknowledged);
  EXPECT_LE(found, acknowledged + unknown);
  EXPECT_GT(acknowledged, 45u);
  group.ExpectSameStates();
}

TEST(ForwardTest, AClientsSessionIsKeptThroughForwarding) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const auto opened = group.Execute(group.Other(leader), kv::OpenSession{});
  ASSERT_TRUE(opened.ok());
  RequestContext context;
  context.session = SessionId(VersionOf(opened).value());
  context.sequence = context.first_outstanding = 1;
  std::vector<Version> versions;
  for (std::uint32_t n = 0; n < 3; ++n) {
    const auto answer = group.Execute(NodeId(n), Append("log/"), context);
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    versions.push_back(VersionOf(answer));
  }
  EXPECT_EQ(versions[0], versions[1]);
  EXPECT_EQ(versions[0], versions[2]);
  EXPECT_EQ(CountKeys(&group, leader, "log/"), 1u);
  context.session = SessionId(999);
  EXPECT_EQ(group.Execute(group.Other(leader), Append("log/"), context).status().code(),
            StatusCode::kSessionExpired);
}

TEST(ForwardTest, ANodesOwnSessionIsRenewedWhenItGrewOld) {
  Group group(3);
  group.options.session_idle = seconds(2);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(group.Set(other, "k", std::to_string(i)).ok());
    group.time.RunFor(seconds(10));  // Expired by now.
    EXPECT_EQ(group.node(leader).executor->session_count(), 0u);
  }
  EXPECT_EQ(group.Get(other, "k", ReadLevel::kReadIndex), "3");
}

TEST(ForwardTest, ADoubledRequestIsNotRefusedWhileItsFirstCopyIsInTheLog) {
  Group group(3);
  group.network().SetFaults(0, 100);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  ASSERT_TRUE(group.Set(other, "warm", "up").ok());
  group.Kill(leader);
  group.options.max_outstanding_proposals = 1;
  group.Start(leader);
  const NodeId next = group.AwaitAgreement();
  std::size_t acknowledged = 0;
  for (int i = 0; i < 40; ++i) {
    const auto answer = group.Execute(group.Other(next), Append("log/"));
    // One at a time, so the bound is never reached by what is not a copy.
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    ++acknowledged;
  }
  EXPECT_EQ(CountKeys(&group, next, "log/"), acknowledged);
}

// The copy that the node refuses when it is back is the second one: the first was applied.
void ExpectNotCertain(const std::function<void(Group*, NodeId)>& end) {
  Group group(3);
  group.raft.election_timeout = seconds(2);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  ASSERT_TRUE(group.Set(other, "warm", "up").ok());
  group.network().Cut(leader, other);
  const Slot before = group.replica(leader)->status().applied_slot;
  RequestContext context;
  context.deadline = group.time.Now() + milliseconds(1200);
  const auto later = group.Begin(other, kv::Set{"k", "v", ""}, context);
  ASSERT_TRUE(
      group.time.RunUntil([&] { return group.replica(leader)->status().applied_slot > before; }));
  end(&group, leader);
  group.Start(leader);
  group.network().Heal();
  const auto answer = group.Await(later);
  EXPECT_EQ(answer.status().code(), StatusCode::kTimeout) << answer.status().ToString();
  EXPECT_TRUE(answer.status().maybe_applied());
  group.AwaitLeader();
  EXPECT_EQ(group.Get(other, "k", ReadLevel::kReadIndex), "v");
}

TEST(ForwardTest, ALeaderThatWasRestartedDoesNotSayThatNothingWasApplied) {
  ExpectNotCertain([](Group* group, NodeId leader) { group->Crash(leader); });
}

TEST(ForwardTest, ALeaderThatWasEmptiedDoesNotSayThatNothingWasApplied) {
  ExpectNotCertain([](Group* group, NodeId leader) { group->Wipe(leader); });
}

// An earlier process of the leader may have refused a copy of it, and its sender believes that.
TEST(ForwardTest, ARequestOfAnEarlierEpochIsNotTakenIn) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  const Epoch epoch = group.replica(leader)->status().leadership.epoch;
  std::uint64_t id = 0;
  const auto send = [&](const std::string& key, Epoch at) {
    ForwardRequest request;
    request.boot = 999;
    request.id = ++id;
    request.epoch = at;
    request.time_left = seconds(5);
    kv::Command command;
    command.operation = kv::Set{key, "v", ""};
    kv::EncodeCommand(command, &request.command);
    FrameHeader header;
    header.kind = FrameKind::kForwardRequest;
    header.group = group.options.group;
    header.cluster = group.options.cluster;
    header.incarnation = group.machine(other).incarnation;
    group.node(other).transport->Send(leader, transport::Lane::kConsensus,
                                      EncodeFrame(header, Encode(request)));
    group.time.RunFor(seconds(1));
  };
  send("late", epoch.Prev());
  send("early", epoch.Next());
  send("present", epoch);
  EXPECT_EQ(group.Get(leader, "present", ReadLevel::kLeader), "v");
  EXPECT_EQ(group.Get(leader, "late", ReadLevel::kLeader), "-");
  EXPECT_EQ(group.Get(leader, "early", ReadLevel::kLeader), "-");
}

TEST(ForwardTest, WithoutALeaderAForwardedWriteEndsAtItsDeadline) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  const NodeId other = group.Other(leader);
  ASSERT_TRUE(group.Set(other, "k", "v").ok());
  group.network().Isolate(other);
  RequestContext context;
  context.deadline = group.time.Now() + milliseconds(800);
  const auto answer = group.Execute(other, kv::Set{"k", "w", ""}, context);
  EXPECT_EQ(answer.status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(answer.status().maybe_applied());  // It was sent, for all this node knows.
  group.network().Heal();
  group.AwaitAgreement();
  EXPECT_TRUE(group.Set(other, "k", "x").ok());
  EXPECT_EQ(group.replica(other)->status().outstanding, 0u);
}

}  // namespace
}  // namespace cairn::replication
