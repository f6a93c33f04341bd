// Each invariant is broken once by a scripted core, and must be missed.
#include "sim/invariants.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::sim {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Persist;
using consensus::PersistToken;
using Kind = ViolationKind;

// Has the effects that the test wants.
class ScriptedCore final : public consensus::Core {
 public:
  explicit ScriptedCore(consensus::Effects* next) : next_(next) {}
  consensus::Effects Step(const consensus::Event&) override {
    return std::exchange(*next_, consensus::Effects());
  }

 private:
  consensus::Effects* const next_;
};

Entry EntryOf(std::uint64_t slot, std::uint64_t epoch, const std::string& payload = "x") {
  return {Slot(slot), Epoch(epoch), EntryKind::kCommands, std::make_shared<std::string>(payload)};
}

Entry NoOp(std::uint64_t slot, std::uint64_t epoch) {
  return {Slot(slot), Epoch(epoch), EntryKind::kNoOp, std::make_shared<std::string>()};
}

class InvariantsTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kNodes = 3;

  InvariantsTest()
      : ledger_(kNodes, &effects_,
                [this](Kind kind, const std::string& what) { found_.emplace_back(kind, what); }) {
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      Boot(n);
      Step(n, consensus::Recovered{});
    }
  }

  void Boot(std::uint32_t n) {
    Machine& machine = machines_.at(n);
    consensus::JournalOptions options;
    options.directory = "/journal";
    options.segment_bytes = 4096;
    machine.journal.reset();
    auto journal = consensus::Journal::Open(options, &machine.files, &random_);
    ASSERT_TRUE(journal.ok()) << journal.status().ToString();
    machine.journal = ledger_.Watch(NodeId(n), std::move(*journal), &machine.engine);
    machine.core = ledger_.Watch(NodeId(n), std::make_unique<ScriptedCore>(&next_));
  }

  consensus::Journal& journal(std::uint32_t n) { return *machines_.at(n).journal; }

  void Step(std::uint32_t n, decltype(consensus::Event::what) what,
            consensus::Effects effects = {}) {
    next_ = std::move(effects);
    (void)machines_.at(n).core->Step({MonotonicTime{0}, std::move(what)});
  }

  // The core hands entries over, and the journal writes them.
  PersistToken Write(std::uint32_t n, std::vector<Entry> entries,
                     std::optional<Slot> truncate_from = {}) {
    Persist persist;
    persist.token = PersistToken(++token_);
    persist.truncate_from = truncate_from;
    persist.entries = std::move(entries);
    consensus::Effects effects;
    effects.persist = persist;
    Step(n, consensus::Tick{}, std::move(effects));
    EXPECT_TRUE(journal(n).Append(persist).ok());
    return persist.token;
  }
  void WriteAndSync(std::uint32_t n, std::vector<Entry> entries) {
    Write(n, std::move(entries));
    EXPECT_TRUE(journal(n).Sync().ok());
  }
  void Commit(std::uint32_t n, std::uint64_t slot) {
    consensus::Effects effects;
    effects.committed = Slot(slot);
    Step(n, consensus::Tick{}, std::move(effects));
  }
  void Lead(std::uint32_t n, std::uint64_t epoch) {
    consensus::Effects effects;
    effects.leadership = {consensus::Role::kLeader, Epoch(epoch), NodeId(n)};
    Step(n, consensus::Tick{}, std::move(effects));
  }

  void ExpectNothing() { EXPECT_TRUE(found_.empty()) << found_.front().second; }
  // That, and nothing else.
  void ExpectFound(Kind kind) {
    ASSERT_EQ(found_.size(), 1u);
    EXPECT_EQ(found_.front().first, kind) << found_.front().second;
  }

  struct Machine {
    FaultFileSystem files;
    storage::MemoryEngine engine;
    std::unique_ptr<consensus::Journal> journal;
    std::unique_ptr<consensus::Core> core;
  };

  SeededRandom random_{1};
  Effects effects_;
  std::vector<std::pair<Kind, std::string>> found_;
  Invariants ledger_;
  consensus::Effects next_;
  std::array<Machine, kNodes> machines_;
  std::uint64_t token_ = 0;
};

TEST_F(InvariantsTest, WhatIsRightIsLeftInPeace) {
  Lead(0, 1);
  Lead(1, 2);
  for (std::uint32_t n = 0; n < kNodes; ++n) {
    WriteAndSync(n, {EntryOf(1, 1), NoOp(2, 2)});
    Step(n, consensus::Persisted{PersistToken(token_)});
    Commit(n, 2);
    Step(n, consensus::Applied{Slot(2)});
    ledger_.StateHash(NodeId(n), Slot(2), 7);
  }
  ExpectNothing();
}

TEST_F(InvariantsTest, TwoLeadersOfOneEpoch) {
  Lead(0, 1);
  Lead(1, 1);
  ExpectFound(Kind::kTwoLeaders);
}

TEST_F(InvariantsTest, TwoEntriesOfOneSlotAndEpoch) {
  WriteAndSync(0, {EntryOf(1, 1, "a")});
  WriteAndSync(1, {EntryOf(1, 1, "b")});
  ExpectFound(Kind::kLogsDiffer);
}

TEST_F(InvariantsTest, AnEntryBehindTwoOthers) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 3)});
  WriteAndSync(1, {EntryOf(1, 2), EntryOf(2, 3)});
  ExpectFound(Kind::kLogsDiffer);
}

