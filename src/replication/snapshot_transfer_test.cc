// The two ends of a transfer, with everything between them in the test's hands.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/replication/snapshot_receiver.h"
#include "src/replication/snapshot_sender.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId kSender{1};
constexpr NodeId kReceiver{2};
// Messages each way that arrive in one step of time: less than the whole snapshot.
constexpr int kRounds = 10;
const consensus::PeerId kPeer{kReceiver, IncarnationId(22)};

class SnapshotTransferTest : public testing::Test {
 protected:
  struct Done {
    bool ok = false;
    Slot slot;
  };
  struct Complete {
    std::uint64_t id = 0;
    std::string folder;
    storage::StateMeta meta;
  };

  SnapshotTransferTest() {
    options_.directory = "/sender";
    options_.seed = 7;
    options_.chunk_bytes = 1000;
    options_.window_bytes = 5000;
  }

  void SetUp() override {
    Fill(40);
    MakeSender();
    MakeReceiver();
  }

  void Fill(int keys) {
    storage::WriteBatch batch;
    storage::StateMeta meta = engine_.Meta();
    meta.applied_slot = meta.applied_slot.Next();
    meta.applied_epoch = Epoch(3);
    meta.version = meta.version.Next();
    for (int i = 0; i < keys; ++i) {
      batch.Put(FamilyId(0), "key" + std::to_string(i), std::string(1000, 'v'), meta.version);
    }
    ASSERT_EQ(engine_.Write(batch, meta), Status::Ok());
  }

  void MakeSender() {
    SnapshotSender::Hooks hooks;
    hooks.send = [this](NodeId to, const std::string& body) {
      EXPECT_EQ(to, kReceiver);
      to_receiver_.push_back(body);
      bytes_sent_ += body.size();
    };
    hooks.done = [this](const consensus::PeerId& peer, bool ok, Slot slot) {
      EXPECT_EQ(peer, kPeer);
      done_.push_back({ok, slot});
    };
    sender_.emplace(options_, &engine_, &disk_, std::move(hooks));
  }

  void MakeReceiver() {
    SnapshotReceiver::Hooks hooks;
    hooks.send = [this](NodeId to, const std::string& body) {
      EXPECT_EQ(to, kSender);
      to_sender_.push_back(body);
    };
    hooks.complete = [this](std::uint64_t id, const std::string& folder,
                            const storage::StateMeta& meta) {
      complete_.push_back({id, folder, meta});
    };
    receiver_.emplace("/receiver", kPeer.incarnation, &disk_, std::move(hooks));
  }

  void Start() { sender_->Start(kPeer, Epoch(3), now_); }

  // Lets so many rounds of messages arrive, but what `lose` says; then some time passes.
  template <class Lose>
  void ExchangeBut(Lose lose, Duration time) {
    for (int i = 0; i < kRounds && !(to_receiver_.empty() && to_sender_.empty()); ++i) {
      if (!to_receiver_.empty()) {
        const std::string body = std::move(to_receiver_.front());
        to_receiver_.pop_front();
        const Status taken = lose() ? Status::Ok() : receiver_->OnMessage(kSender, body);
        EXPECT_EQ(taken, Status::Ok());
      }
      if (!to_sender_.empty()) {
        const std::string body = std::move(to_sender_.front());
        to_sender_.pop_front();
        const auto ack = DecodeSnapshotAck(body);
        ASSERT_TRUE(ack.ok());
        if (!lose()) sender_->OnAck(kReceiver, *ack, now_);
      }
    }
    now_ = now_ + time;
    sender_->Tick(now_);
  }
  void Exchange(Duration time = milliseconds(20)) {
    ExchangeBut([] { return false; }, time);
  }

