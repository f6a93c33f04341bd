// Snapshots between the replicas of a group: a node whose log is gone from the others' journals
// gets their state, whole, whatever is lost on the way and whenever somebody crashes.
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "src/base/sanitizers.h"
#include "src/replication/group_test_util.h"
#include "src/replication/snapshot_messages.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Journals that hold little: what an absent node misses is gone soon.
void KeepLittle(Group* group) {
  group->options.max_journal_bytes = 64 << 10;
  group->options.retain_journal_bytes = 0;
}

void Fill(Group* group, NodeId at, int count, const std::string& prefix) {
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(group->Set(at, prefix + std::to_string(i), std::string(1000, 'v')).ok());
  }
}

std::uint64_t Installed(Group* group, NodeId node) {
  return group->replica(node)->status().snapshots_installed;
}

bool AwaitInstalled(Group* group, NodeId node, std::uint64_t count = 1) {
  return group->time.RunUntil([=] { return Installed(group, node) >= count; });
}

// A follower that was away for longer than the others' journals reach back.
NodeId MakeBehind(Group* group) {
  const NodeId leader = group->AwaitAgreement();
  const NodeId behind = group->Other(leader);
  EXPECT_TRUE(group->Set(leader, "before", "it left").ok());
  EXPECT_TRUE(group->AwaitApplied());
  group->Kill(behind);
  Fill(group, group->AwaitLeader(), 400, "k");
  return behind;
}

TEST(SnapshotTest, ANodeThatIsFarBehindGetsTheState) {
  Group group(3);
  KeepLittle(&group);
  group.StartAll();
  const NodeId behind = MakeBehind(&group);
  group.Start(behind);
  ASSERT_TRUE(AwaitInstalled(&group, behind));
  ASSERT_TRUE(group.AwaitApplied());
  group.ExpectSameStates();
  EXPECT_EQ(group.Get(behind, "k399", ReadLevel::kLocal), std::string(1000, 'v'));
  EXPECT_EQ(group.Get(behind, "before", ReadLevel::kLocal), "it left");
  // It goes on from there, and needs no other one.
  ASSERT_TRUE(group.Set(behind, "after", "it").ok());
  ASSERT_TRUE(group.AwaitApplied());
  EXPECT_EQ(Installed(&group, behind), 1u);
  group.ExpectSameStates();
  // And over a restart.
  group.Crash(behind);
  group.Start(behind);
  ASSERT_TRUE(group.AwaitApplied());
  EXPECT_EQ(group.Get(behind, "after", ReadLevel::kReadIndex), "it");
  EXPECT_EQ(Installed(&group, behind), 0u);
  // Nothing is left beside the state, on either side.
  for (std::uint32_t n = 0; n < 3; ++n) {
    auto& disk = group.machine(NodeId(n)).disk;
    const auto names = disk.List("/data");
    ASSERT_TRUE(names.ok());
    for (const std::string& name : *names) {
      if (name != "snapshots") continue;
      EXPECT_TRUE(disk.List("/data/snapshots")->empty());
    }
  }
}

TEST(SnapshotTest, FamiliesAndSessionsComeAlong) {
  Group group(3);
  KeepLittle(&group);
  group.StartAll();
  const NodeId behind = MakeBehind(&group);
  const NodeId leader = group.AwaitLeader();
  ASSERT_TRUE(group.Execute(leader, kv::CreateColumnFamily{"made"}).ok());
  ASSERT_TRUE(group.Execute(leader, kv::Set{"k", "in it", "made"}).ok());
  const auto opened = group.Execute(leader, kv::OpenSession{});
  RequestContext session;
  session.session = SessionId(std::get<kv::WriteResult>(*opened).version.value());
  session.sequence = session.first_outstanding = 1;
  const auto first = group.Execute(leader, kv::Set{"s", "1", ""}, session);
  ASSERT_TRUE(first.ok());
  Fill(&group, leader, 200, "more");
  group.Start(behind);
  ASSERT_TRUE(AwaitInstalled(&group, behind));
  ASSERT_TRUE(group.AwaitApplied());
  RequestContext local;
  const auto in_family = group.Execute(behind, kv::Get{"k", "made"}, local);
  ASSERT_TRUE(in_family.ok()) << in_family.status().ToString();
  EXPECT_EQ(std::get<kv::GetResult>(*in_family).value, "in it");
  EXPECT_EQ(group.node(behind).executor->session_count(),
            group.node(leader).executor->session_count());
  // The retry finds its answer where only the snapshot can have brought it.
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) != behind) group.Crash(NodeId(n));
  }
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) != behind) group.Start(NodeId(n));
  }
  const auto again = group.Execute(behind, kv::Set{"s", "1", ""}, session);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(std::get<kv::WriteResult>(*again).version, std::get<kv::WriteResult>(*first).version);
  group.AwaitApplied();
  group.ExpectSameStates();
}

