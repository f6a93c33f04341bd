// A receiver that starts anew in the middle of a transfer, as its sender sees it.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "src/base/check.h"
#include "src/base/testing/fault_file_system.h"
#include "src/replication/snapshot_receiver.h"
#include "src/replication/snapshot_sender.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId kSender{1};
const consensus::PeerId kPeer{NodeId(2), IncarnationId(22)};

class SnapshotRestartTest : public testing::Test {
 protected:
  SnapshotRestartTest() {
    storage::WriteBatch batch;
    storage::StateMeta meta = engine_.Meta();
    meta.applied_slot = Slot(7);
    meta.applied_epoch = Epoch(3);
    meta.version = meta.version.Next();
    for (int i = 0; i < 100; ++i) {
      batch.Put(FamilyId(0), "key" + std::to_string(i), std::string(1000, 'v'), meta.version);
    }
    CAIRN_CHECK(engine_.Write(batch, meta).ok());
    options_.directory = "/sender";
    options_.chunk_bytes = 1000;
    options_.window_bytes = 5000;
    SnapshotSender::Hooks hooks;
    hooks.send = [this](NodeId, const std::string& body) { to_receiver_.push_back(body); };
    hooks.done = [this](const consensus::PeerId&, bool ok, Slot) {
      ++ended_;
      EXPECT_TRUE(ok);
    };
    sender_.emplace(options_, &engine_, &disk_, std::move(hooks));
    StartReceiver();
  }

  void StartReceiver() {
    SnapshotReceiver::Hooks hooks;
    hooks.send = [this](NodeId, const std::string& body) { to_sender_.push_back(body); };
    hooks.complete = [this](std::uint64_t id, const std::string&, const storage::StateMeta& meta) {
      completed_ = id;
      EXPECT_EQ(meta.applied_slot, Slot(7));
    };
    receiver_.emplace("/receiver", kPeer.incarnation, &disk_, std::move(hooks));
  }

  void DeliverAnswers() {
    for (; !to_sender_.empty(); to_sender_.pop_front()) {
      const auto ack = DecodeSnapshotAck(to_sender_.front());
      ASSERT_TRUE(ack.ok());
      sender_->OnAck(kPeer.node, *ack, now_);
    }
  }

  // Lets at most so many messages arrive, each with its answers; then the sender's clock ticks.
  void Exchange(int messages) {
    for (; messages > 0 && !to_receiver_.empty(); --messages) {
      const std::string body = std::move(to_receiver_.front());
      to_receiver_.pop_front();
      ASSERT_TRUE(receiver_->OnMessage(kSender, body).ok());
      DeliverAnswers();
    }
    DeliverAnswers();
    now_ = now_ + milliseconds(100);
    sender_->Tick(now_);
  }

  // Exchanges until the receiver has all; true if that takes no longer than `time`.
  bool CompletesWithin(Duration time) {
    const MonotonicTime until = now_ + time;
    while (!completed_ && now_ < until) Exchange(1000);
    return completed_.has_value();
  }

  FaultFileSystem disk_;
  storage::MemoryEngine engine_{{.file_system = &disk_}};
  SnapshotSenderOptions options_;
  MonotonicTime now_{Duration(seconds(100)).count()};
  std::deque<std::string> to_receiver_;
  std::deque<std::string> to_sender_;
  std::optional<SnapshotSender> sender_;
  std::optional<SnapshotReceiver> receiver_;
  std::optional<std::uint64_t> completed_;
  int ended_ = 0;
};

TEST_F(SnapshotRestartTest, AReceiverThatStartsAnewIsNoticedAtOnce) {
  sender_->Start(kPeer, Epoch(3), now_);
  Exchange(60);
  ASSERT_FALSE(completed_.has_value());
  // What was on its way is lost, and a start removes what there was of it.
  to_receiver_.clear();
  to_sender_.clear();
  ASSERT_EQ(disk_.RemoveTree("/receiver"), Status::Ok());
  StartReceiver();
  EXPECT_TRUE(CompletesWithin(seconds(2)));
  EXPECT_EQ(ended_, 0);
  receiver_->Finish(*completed_);
  Exchange(1000);
  EXPECT_EQ(ended_, 1);
}

TEST_F(SnapshotRestartTest, AnAnswerThatIsLateBeginsNothingAnewForGood) {
  sender_->Start(kPeer, Epoch(3), now_);
  // The offer alone: its answer says that the receiver has nothing yet, and comes once more later.
  const auto offer = DecodeSnapshotMessage(to_receiver_.front());
  ASSERT_TRUE(offer.ok());
  const SnapshotAck first{std::get<SnapshotOffer>(*offer).id, SnapshotAck::Verdict::kGoOn, {}, {}};
  Exchange(60);
  for (int i = 0; i < 10; ++i) Exchange(0);  // Nothing arrives: the sender offers it again.
  sender_->OnAck(kPeer.node, first, now_);
  EXPECT_TRUE(CompletesWithin(seconds(2)));
  EXPECT_EQ(ended_, 0);
}

}  // namespace
}  // namespace cairn::replication