TEST_F(InvariantsTest, CommittedFalls) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Commit(0, 2);
  Commit(0, 1);
  ExpectFound(Kind::kCommitChanges);
}

TEST_F(InvariantsTest, WhatIsCommittedIsCutOff) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Commit(0, 2);
  Write(0, {}, Slot(2));
  ExpectFound(Kind::kCommitChanges);
}

TEST_F(InvariantsTest, TwoEntriesAreCommittedAtOneSlot) {
  WriteAndSync(0, {EntryOf(1, 1, "a")});
  WriteAndSync(1, {EntryOf(1, 2, "b")});
  Commit(0, 1);
  Commit(1, 1);
  ExpectFound(Kind::kCommitChanges);
}

// Their words are the same; they are others all the same.
TEST_F(InvariantsTest, OneNoOpIsCommittedInPlaceOfAnother) {
  WriteAndSync(0, {NoOp(1, 1)});
  WriteAndSync(1, {NoOp(1, 2)});
  Commit(0, 1);
  Commit(1, 1);
  ExpectFound(Kind::kCommitChanges);
}

TEST_F(InvariantsTest, TheCoreIsToldOfASyncThatWasNot) {
  const PersistToken token = Write(0, {EntryOf(1, 1)});
  Step(0, consensus::Persisted{token});
  ExpectFound(Kind::kEarlyPromise);
}

TEST_F(InvariantsTest, AMessageLeavesBeforeWhatItPromises) {
  const PersistToken token = Write(0, {EntryOf(1, 1)});
  consensus::Effects effects;
  effects.messages.push_back({NodeId(1), "I have slot 1", token});
  Step(0, consensus::Tick{}, std::move(effects));
  ledger_.Sends(NodeId(0), "[frame: something else]");
  ExpectNothing();
  ledger_.Sends(NodeId(0), "[frame: I have slot 1]");
  ExpectFound(Kind::kEarlyPromise);
}

TEST_F(InvariantsTest, AMessageLeavesBehindWhatItPromises) {
  const PersistToken token = Write(0, {EntryOf(1, 1)});
  consensus::Effects effects;
  effects.messages.push_back({NodeId(1), "I have slot 1", token});
  Step(0, consensus::Tick{}, std::move(effects));
  ASSERT_TRUE(journal(0).Sync().ok());
  ledger_.Sends(NodeId(0), "[frame: I have slot 1]");
  ExpectNothing();
}

TEST_F(InvariantsTest, WhatIsNotCommittedIsApplied) {
  WriteAndSync(0, {EntryOf(1, 1)});
  Step(0, consensus::Applied{Slot(1)});
  ExpectFound(Kind::kAppliedTooEarly);
}

TEST_F(InvariantsTest, WhatIsNotDurableIsApplied) {
  Write(0, {EntryOf(1, 1)});
  Commit(0, 1);
  Step(0, consensus::Applied{Slot(1)});
  ExpectFound(Kind::kAppliedTooEarly);
}

TEST_F(InvariantsTest, ASyncedEntryIsLost) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Boot(0);
  consensus::Recovered recovered;
  recovered.entries = {EntryOf(1, 1)};
  Step(0, recovered);
  ExpectFound(Kind::kLostAfterRestart);
}

TEST_F(InvariantsTest, ASyncedVoteIsLost) {
  Persist persist;
  persist.token = PersistToken(1);
  persist.hard_state = "vote";
  ASSERT_TRUE(journal(0).Append(persist).ok());
  ASSERT_TRUE(journal(0).Sync().ok());
  Boot(0);
  Step(0, consensus::Recovered{});
  ExpectFound(Kind::kLostAfterRestart);
}

TEST_F(InvariantsTest, WhatWasNotSyncedMayBeLostOrNot) {
  Write(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Boot(0);
  consensus::Recovered recovered;
  recovered.entries = {EntryOf(1, 1)};
  Step(0, recovered);
  ExpectNothing();
}

TEST_F(InvariantsTest, TheJournalIsCutBeyondTheEngine) {
  WriteAndSync(0, {EntryOf(1, 1)});
  EXPECT_TRUE(journal(0).Compact(Slot(1), Epoch(1)).ok());
  ExpectFound(Kind::kJournalCutTooFar);
}

TEST_F(InvariantsTest, ASnapshotTakesTheStateBack) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Commit(0, 2);
  Step(0, consensus::SnapshotInstalled{Slot(1), Epoch(1), {}});
  ExpectFound(Kind::kWrongSnapshot);
}

TEST_F(InvariantsTest, ASnapshotOfAStateThatNeverWas) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Commit(0, 2);
  Step(1, consensus::SnapshotInstalled{Slot(1), Epoch(2), {}});
  ExpectFound(Kind::kWrongSnapshot);
}

TEST_F(InvariantsTest, ASnapshotOfWhatIsCommitted) {
  WriteAndSync(0, {EntryOf(1, 1), EntryOf(2, 1)});
  Commit(0, 2);
  Step(1, consensus::SnapshotInstalled{Slot(2), Epoch(1), {}});
  ExpectNothing();
  EXPECT_EQ(ledger_.snapshots(), 1u);
}

TEST_F(InvariantsTest, TwoStatesOfOneSlot) {
  ledger_.StateHash(NodeId(0), Slot(5), 1);
  ledger_.StateHash(NodeId(1), Slot(5), 2);
  ExpectFound(Kind::kStatesDiffer);
}

}  // namespace
}  // namespace cairn::sim
