// States taken hold of at one slot, their digests, and what a backup makes of them.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "src/replication/backup_source.h"
#include "src/replication/group_test_util.h"
#include "src/replication/state_capture.h"

namespace cairn::replication {
namespace {

Result<digest::StateDigest> DigestNow(StateMachineExecutor* executor) {
  CAIRN_ASSIGN_OR_RETURN(StateCapture capture, executor->Capture());
  return DigestOf(std::move(capture), [] { return Status::Ok(); });
}

// What AtSlot answered, and the digest of the state at that moment.
struct Taken {
  std::optional<Status> status;
  std::string digest;
  Slot slot;
};
void TakeAt(Group* group, NodeId node, Slot slot, std::uint64_t token, Taken* taken) {
  StateMachineExecutor* const executor = group->node(node).executor.get();
  group->replica(node)->AtSlot(slot, token, [executor, taken](Status status) {
    if (status.ok()) {
      taken->digest = DigestNow(executor)->ToString();
      taken->slot = executor->applied_slot();
    }
    taken->status = std::move(status);
  });
}

TEST(StateCaptureTest, AllNodesAreTakenAtExactlyOneSlotUnderLoad) {
  Group group(3);
  group.StartAll();
  const NodeId leader = group.AwaitAgreement();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  ASSERT_TRUE(group.AwaitApplied());
  const Slot slot = group.replica(leader)->status().last_slot.Plus(5);
  Taken taken[3];
  for (std::uint32_t n = 0; n < 3; ++n) TakeAt(&group, NodeId(n), slot, 7, &taken[n]);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(group.Set(leader, "k" + std::to_string(i), std::to_string(i)).ok());
  }
  ASSERT_TRUE(group.AwaitApplied());
  for (const Taken& one : taken) {
    ASSERT_TRUE(one.status.has_value());
    ASSERT_TRUE(one.status->ok()) << one.status->ToString();
    EXPECT_EQ(one.slot, slot);
    EXPECT_EQ(one.digest, taken[0].digest);
  }
  EXPECT_NE(DigestNow(group.node(leader).executor.get())->ToString(), taken[0].digest);
}

TEST(StateCaptureTest, ASlotThatIsPastAndATokenUsedAgainAreAnswered) {
  Group group(1);
  group.StartAll();
  const NodeId leader = group.AwaitLeader();
  ASSERT_TRUE(group.Set(leader, "k", "v").ok());
  Taken past;
  TakeAt(&group, leader, Slot(1), 7, &past);
  Taken replaced;
  TakeAt(&group, leader, Slot(1000), 8, &replaced);
  Taken now;
  TakeAt(&group, leader, Slot(), 8, &now);
  ASSERT_TRUE(group.time.RunUntil([&] { return now.status.has_value(); }));
  EXPECT_EQ(past.status->code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(replaced.status->code(), StatusCode::kCancelled);
  EXPECT_TRUE(now.status->ok());
  Taken stopping;
  TakeAt(&group, leader, Slot(1000), 9, &stopping);
  group.replica(leader)->Stop();
  ASSERT_TRUE(group.time.RunUntil([&] { return stopping.status.has_value(); }));
  EXPECT_EQ(stopping.status->code(), StatusCode::kUnavailable);
}

TEST(StateCaptureTest, ADigestTellsFamiliesSessionsAndMetaApart) {
  Group group(1);
  group.StartAll();
  const NodeId node = group.AwaitLeader();
  StateMachineExecutor* const executor = group.node(node).executor.get();
  const auto sections = [&](const digest::StateDigest& a, const digest::StateDigest& b) {
    std::vector<std::string> names;
    for (const auto& difference : Compare(a, b, 10)) names.push_back(difference.section);
    return names;
  };
  ASSERT_TRUE(group.Execute(node, kv::CreateColumnFamily{"users"}).ok());
  const auto first = DigestNow(executor);
  ASSERT_TRUE(group.Execute(node, kv::Set{"k", "v", "users"}).ok());
  const auto second = DigestNow(executor);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(sections(*first, *second), (std::vector<std::string>{"family users", "meta"}));
  ASSERT_TRUE(group.Execute(node, kv::OpenSession{}).ok());
  const auto third = DigestNow(executor);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(sections(*second, *third), (std::vector<std::string>{"records", "meta"}));
}

TEST(StateCaptureTest, ACaptureKeepsItsVersionsPastTheWindow) {
  Group group(1);
  group.options.mvcc_window = std::chrono::seconds(1);
  group.StartAll();
  const NodeId node = group.AwaitLeader();
  StateMachineExecutor* const executor = group.node(node).executor.get();
  ASSERT_TRUE(group.Set(node, "k", "old").ok());
  std::optional<StateCapture> capture(executor->Capture().value());
  const Version version = capture->meta.version;
  const auto grow = [&] {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(group.Set(node, "k", std::to_string(i)).ok());
      group.time.RunFor(std::chrono::milliseconds(500));
    }
    ASSERT_GT(executor->watermark(), version);
    ASSERT_TRUE(group.node(node).engine->Flush().ok());
    ASSERT_TRUE(executor->ReleaseHistory().ok());
  };
  grow();
  BackupSource source(*std::move(capture), {});
  capture.reset();
  std::string file;
  while (true) {
    const Result<std::string> bytes = source.Next();
    ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
    if (bytes->empty()) break;
    file += *bytes;
  }
  EXPECT_NE(file.find("old"), std::string::npos);
}

TEST(StateCaptureTest, WithoutACaptureTheVersionsGo) {
  Group group(1);
  group.options.mvcc_window = std::chrono::seconds(1);
  group.StartAll();
  const NodeId node = group.AwaitLeader();
  StateMachineExecutor* const executor = group.node(node).executor.get();
  ASSERT_TRUE(group.Set(node, "k", "old").ok());
  const Version version = executor->applied_version();
  { const auto dropped = executor->Capture(); }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(group.Set(node, "k", std::to_string(i)).ok());
    group.time.RunFor(std::chrono::milliseconds(500));
  }
  ASSERT_TRUE(group.node(node).engine->Flush().ok());
  ASSERT_TRUE(executor->ReleaseHistory().ok());
  EXPECT_EQ(group.node(node).engine->NewIterator(FamilyId(), {}, version).status().code(),
            StatusCode::kTransactionTooOld);
}

}  // namespace
}  // namespace cairn::replication