  void ExpectArrived() {
    ASSERT_EQ(complete_.size(), 1u);
    EXPECT_EQ(complete_[0].meta, engine_.Meta());
    const auto loaded = storage::MemoryEngine::Load(complete_[0].folder, {.file_system = &disk_});
    ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
    EXPECT_EQ((*loaded)->Meta(), engine_.Meta());
    std::string value;
    ASSERT_TRUE((*loaded)->Get(FamilyId(0), "key39", Version::Max(), &value)->found);
    EXPECT_EQ(value, std::string(1000, 'v'));
  }

  FaultFileSystem disk_;
  storage::MemoryEngine engine_{{.file_system = &disk_}};
  SnapshotSenderOptions options_;
  MonotonicTime now_{std::chrono::nanoseconds(seconds(100)).count()};
  std::optional<SnapshotSender> sender_;
  std::optional<SnapshotReceiver> receiver_;
  std::deque<std::string> to_receiver_;
  std::deque<std::string> to_sender_;
  std::vector<Done> done_;
  std::vector<Complete> complete_;
  std::uint64_t bytes_sent_ = 0;
};

TEST_F(SnapshotTransferTest, ArrivesAndIsRemovedBehindItself) {
  Start();
  EXPECT_EQ(sender_->lowest_slot(), engine_.Meta().applied_slot);
  for (int i = 0; i < 20 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
  EXPECT_TRUE(done_.empty()) << "before it is installed";
  receiver_->Finish(complete_[0].id);
  Exchange();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(done_[0].ok);
  EXPECT_EQ(done_[0].slot, engine_.Meta().applied_slot);
  EXPECT_TRUE(sender_->empty());
  EXPECT_EQ(sender_->lowest_slot(), Slot::Max());
  EXPECT_TRUE(disk_.List("/sender")->empty());
  EXPECT_TRUE(disk_.List("/receiver")->empty());
}

TEST_F(SnapshotTransferTest, NoMoreThanAWindowIsOnItsWay) {
  Start();
  Exchange();
  for (int i = 0; i < 30 && complete_.empty(); ++i) {
    std::uint64_t on_its_way = 0;
    for (const std::string& body : to_receiver_) on_its_way += body.size();
    EXPECT_LE(on_its_way, options_.window_bytes + options_.chunk_bytes + 500);
    Exchange();
  }
  ExpectArrived();
}

// A third of the messages is lost, either way; what arrived is not sent again by much.
TEST_F(SnapshotTransferTest, LossCostsWhatWasOnItsWay) {
  Start();
  SeededRandom random(1);
  for (int i = 0; i < 10'000 && complete_.empty(); ++i) {
    ExchangeBut([&] { return random.OneIn(1, 3); }, milliseconds(100));
  }
  ExpectArrived();
  EXPECT_LT(bytes_sent_, 40u * 1100 * 8);
}

TEST_F(SnapshotTransferTest, ABrokenConnectionIsTakenUpWhereItEnded) {
  Start();
  for (int i = 0; i < 3; ++i) Exchange();
  ASSERT_TRUE(complete_.empty());
  // Nothing passes for ten seconds.
  for (int i = 0; i < 100; ++i) ExchangeBut([] { return true; }, milliseconds(100));
  EXPECT_TRUE(done_.empty());
  to_receiver_.clear();
  const std::uint64_t before = bytes_sent_;
  for (int i = 0; i < 100 && complete_.empty(); ++i) Exchange(milliseconds(100));
  ExpectArrived();
  EXPECT_LT(bytes_sent_ - before, 45'000u) << "it began anew";
}

TEST_F(SnapshotTransferTest, APeerThatIsGoneIsGivenUp) {
  Start();
  Exchange();
  const MonotonicTime begun = now_;
  while (done_.empty() && now_ < begun + seconds(120)) {
    ExchangeBut([] { return true; }, milliseconds(100));
  }
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_FALSE(done_[0].ok);
  EXPECT_TRUE(disk_.List("/sender")->empty());
}

TEST_F(SnapshotTransferTest, TheRateIsBounded) {
  options_.bytes_per_second = 10'000;
  MakeSender();
  Start();
  const MonotonicTime begun = now_;
  for (int i = 0; i < 2000 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
  const double took = std::chrono::duration<double>(now_ - begun).count();
  EXPECT_GT(took, static_cast<double>(bytes_sent_) / 10'000 * 0.8);
  EXPECT_LT(took, static_cast<double>(bytes_sent_) / 10'000 * 1.5);
}

TEST_F(SnapshotTransferTest, AFullDiskRefusesAndTheNextTryWaits) {
  disk_.SetCapacity(disk_.UsedBytes() + 60'000);  // The checkpoint fits, its copy does not.
  Start();
  std::vector<MonotonicTime> refused;
  while (refused.size() < 4) {
    const std::size_t before = done_.size();
    for (int i = 0; i < 1000 && done_.size() == before; ++i) Exchange();
    ASSERT_GT(done_.size(), before);
    EXPECT_FALSE(done_.back().ok);
    refused.push_back(now_);
    // The core asks for another one at once.
    Start();
  }
  EXPECT_GE(refused[1] - refused[0], options_.retry_after);
  EXPECT_GE(refused[2] - refused[1], 2 * options_.retry_after);
  EXPECT_GE(refused[3] - refused[2], 4 * options_.retry_after);
  disk_.SetCapacity(std::nullopt);
  for (int i = 0; i < 1000 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
}

TEST_F(SnapshotTransferTest, RoomForTheFilesAloneIsTooLittle) {
  constexpr std::uint64_t kInstall = 16 << 20;
  const std::uint64_t used = disk_.UsedBytes();
  disk_.SetCapacity(used + 1'000'000);  // The checkpoint and its copy fit by far.
  Start();
  for (int i = 0; i < 100 && done_.empty(); ++i) Exchange();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(disk_.List("/receiver")->empty());
  // There is room when it begins, and somebody takes it meanwhile.
  disk_.SetCapacity(used + 1'000'000 + kInstall);
  Start();
  for (int i = 0; i < 1000 && disk_.List("/receiver")->empty(); ++i) Exchange();
  EXPECT_FALSE(disk_.List("/receiver")->empty());
  disk_.SetCapacity(used + 1'000'000);
  for (int i = 0; i < 1000 && done_.size() < 2; ++i) Exchange();
  ASSERT_EQ(done_.size(), 2u);
  EXPECT_FALSE(done_[1].ok);
  EXPECT_TRUE(complete_.empty());
  EXPECT_TRUE(disk_.List("/receiver")->empty());
  disk_.SetCapacity(std::nullopt);
  Start();
  for (int i = 0; i < 1000 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
}

// Each try costs the sender a checkpoint, which is not to be one a heartbeat.
TEST_F(SnapshotTransferTest, WhileOneIsInstalledAnotherOfferIsRefused) {
  Start();
  for (int i = 0; i < 20 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
  sender_->Start(kPeer, Epoch(4), now_);
  for (int i = 0; i < 1000 && done_.size() < 2; ++i) Exchange();
  ASSERT_EQ(done_.size(), 2u) << "the first is given up for the second";
  EXPECT_FALSE(done_[1].ok);
  const MonotonicTime refused = now_;
  sender_->Start(kPeer, Epoch(4), now_);
  for (int i = 0; i < 1000 && done_.size() < 3; ++i) Exchange();
  EXPECT_GE(now_ - refused, options_.retry_after);
  EXPECT_TRUE(disk_.Exists(complete_[0].folder)) << "it is being installed";
}

TEST_F(SnapshotTransferTest, WhatTheLogHasCaughtUpWithIsRemoved) {
  Start();
  for (int i = 0; i < 3; ++i) Exchange();
  const Slot slot = engine_.Meta().applied_slot;
  receiver_->DropUpTo(Slot(slot.value() - 1));
  EXPECT_FALSE(disk_.List("/receiver")->empty());
  receiver_->DropUpTo(slot);
  EXPECT_TRUE(disk_.List("/receiver")->empty());
  for (int i = 0; i < 1000 && done_.empty(); ++i) Exchange(milliseconds(100));
  ASSERT_EQ(done_.size(), 1u) << "the sender goes on";
  // Not what is being installed.
  Start();
  for (int i = 0; i < 1000 && complete_.empty(); ++i) Exchange();
  ExpectArrived();
  receiver_->DropUpTo(slot);
  EXPECT_TRUE(disk_.Exists(complete_[0].folder));
}

TEST_F(SnapshotTransferTest, WhatNobodySendsAnyMoreIsRemoved) {
  Start();
  for (int i = 0; i < 3; ++i) Exchange();
  receiver_->Tick(now_);
  receiver_->Tick(now_ + (SnapshotReceiver::kForgotten - milliseconds(1)));
  EXPECT_FALSE(disk_.List("/receiver")->empty());
  Exchange();  // something comes
  now_ = now_ + SnapshotReceiver::kForgotten;
  receiver_->Tick(now_);
  EXPECT_FALSE(disk_.List("/receiver")->empty());
  receiver_->Tick(now_ + SnapshotReceiver::kForgotten);
  EXPECT_TRUE(disk_.List("/receiver")->empty());
  EXPECT_FALSE(receiver_->progress().has_value());
}

TEST_F(SnapshotTransferTest, FeaturesOfALaterVersionAreRefusedByName) {
  storage::StateMeta meta = engine_.Meta();
  meta.applied_slot = meta.applied_slot.Next();
  meta.features = 4;
  ASSERT_EQ(engine_.Write({}, meta), Status::Ok());
  Start();
  ASSERT_FALSE(to_receiver_.empty());
  EXPECT_EQ(receiver_->OnMessage(kSender, to_receiver_.front()), Status::Ok());
  ASSERT_EQ(to_sender_.size(), 1u);
  const auto ack = DecodeSnapshotAck(to_sender_.front());
  ASSERT_TRUE(ack.ok());
  EXPECT_EQ(ack->verdict, SnapshotAck::Verdict::kRefused);
  EXPECT_NE(ack->reason.find("features 4"), std::string::npos) << ack->reason;
}

TEST_F(SnapshotTransferTest, AnotherLifeOfTheNodeTakesNone) {
  SnapshotReceiver::Hooks hooks;
  hooks.send = [](NodeId, const std::string&) { FAIL() << "answered"; };
  hooks.complete = [](std::uint64_t, const std::string&, const storage::StateMeta&) {};
  receiver_.emplace("/receiver", IncarnationId(23), &disk_, std::move(hooks));
  Start();
  EXPECT_EQ(receiver_->OnMessage(kSender, to_receiver_.front()), Status::Ok());
}

TEST_F(SnapshotTransferTest, ALaterLeadersOfferReplacesAFormerOnes) {
  Start();
  for (int i = 0; i < 3; ++i) Exchange();
  ASSERT_FALSE(to_receiver_.empty());
  const std::string late = to_receiver_.front();
  to_receiver_.clear();
  // The next leadership sends its own; what the former one still sends counts no more.
  sender_->Start(kPeer, Epoch(4), now_);
  EXPECT_EQ(done_.size(), 1u);
  for (int i = 0; i < 60 && complete_.empty(); ++i) {
    Exchange();
    EXPECT_EQ(receiver_->OnMessage(kSender, late), Status::Ok());
  }
  ExpectArrived();
}

TEST_F(SnapshotTransferTest, DamagedMessagesChangeNothing) {
  Start();
  Exchange();
  for (int i = 0; i < 60 && complete_.empty(); ++i) {
    EXPECT_EQ(receiver_->OnMessage(kSender, "\x02nonsense").code(), StatusCode::kCorruption);
    EXPECT_EQ(receiver_->OnMessage(kSender, "").code(), StatusCode::kCorruption);
    Exchange();
  }
  ExpectArrived();
}

}  // namespace
}  // namespace cairn::replication
