// A receiver that is restarted in the middle of a transfer: what it has kept, and how its sender
// goes on.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "src/base/check.h"
#include "src/base/sanitizers.h"
#include "src/base/testing/fault_file_system.h"
#include "src/replication/snapshot_receiver.h"
#include "src/replication/snapshot_record.h"
#include "src/replication/snapshot_sender.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId kSender{1};
constexpr std::size_t kChunk = 1000;
constexpr std::uint64_t kMarkEvery = 10'000;
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
    options_.chunk_bytes = kChunk;
    options_.window_bytes = 5000;
    SnapshotSender::Hooks hooks;
    hooks.send = [this](NodeId, const std::string& body) {
      bytes_sent_ += body.size();
      to_receiver_.push_back(body);
    };
    hooks.done = [this](const consensus::PeerId&, bool ok, Slot) {
      ++ended_;
      EXPECT_TRUE(ok || !expect_ok_);
    };
    sender_.emplace(options_, &engine_, &disk_, std::move(hooks));
    StartReceiver();
  }

  void StartReceiver(Slot applied = Slot(), IncarnationId self = kPeer.incarnation) {
    SnapshotReceiver::Hooks hooks;
    hooks.send = [this](NodeId, const std::string& body) { to_sender_.push_back(body); };
    hooks.complete = [this](std::uint64_t id, const std::string& folder,
                            const storage::StateMeta& meta) {
      completed_ = id;
      EXPECT_EQ(meta.applied_slot, Slot(7));
      const auto loaded = storage::MemoryEngine::Load(folder, {.file_system = &receivers_});
      ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
      std::string value;
      ASSERT_TRUE((*loaded)->Get(FamilyId(0), "key99", Version::Max(), &value)->found);
      EXPECT_EQ(value, std::string(1000, 'v'));
    };
    receiver_.emplace("/receiver", self, &receivers_, std::move(hooks), kv::kKnownFeatures,
                      kMarkEvery);
    ASSERT_EQ(receiver_->TakeUp(applied), Status::Ok());
  }

  // Ends the receiver, and with it what was on its way; what is on its disk is decided by `mode`.
  void EndReceiver(CrashMode mode, Random* random = nullptr) {
    to_receiver_.clear();
    to_sender_.clear();
    receiver_.reset();
    receivers_.Crash(mode, random);
  }

  void DeliverAnswers() {
    for (; !to_sender_.empty(); to_sender_.pop_front()) {
      const auto ack = DecodeSnapshotAck(to_sender_.front());
      ASSERT_TRUE(ack.ok());
      if (!completed_) had_ = ack->have;
      sender_->OnAck(kPeer.node, *ack, now_);
    }
  }

  // The folder in which the receiver collects; "" if there is none with a record.
  [[nodiscard]] std::string Folder() const {
    if (!receivers_.Exists("/receiver")) return "";
    const auto names = receivers_.List("/receiver");
    for (const std::string& name : *names) {
      if (name.ends_with(".offer")) return "/receiver/" + name.substr(0, name.size() - 6);
    }
    return "";
  }
  [[nodiscard]] bool HasRecord() const { return !Folder().empty(); }
  // What the receiver wrote down.
  [[nodiscard]] SnapshotRecord Record() {
    const auto bytes = receivers_.ReadFile(Folder() + ".offer");
    CAIRN_CHECK(bytes.ok(), bytes.status().ToString());
    auto record = DecodeSnapshotRecord(*bytes);
    CAIRN_CHECK(record.ok(), record.status().ToString());
    return *std::move(record);
  }

  // Lets at most so many messages arrive, each with its answers; then the sender's clock ticks.
  void Exchange(int messages) {
    for (; messages > 0 && !to_receiver_.empty(); --messages) {
      const std::string body = std::move(to_receiver_.front());
      to_receiver_.pop_front();
      ASSERT_TRUE(receiver_->OnMessage(kSender, body).ok());
      if (receivers_.PoweredOff()) to_sender_.clear();
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

  FaultFileSystem disk_;       // the sender's
  FaultFileSystem receivers_;  // the receiver's
  storage::MemoryEngine engine_{{.file_system = &disk_}};
  SnapshotSenderOptions options_;
  MonotonicTime now_{Duration(seconds(100)).count()};
  std::deque<std::string> to_receiver_;
  std::deque<std::string> to_sender_;
  std::optional<SnapshotSender> sender_;
  std::optional<SnapshotReceiver> receiver_;
  std::optional<std::uint64_t> completed_;
  SnapshotPosition had_;  // by the receiver's last answer
  std::uint64_t bytes_sent_ = 0;
  int ended_ = 0;
  bool expect_ok_ = true;  // of a transfer that ends
};

TEST_F(SnapshotRestartTest, AReceiverThatIsRestartedGoesOnWhereItWas) {
  sender_->Start(kPeer, Epoch(3), now_);
  Exchange(60);
  ASSERT_FALSE(completed_.has_value());
  const std::uint64_t all = BytesOf(Record().offer);
  const std::uint64_t before = BytesBefore(Record().offer, had_);
  ASSERT_GT(before, all / 2);
  EXPECT_EQ(receiver_->progress()->have_bytes, before);
  EndReceiver(CrashMode::kKeepUnsynced);
  StartReceiver();
  const auto progress = receiver_->progress();
  ASSERT_TRUE(progress.has_value());
  EXPECT_EQ(progress->from, kSender);
  EXPECT_EQ(progress->slot, Slot(7));
  EXPECT_EQ(progress->have_bytes, BytesBefore(Record().offer, Record().have()));
  EXPECT_EQ(progress->total_bytes, all);
  const std::uint64_t sent = bytes_sent_;
  EXPECT_TRUE(CompletesWithin(seconds(2)));
  // Each chunk is longer by its head; what was on its way is a window.
  EXPECT_LT(bytes_sent_ - sent, (all - before + kMarkEvery + 2 * options_.window_bytes) * 11 / 10);
  EXPECT_FALSE(HasRecord()) << "whoever installs it may change its files";
  receiver_->Finish(*completed_);
  Exchange(1000);
  EXPECT_EQ(ended_, 1);
  EXPECT_FALSE(receiver_->progress().has_value());
  EXPECT_TRUE(receivers_.List("/receiver")->empty());
}

TEST_F(SnapshotRestartTest, AReceiverWhoseFilesAreGoneIsNoticedAtOnce) {
  sender_->Start(kPeer, Epoch(3), now_);
  Exchange(60);
  EndReceiver(CrashMode::kKeepUnsynced);
  ASSERT_EQ(receivers_.RemoveTree("/receiver"), Status::Ok());
  StartReceiver();
  EXPECT_TRUE(CompletesWithin(seconds(2)));
  EXPECT_EQ(ended_, 0);
}

TEST_F(SnapshotRestartTest, ARestartThatTakesLongIsWaitedFor) {
  sender_->Start(kPeer, Epoch(3), now_);
  Exchange(60);
  EndReceiver(CrashMode::kKeepUnsynced);
  const MonotonicTime back = now_ + seconds(50);
  while (now_ < back) {
    Exchange(0);
    to_receiver_.clear();
  }
  StartReceiver();
  const std::uint64_t sent = bytes_sent_;
  EXPECT_TRUE(CompletesWithin(seconds(2)));
  EXPECT_LT(bytes_sent_ - sent, 80'000u) << "it began anew";
}

// The power of the receiver fails after each of its operations on the disk, one run each, and takes
// any part of what was not synced. What was synced is kept, but for the last mark's worth, and what
// comes of it is whole.
TEST_F(SnapshotRestartTest, APowerCutAtAnyPointKeepsWhatWasSynced) {
  SeededRandom random(5);
  int resumed = 0;
  bool through = false;
  for (std::uint64_t operation = 1; !through; operation += kSanitized ? 5 : 1) {
    receivers_.Crash(CrashMode::kKeepUnsynced, nullptr);
    ASSERT_EQ(receivers_.RemoveTree("/receiver"), Status::Ok());
    to_receiver_.clear();
    to_sender_.clear();
    completed_.reset();
    had_ = {};
    StartReceiver();
    receivers_.PowerOffAt(operation);
    sender_->Start(kPeer, Epoch(10 + operation), now_);
    const auto first = DecodeSnapshotMessage(to_receiver_.front());
    ASSERT_TRUE(first.ok());
    const SnapshotOffer offer = std::get<SnapshotOffer>(*first);
    while (!completed_ && !receivers_.PoweredOff()) Exchange(1);
    through = completed_.has_value();
    const SnapshotPosition had = had_;
    completed_.reset();
    EndReceiver(CrashMode::kRandom, &random);
    StartReceiver();
    // Once the last chunk is there the record may be gone: the folder is about to be handed over.
    if (had > SnapshotPosition{} && BytesBefore(offer, had) + kChunk < BytesOf(offer)) {
      ASSERT_TRUE(HasRecord()) << "after " << operation << " operations";
      EXPECT_EQ(Record().offer, offer);
      const std::uint64_t kept = BytesBefore(offer, Record().have());
      EXPECT_LE(BytesBefore(offer, had), kept + kMarkEvery + kChunk)
          << "after " << operation << " operations";
      resumed += kept > 0 ? 1 : 0;
    }
    ASSERT_TRUE(CompletesWithin(seconds(5))) << "after " << operation << " operations";
    receiver_->Finish(*completed_);
    Exchange(1000);
    ASSERT_TRUE(sender_->empty());
  }
  EXPECT_GT(resumed, kSanitized ? 10 : 50);
}

TEST_F(SnapshotRestartTest, WhatIsDamagedIsTakenAnew) {
  enum class What { kHead, kOffer, kLastMark, kLastPiece, kMissing };
  sender_->Start(kPeer, Epoch(3), now_);
  for (const What what :
       {What::kHead, What::kOffer, What::kLastMark, What::kLastPiece, What::kMissing}) {
    SCOPED_TRACE(static_cast<int>(what));
    while (!HasRecord() || Record().marks.size() < 4) Exchange(1);
    const std::string folder = Folder();
    const SnapshotRecord record = Record();
    const std::string file = folder + "/" + record.offer.files[record.have().file].name;
    EndReceiver(CrashMode::kKeepUnsynced);
    if (what == What::kHead) receivers_.Damage(folder + ".offer", 3, 0x10);
    if (what == What::kOffer) receivers_.Damage(folder + ".offer", 20, 0x10);
    if (what == What::kLastMark) receivers_.Damage(folder + ".offer", record.bytes - 5, 0x10);
    if (what == What::kLastPiece) receivers_.Damage(file, record.have().offset - 1, 0x10);
    const bool missing = what == What::kMissing;
    EXPECT_TRUE(!missing || receivers_.Remove(file).ok());
    StartReceiver();
    if (what == What::kLastMark) {  // It counts as torn: on from the one before.
      EXPECT_EQ(Folder(), folder);
      EXPECT_EQ(Record().marks.size(), 3u);
      EXPECT_EQ(receivers_.ReadFile(file).value().size(), Record().have().offset);
    } else {
      EXPECT_TRUE(receivers_.List("/receiver")->empty());
    }
  }
  EXPECT_TRUE(CompletesWithin(seconds(5)));
  EXPECT_EQ(ended_, 0);
}

TEST_F(SnapshotRestartTest, WhatIsOfNoUseIsRemoved) {
  const auto leave = [this] {
    StartReceiver();
    sender_->Start(kPeer, Epoch(3), now_);
    for (int i = 0; i < 100 && (!HasRecord() || Record().marks.empty()); ++i) {
      Exchange(10);
    }
    EndReceiver(CrashMode::kKeepUnsynced);
    ASSERT_TRUE(HasRecord());
    ASSERT_EQ(receivers_.CreateDirectories("/receiver/out.1"), Status::Ok());
    ASSERT_EQ(receivers_.CreateDirectories("/receiver/in.7"), Status::Ok());
  };
  leave();
  StartReceiver(Slot(7));  // The log has brought it.
  EXPECT_TRUE(receivers_.List("/receiver")->empty());
  leave();
  StartReceiver(Slot(), IncarnationId(23));
  EXPECT_TRUE(receivers_.List("/receiver")->empty());
  leave();
  const std::string folder = Folder();
  StartReceiver(Slot(6));
  EXPECT_EQ(Folder(), folder);
  EXPECT_EQ(receivers_.List("/receiver")->size(), 2u);
}

TEST_F(SnapshotRestartTest, AnotherLeadersOfferTakesThePlaceOfWhatWasKept) {
  expect_ok_ = false;
  sender_->Start(kPeer, Epoch(3), now_);
  Exchange(60);
  EndReceiver(CrashMode::kKeepUnsynced);
  StartReceiver();
  sender_->Start(kPeer, Epoch(4), now_);
  EXPECT_EQ(ended_, 1);
  Exchange(1);
  EXPECT_EQ(receivers_.List("/receiver").value(), (std::vector<std::string>{"in.2", "in.2.offer"}));
  EXPECT_TRUE(CompletesWithin(seconds(5)));
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

TEST(SnapshotRecord, EndsWithTheFirstMarkThatIsNotWhole) {
  const SnapshotOffer offer{7, IncarnationId(8), Epoch(9), "meta", {{"a", 10}, {"b", 0}, {"c", 5}}};
  std::uint64_t checksum = 0;
  const std::string head = EncodeSnapshotRecordHead(NodeId(3), offer, &checksum);
  const std::vector<SnapshotMark> marks = {{{0, 4}, 11}, {{0, 10}, 12}, {{1, 0}, 13}, {{2, 5}, 14}};
  const std::vector<SnapshotPosition> have = {{0, 0}, {0, 4}, {1, 0}, {2, 0}, {3, 0}};
  std::string all = head;
  for (std::size_t n = 0; n <= marks.size(); ++n) {
    // A torn mark behind them counts as none, wherever it is torn.
    for (std::size_t torn = 0; torn < kSnapshotMarkBytes; ++torn) {
      const auto record =
          DecodeSnapshotRecord(all + Encode(SnapshotMark{}, checksum).substr(0, torn));
      ASSERT_TRUE(record.ok());
      EXPECT_EQ(record->from, NodeId(3));
      EXPECT_EQ(record->offer, offer);
      EXPECT_EQ(record->marks, std::vector(marks.begin(), marks.begin() + static_cast<int>(n)));
      EXPECT_EQ(record->have(), have[n]);
      EXPECT_EQ(record->bytes, all.size());
    }
    if (n < marks.size()) all += Encode(marks[n], checksum);
  }
  // Marks that can't follow: back, beyond the file, of a file too far, of another record.
  const std::string begun = head + Encode(marks[0], checksum);
  for (const SnapshotPosition to : {SnapshotPosition{0, 4}, {0, 3}, {0, 11}, {1, 0}, {9, 0}}) {
    const auto record = DecodeSnapshotRecord(begun + Encode(SnapshotMark{to, 1}, checksum));
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->marks.size(), 1u) << to.file << " " << to.offset;
  }
  EXPECT_EQ(DecodeSnapshotRecord(begun + Encode(marks[1], checksum + 1))->marks.size(), 1u);
  for (std::size_t bytes = 0; bytes < head.size(); ++bytes) {
    EXPECT_EQ(DecodeSnapshotRecord(head.substr(0, bytes)).status().code(), StatusCode::kCorruption);
    std::string damaged = head;
    damaged[bytes] ^= 4;
    EXPECT_FALSE(DecodeSnapshotRecord(damaged).ok()) << bytes;
  }
}

}  // namespace
}  // namespace cairn::replication