TEST(SnapshotTest, ReadersSeeTheOldStateUntilTheNewOneIsThere) {
  Group group(3);
  KeepLittle(&group);
  group.StartAll();
  const NodeId behind = MakeBehind(&group);
  group.Start(behind);
  bool saw_old = false;
  while (Installed(&group, behind) == 0) {
    ASSERT_TRUE(group.node(behind).fatal.ok());
    const std::string before = group.Get(behind, "before", ReadLevel::kLocal);
    ASSERT_EQ(before, "it left");
    saw_old = saw_old || group.Get(behind, "k0", ReadLevel::kLocal) == "-";
    group.time.RunFor(milliseconds(1));
  }
  EXPECT_TRUE(saw_old);
}

TEST(SnapshotTest, LossAndDoublingOnlyCostTime) {
  Group group(3, 3);
  KeepLittle(&group);
  group.StartAll();
  const NodeId behind = MakeBehind(&group);
  group.network().SetFaults(20, 20);
  group.Start(behind);
  ASSERT_TRUE(AwaitInstalled(&group, behind));
  group.network().SetFaults(0, 0);
  group.AwaitAgreement();
  ASSERT_TRUE(group.AwaitApplied());
  group.ExpectSameStates();
}

TEST(SnapshotTest, ALeaderThatDiesIsFollowedByAnotherOnesSnapshot) {
  Group group(3);
  KeepLittle(&group);
  group.options.snapshot_bytes_per_second = 100 << 10;  // it takes some seconds
  group.StartAll();
  const NodeId behind = MakeBehind(&group);
  group.time.RunFor(seconds(3));  // An offer that was made when it left is given up.
  group.Start(behind);
  group.time.RunFor(seconds(1));
  ASSERT_EQ(Installed(&group, behind), 0u);
  const NodeId leader = group.AwaitLeader();
  group.Crash(leader);
  group.Start(leader);
  ASSERT_TRUE(AwaitInstalled(&group, behind));
  group.AwaitAgreement();
  ASSERT_TRUE(group.AwaitApplied());
  group.ExpectSameStates();
}

// The receiver crashes after each of its first operations on the disk, one run each: what it comes
// back with is the old state or the new one, and it catches up.
TEST(SnapshotTest, ACrashAtAnyPointOfAnInstallationIsHealed) {
  int crashes = 0;
  const int step = kSanitized ? 7 : 1;
  for (int operations = 1; operations < 400; operations += step) {
    Group group(3, 11);
    KeepLittle(&group);
    group.StartAll();
    const NodeId behind = MakeBehind(&group);
    FaultFileSystem& disk = group.machine(behind).disk;
    group.Start(behind);
    disk.PowerOffAt(static_cast<std::uint64_t>(operations));
    const bool reached = group.time.RunUntil([&] {
      return Installed(&group, behind) > 0 || !group.node(behind).fatal.ok() || disk.PoweredOff();
    });
    ASSERT_TRUE(reached);
    const bool done = Installed(&group, behind) > 0;
    group.Crash(behind, operations % 2 == 0 ? CrashMode::kDropUnsynced : CrashMode::kKeepUnsynced);
    ++crashes;
    group.Start(behind);
    ASSERT_TRUE(group.node(behind).started.ok()) << group.node(behind).started.ToString();
    ASSERT_TRUE(group.time.RunUntil([&] {
      return group.Get(behind, "k399", ReadLevel::kLocal) != "-";
    })) << "after "
        << operations << " operations";
    group.AwaitAgreement();
    ASSERT_TRUE(group.AwaitApplied());
    group.ExpectSameStates();
    if (done) break;
  }
  EXPECT_GT(crashes, kSanitized ? 2 : 10);
}

