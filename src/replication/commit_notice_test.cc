// A leader that keeps the news of a commit back for a while (docs/adr/0025) lets nobody wait who is
// known to wait for it.
#include <gtest/gtest.h>

#include <optional>

#include "src/replication/group_test_util.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitNoticeTest : public testing::Test {
 protected:
  // Neither heartbeats nor notices come while a test runs.
  CommitNoticeTest() {
    group_.raft.election_timeout = seconds(500);
    group_.raft.heartbeat_interval = seconds(200);
    group_.raft.commit_notice_delay = seconds(100);
    group_.StartAll();
    EXPECT_TRUE(
        group_.time.RunUntil([this] { return group_.Leader().has_value(); }, seconds(2000)));
    leader_ = group_.AwaitAgreement();
    other_ = group_.Other(leader_);
    EXPECT_TRUE(group_.Set(leader_, "k", "first").ok());
    begun_ = group_.time.Now();
  }
  ~CommitNoticeTest() override { EXPECT_LT(group_.time.Now() - begun_, seconds(2)); }

  [[nodiscard]] Version Applied(NodeId id) { return group_.node(id).executor->applied_version(); }

  Group group_{3};
  NodeId leader_;
  NodeId other_;
  MonotonicTime begun_;
};

TEST_F(CommitNoticeTest, AWriteThatIsForwardedIsAppliedThereAtOnce) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(group_.Set(other_, "k", "v").ok());
  EXPECT_EQ(group_.Get(other_, "k", ReadLevel::kLocal), "v");
}
TEST_F(CommitNoticeTest, AReadAtReadIndexElsewhereSeesItAtOnce) {
  ASSERT_TRUE(group_.Set(leader_, "k", "v").ok());
  EXPECT_EQ(group_.Get(other_, "k", ReadLevel::kReadIndex), "v");
}
TEST_F(CommitNoticeTest, WhoeverWaitsForAVersionElsewhereGetsItAtOnce) {
  ASSERT_TRUE(group_.Set(leader_, "k", "v").ok());
  const Version written = Applied(leader_);
  group_.time.RunFor(milliseconds(500));
  ASSERT_LT(Applied(other_), written);  // So far nobody asked.
  std::optional<Status> there;
  group_.replica(other_)->WaitForVersion(written, group_.time.Now() + seconds(50),
                                         [&](const Status& status) { there = status; });
  ASSERT_TRUE(group_.time.RunUntil([&] { return there.has_value(); }));
  EXPECT_TRUE(there->ok()) << there->ToString();
  EXPECT_EQ(Applied(other_), written);
}

}  // namespace
}  // namespace cairn::replication
