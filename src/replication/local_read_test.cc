// What level `local`, the default, means on the nodes of a group: old data at most, and what its
// client has been told is no old data.
#include <gtest/gtest.h>

#include <string>

#include "src/replication/group_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Version VersionOf(const Group::Answer& answer) {
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  if (!answer.ok()) return Version();
  if (const auto* write = std::get_if<kv::WriteResult>(&*answer)) return write->version;
  return std::get<kv::VersionResult>(*answer).version;
}

class LocalReadTest : public testing::Test {
 protected:
  LocalReadTest() {
    group_.routing.default_read_level = ReadLevel::kLocal;
    group_.routing.allow_stale_reads = true;
    group_.StartAll();
    leader_ = group_.AwaitAgreement();
    other_ = group_.Other(leader_);
    third_ = NodeId(3 - leader_.value() - other_.value());
  }

  Group group_{3};
  NodeId leader_;
  NodeId other_;
  NodeId third_;
};

TEST_F(LocalReadTest, WhoWritesThroughANodeFindsItThere) {
  for (int i = 0; i < 50; ++i) {
    for (const NodeId at : {leader_, other_, third_}) {
      const std::string value = std::to_string(i) + " by " + ToString(at);
      ASSERT_TRUE(group_.Set(at, "k", value).ok());
      EXPECT_EQ(group_.Get(at, "k", ReadLevel::kDefault), value);
    }
  }
}

// The answer waits for the node's own disk, and not beyond the deadline: the write is known.
TEST_F(LocalReadTest, AWriteThatCanNotBeAppliedHereIsAnsweredBeforeItsDeadline) {
  auto& disk = group_.machine(other_).disk;
  disk.SetCapacity(disk.UsedBytes());
  disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
  RequestContext context;
  context.deadline = group_.time.Now() + seconds(3);
  const Group::Answer answer = group_.Execute(other_, kv::Set{"k", "v", ""}, context);
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(group_.Get(third_, "k", ReadLevel::kReadIndex), "v");
  // By now the node knows that it applies nothing, and keeps nobody waiting.
  const MonotonicTime asked = group_.time.Now();
  EXPECT_TRUE(group_.Set(other_, "k", "w").ok());
  EXPECT_LT(group_.time.Now() - asked, seconds(1));
  EXPECT_EQ(group_.Get(third_, "k", ReadLevel::kReadIndex), "w");
}

TEST_F(LocalReadTest, AVersionIsNoOlderThanWhatAnyNodeCommitted) {
  for (int i = 0; i < 50; ++i) {
    const NodeId writes = i % 2 == 0 ? leader_ : other_;
    const NodeId asks = i % 3 == 0 ? leader_ : third_;
    const Version committed = VersionOf(group_.Execute(writes, kv::Set{"k", "v", ""}));
    EXPECT_GE(VersionOf(group_.Execute(asks, kv::GetReadVersion{})), committed);
    EXPECT_GE(VersionOf(group_.Execute(asks, kv::GetCommittedVersion{})), committed);
  }
}

// Who says `local` gets an answer without a leader too.
TEST_F(LocalReadTest, AVersionAskedForAtLocalNeedsNobodyElse) {
  group_.network().Isolate(third_);
  group_.time.RunFor(seconds(2));
  RequestContext context;
  context.deadline = group_.time.Now() + milliseconds(500);
  EXPECT_EQ(group_.Execute(third_, kv::GetReadVersion{}, context).status().code(),
            StatusCode::kTimeout);
  context.deadline = group_.time.Now() + milliseconds(500);
  context.read_level = ReadLevel::kLocal;
  EXPECT_TRUE(group_.Execute(third_, kv::GetReadVersion{}, context).ok());
}

// The others made it durable and have handed its version out; the leader's own disk is behind.
TEST_F(LocalReadTest, ALeaderThatLagsKnowsTheVersionsThatOthersHandedOut) {
  const Version before = VersionOf(group_.Execute(leader_, kv::Set{"k", "v", ""}));
  auto& disk = group_.machine(leader_).disk;
  disk.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("no room"));
  const auto later = group_.Begin(leader_, kv::Set{"k", "w", ""});
  ASSERT_TRUE(group_.time.RunUntil(
      [&] { return group_.node(other_).executor->applied_version() > before; }));
  EXPECT_EQ(group_.node(leader_).executor->applied_version(), before);
  RequestContext local;
  local.read_level = ReadLevel::kLocal;
  const Version given = VersionOf(group_.Execute(other_, kv::GetReadVersion{}, local));
  const auto read = group_.Begin(leader_, kv::SnapshotRead{"k", given, ""});
  const Group::Answer answer = group_.Await(read);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(std::get<kv::GetResult>(*answer).value, "w");
  EXPECT_TRUE(group_.Await(later).ok());
}

}  // namespace
}  // namespace cairn::replication