// The journal of a leader that lost holds, beyond the snapshot's slot, what nobody chose. As long
// as it is not reset a flush of the new state must not make a beginning of the snapshot's slot:
// what is beyond would count as the log that follows it.
TEST(SnapshotTest, AFlushDoesNotCutAJournalThatIsNotResetYet) {
  Group group(3);
  KeepLittle(&group);
  group.options.max_batch_size = 1;
  group.StartAll();
  const NodeId old = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(old, "before", "the cut").ok());
  ASSERT_TRUE(group.AwaitApplied());
  for (std::uint32_t n = 0; n < 3; ++n) {
    if (NodeId(n) == old) continue;
    group.network().Cut(old, NodeId(n));
    group.network().Cut(NodeId(n), old);
  }
  RequestContext context;
  context.deadline = group.time.Now() + seconds(60);
  for (int i = 0; i < 900; ++i) {
    group.node(old).routing->Execute(context, kv::Set{"lost", std::string(1000, 'x'), ""},
                                     [](const Result<kv::OperationResult>&) {});
  }
  group.time.RunFor(milliseconds(150));
  const Slot tail = group.replica(old)->status().durable_slot;
  const auto led = [&] {
    const std::optional<NodeId> leader = group.Leader();
    return leader && *leader != old;
  };
  ASSERT_TRUE(group.time.RunUntil(led));
  const NodeId leader = *group.Leader();
  Fill(&group, leader, 200, "k");
  ASSERT_GT(tail, group.replica(leader)->status().last_slot);
  group.network().Heal();
  // Without room the journal is not reset at once.
  auto& disk = group.machine(old).disk;
  const auto state = [&] { return group.node(old).engine->Meta().applied_slot; };
  const Slot was = state();
  ASSERT_TRUE(group.time.RunUntil([&] { return state() > was; }));
  disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
  bool flushed = false;
  group.replica(old)->Flush([&](const Status&) { flushed = true; });
  ASSERT_TRUE(group.time.RunUntil([&] { return flushed; }));
  group.time.RunFor(milliseconds(2));
  ASSERT_EQ(Installed(&group, old), 0u) << "the journal was reset too early for this test";
  group.Crash(old, CrashMode::kKeepUnsynced);
  group.Start(old);
  ASSERT_TRUE(group.node(old).started.ok()) << group.node(old).started.ToString();
  ASSERT_TRUE(group.AwaitApplied());
  group.ExpectSameStates();
  EXPECT_EQ(group.Get(old, "k199", ReadLevel::kReadIndex), std::string(1000, 'v'));
}

TEST(SnapshotMessages, SurviveTheirEncodingAndRefuseNamesThatLeaveTheFolder) {
  SnapshotOffer offer{7, IncarnationId(8), Epoch(9), "meta", {{"000001.sst", 10}, {"CURRENT", 0}}};
  auto decoded = DecodeSnapshotMessage(Encode(offer));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::get<SnapshotOffer>(*decoded), offer);
  for (const char* name : {"", ".", "..", "a/b", "/etc/passwd"}) {
    offer.files[0].name = name;
    EXPECT_EQ(DecodeSnapshotMessage(Encode(offer)).status().code(), StatusCode::kCorruption)
        << name;
  }
  offer.files = {{"a", 1}, {"a", 2}};
  EXPECT_FALSE(DecodeSnapshotMessage(Encode(offer)).ok());
  const SnapshotChunk chunk{7, {1, 5}, "data"};
  decoded = DecodeSnapshotMessage(Encode(chunk));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::get<SnapshotChunk>(*decoded), chunk);
  const SnapshotAck ack{7, SnapshotAck::Verdict::kRefused, {1, 5}, "no room"};
  const auto answer = DecodeSnapshotAck(Encode(ack));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*answer, ack);
}

}  // namespace
}  // namespace cairn::replication
