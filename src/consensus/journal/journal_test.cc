// The rules of journal.h, one test each. Crashes: journal_crash_test.cc; damage:
// journal_damage_test.cc.
#include "src/consensus/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    options_.directory = "/data/journal";
    options_.group = GroupId(7);
    options_.segment_bytes = 4096;
  }

  void Open() {
    journal_.reset();
    Result<std::unique_ptr<Journal>> opened = Journal::Open(options_, &files_, &random_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    journal_ = std::move(*opened);
  }
  void CrashAndOpen() {
    journal_.reset();
    files_.Crash(CrashMode::kDropUnsynced, nullptr);
    Open();
  }

  static Persist Batch(std::vector<Entry> entries) {
    Persist batch;
    batch.entries = std::move(entries);
    return batch;
  }
  static Persist HardState(std::string text) {
    Persist batch;
    batch.hard_state = std::move(text);
    return batch;
  }
  static Persist Truncate(std::uint64_t from) {
    Persist batch;
    batch.truncate_from = Slot(from);
    return batch;
  }
  void Append(std::uint64_t slot, std::uint64_t epoch, const std::string& payload) {
    const Status appended = journal_->Append(Batch({MakeEntry(slot, epoch, payload)}));
    ASSERT_TRUE(appended.ok()) << appended.ToString();
  }
  void Sync() {
    const Status synced = journal_->Sync();
    ASSERT_TRUE(synced.ok()) << synced.ToString();
  }
  void Compact(std::uint64_t slot, std::uint64_t epoch) {
    const Status compacted = journal_->Compact(Slot(slot), Epoch(epoch));
    ASSERT_TRUE(compacted.ok()) << compacted.ToString();
  }
  // "1@5=a 2@5=b"
  std::string Held() const {
    const Result<TwinState> seen = Observe(*journal_);
    if (!seen.ok()) return seen.status().ToString();
    std::string out;
    for (const auto& [slot, entry] : seen->entries) {
      out += (out.empty() ? "" : " ") + std::to_string(slot) + "@" +
             std::to_string(std::get<0>(entry)) + "=" + std::get<2>(entry).substr(0, 8);
    }
    return out;
  }
  std::vector<std::string> Files(const std::string& suffix) const {
    std::vector<std::string> out;
    const auto names = files_.List(options_.directory);
    for (const std::string& name : *names) {
      if (NumberInFileName(name, suffix).has_value()) out.push_back(name);
    }
    return out;
  }

  FaultFileSystem files_;
  SeededRandom random_{1};
  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, NewJournalIsEmptyAndStaysSo) {
  for (int i = 0; i < 3; ++i) {
    CrashAndOpen();
    const JournalContents contents = journal_->Contents();
    EXPECT_EQ(contents.hard_state, "");
    EXPECT_EQ(contents.compacted_slot, Slot(0));
    EXPECT_FALSE(contents.first_slot.has_value());
    EXPECT_FALSE(contents.last_slot.has_value());
    EXPECT_EQ(contents.torn_bytes, 0u);
    EXPECT_EQ(journal_->EpochAt(Slot(0)), Epoch(0));
    EXPECT_EQ(journal_->EpochAt(Slot(1)), std::nullopt);
    EXPECT_EQ(journal_->ReadEntries(Slot(1), Slot(9), 100).status().code(), StatusCode::kNotFound);
  }
  // Opening again takes no further space.
  EXPECT_THAT(Files(".seg"), ElementsAre("0000000000000001.seg"));
  EXPECT_EQ(Files(".free").size(), 1u);
}

TEST_F(JournalTest, RefusesTinySegments) {
  options_.segment_bytes = 1023;
  const auto opened = Journal::Open(options_, &files_, &random_);
  EXPECT_EQ(opened.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(opened.status().message(), HasSubstr("1023"));
}

TEST_F(JournalTest, SyncedBatchesSurviveACrash) {
  Open();
  Persist batch = Batch({MakeEntry(1, 5, "a"), MakeEntry(2, 5, "", EntryKind::kNoOp),
                         MakeEntry(3, 6, "c", EntryKind::kMembership)});
  batch.hard_state = std::string("\0vote", 5);
  ASSERT_TRUE(journal_->Append(batch).ok());
  Sync();
  Append(4, 6, "lost");
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@5=a 2@5= 3@6=c");
  EXPECT_EQ(journal_->Contents().hard_state, std::string("\0vote", 5));
  const auto entries = journal_->ReadEntries(Slot(1), Slot(3), UINT64_MAX);
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ((*entries)[1].kind, EntryKind::kNoOp);
  EXPECT_EQ((*entries)[2].kind, EntryKind::kMembership);
}

TEST_F(JournalTest, MissingPayloadIsAnEmptyOne) {
  Open();
  Entry entry = MakeEntry(1, 1, "");
  entry.payload = nullptr;
  ASSERT_TRUE(journal_->Append(Batch({entry})).ok());
  EXPECT_EQ(Held(), "1@1=");
}

TEST_F(JournalTest, LatestRecordOfASlotWins) {
  Open();
  Append(3, 1, "a");
  Append(1, 1, "b");
  Append(3, 4, "c");
  Append(7, 2, "d");
  Append(2, 2, "e");
  // A lower epoch, too: the core decides, not the journal.
  Append(3, 3, "f");
  EXPECT_EQ(Held(), "1@1=b 2@2=e 3@3=f 7@2=d");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=b 2@2=e 3@3=f 7@2=d");
  EXPECT_EQ(journal_->EpochAt(Slot(3)), Epoch(3));
  EXPECT_EQ(journal_->EpochAt(Slot(4)), std::nullopt);
}

TEST_F(JournalTest, TruncationComesBeforeTheEntriesOfItsBatch) {
  Open();
  for (std::uint64_t slot = 1; slot <= 5; ++slot) Append(slot, 1, "old");
  Persist batch = Batch({MakeEntry(3, 2, "new")});
  batch.truncate_from = Slot(3);
  ASSERT_TRUE(journal_->Append(batch).ok());
  EXPECT_EQ(Held(), "1@1=old 2@1=old 3@2=new");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=old 2@1=old 3@2=new");
  ASSERT_TRUE(journal_->Append(Truncate(1)).ok());
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "");
}

TEST_F(JournalTest, ReadEntriesIsBoundedBySlotsAndBytes) {
  Open();
  for (const std::uint64_t slot : {1, 2, 3, 5, 6}) Append(slot, 1, std::string(100, 'x'));
  const auto count = [&](std::uint64_t first, std::uint64_t last, std::uint64_t bytes) {
    const auto read = journal_->ReadEntries(Slot(first), Slot(last), bytes);
    return read.ok() ? static_cast<int>(read->size()) : -1;
  };
  EXPECT_EQ(count(1, 6, UINT64_MAX), 5);  // the hole is left out
  EXPECT_EQ(count(2, 3, UINT64_MAX), 2);
  EXPECT_EQ(count(5, UINT64_MAX, UINT64_MAX), 2);
  EXPECT_EQ(count(1, 6, 0), 1);
  EXPECT_EQ(count(1, 6, 250), 2);
  EXPECT_EQ(count(1, 6, 300), 3);
  EXPECT_EQ(count(4, 6, UINT64_MAX), -1);
  EXPECT_EQ(count(7, 9, UINT64_MAX), -1);
  EXPECT_EQ(count(3, 2, UINT64_MAX), -1);
}

TEST_F(JournalTest, SyncIsOneFdatasyncAndNoneIfNothingIsNew) {
  Open();
  const std::uint64_t before = files_.Count(FileOperation::kSync);
  Sync();
  EXPECT_EQ(files_.Count(FileOperation::kSync), before);
  Append(1, 1, "a");
  Append(2, 1, "b");
  Sync();
  EXPECT_EQ(files_.Count(FileOperation::kSync), before + 1);
  Sync();
  ASSERT_TRUE(journal_->Append(Persist{}).ok());
  Sync();
  EXPECT_EQ(files_.Count(FileOperation::kSync), before + 1);
  const JournalFigures figures = journal_->Figures();
  EXPECT_EQ(figures.syncs, 1u);
  EXPECT_EQ(figures.appended_records, 2u);
  EXPECT_EQ(figures.appended_bytes, 2 * EntryBytes(1));
}

TEST_F(JournalTest, BatchIsOneWrite) {
  Open();
  Append(1, 1, "a");  // the first one writes zeros ahead, too
  const std::uint64_t before = files_.Count(FileOperation::kWrite);
  Persist batch = Batch({MakeEntry(1, 1, "a"), MakeEntry(2, 1, "b")});
  batch.truncate_from = Slot(1);
  batch.hard_state = "h";
  ASSERT_TRUE(journal_->Append(batch).ok());
  EXPECT_EQ(files_.Count(FileOperation::kWrite), before + 1);
}

TEST_F(JournalTest, NewBlocksAreWrittenAheadAndUsedOnesAreNot) {
  options_.segment_bytes = 64 << 10;
  options_.prewrite_bytes = 8 << 10;
  options_.spare_segments = 0;
  Open();
  const auto writes_of = [&](std::uint64_t appends) {
    const std::uint64_t before = files_.Count(FileOperation::kWrite);
    for (std::uint64_t i = 1; i <= appends; ++i) Append(i, 1, std::string(1024, 'x'));
    return files_.Count(FileOperation::kWrite) - before;
  };
  EXPECT_EQ(writes_of(50), 50u + 7);  // 7 * (8 KiB + the batch that meets the end of it) > 50 KiB
  ASSERT_TRUE(journal_->ResetTo(Slot(0), Epoch(0)).ok());  // a new file; the old one is kept
  EXPECT_EQ(writes_of(50), 50u + 7);
  ASSERT_TRUE(journal_->ResetTo(Slot(0), Epoch(0)).ok());  // goes to the old one
  EXPECT_EQ(writes_of(50), 50u);
}

TEST_F(JournalTest, FailedSyncIsForGood) {
  Open();
  Append(1, 1, "a");
  Sync();
  Append(2, 1, "b");
  files_.FailNth(FileOperation::kSync, 1, IoError("fdatasync failed: Input/output error"));
  const Status failed = journal_->Sync();
  EXPECT_EQ(failed.code(), StatusCode::kIoError);
  EXPECT_THAT(failed.message(), HasSubstr("Input/output error"));
  EXPECT_EQ(journal_->Sync(), failed);
  EXPECT_EQ(journal_->Append(Batch({MakeEntry(3, 1, "c")})), failed);
  EXPECT_EQ(journal_->Compact(Slot(1), Epoch(1)), failed);
  EXPECT_EQ(journal_->ResetTo(Slot(9), Epoch(1)), failed);
  EXPECT_EQ(journal_->Reserve(1), failed);
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=a");
}

TEST_F(JournalTest, SyncThatFailsForRoomIsForGoodAndNoFullDisk) {
  Open();
  Append(1, 1, "a");
  files_.FailNth(FileOperation::kSync, 1, ResourceExhaustedError("quota"));
  EXPECT_EQ(journal_->Sync().code(), StatusCode::kIoError);
  EXPECT_EQ(journal_->Append(Batch({MakeEntry(2, 1, "b")})).code(), StatusCode::kIoError);
}

TEST_F(JournalTest, FailedWriteIsForGood) {
  Open();
  files_.FailNth(FileOperation::kWrite, 1, IoError("pwrite failed: Input/output error"));
  EXPECT_EQ(journal_->Append(Batch({MakeEntry(1, 1, "a")})).code(), StatusCode::kIoError);
  EXPECT_EQ(journal_->Append(Batch({MakeEntry(1, 1, "a")})).code(), StatusCode::kIoError);
  CrashAndOpen();
  EXPECT_EQ(Held(), "");
}

TEST_F(JournalTest, RollsToPreparedSegments) {
  Open();
  ASSERT_TRUE(journal_->Append(HardState("ballot 9")).ok());
  for (std::uint64_t slot = 1; slot <= 20; ++slot) Append(slot, 1, std::string(900, 'x'));
  EXPECT_GE(Files(".seg").size(), 5u);
  EXPECT_EQ(Files(".free").size(), 1u);
  Sync();
  CrashAndOpen();
  EXPECT_EQ(journal_->Contents().last_slot, Slot(20));
  EXPECT_EQ(journal_->Contents().hard_state, "ballot 9");
  EXPECT_TRUE(Observe(*journal_).ok());
}

TEST_F(JournalTest, RollMakesTheFormerSegmentDurable) {
  Open();
  Append(1, 1, std::string(3000, 'x'));
  Append(2, 1, std::string(3000, 'y'));  // goes to the next segment
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=xxxxxxxx");
}

TEST_F(JournalTest, LargeBatchGetsALargeFileThatIsNotKept) {
  Open();
  Append(1, 1, std::string(100'000, 'x'));
  Append(2, 1, "b");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=xxxxxxxx 2@1=b");
  EXPECT_GT(journal_->Figures().bytes_on_disk, 100'000u);
  Append(3, 1, std::string(3900, 'z'));
  Compact(2, 1);
  EXPECT_LT(journal_->Figures().bytes_on_disk, 20'000u);
  EXPECT_EQ(Held(), "3@1=zzzzzzzz");
}

TEST_F(JournalTest, CompactForgetsAndFrees) {
  Open();
  ASSERT_TRUE(journal_->Append(HardState("vote")).ok());
  for (std::uint64_t slot = 1; slot <= 12; ++slot) Append(slot, 1, std::string(900, 'x'));
  const std::size_t before = Files(".seg").size();
  Compact(10, 1);
  EXPECT_LT(Files(".seg").size(), before);
  EXPECT_EQ(Held(), "11@1=xxxxxxxx 12@1=xxxxxxxx");
  EXPECT_EQ(journal_->EpochAt(Slot(10)), Epoch(1));
  EXPECT_EQ(journal_->EpochAt(Slot(9)), std::nullopt);
  EXPECT_EQ(journal_->ReadEntries(Slot(10), Slot(12), 1).status().code(), StatusCode::kNotFound);
  // It had to be durable before anything was freed. The crash may bring freed segments back.
  const std::size_t after = Files(".seg").size();
  CrashAndOpen();
  EXPECT_EQ(Files(".seg").size(), after);
  EXPECT_EQ(Held(), "11@1=xxxxxxxx 12@1=xxxxxxxx");
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(10));
  EXPECT_EQ(journal_->Contents().compacted_epoch, Epoch(1));
  EXPECT_EQ(journal_->Contents().hard_state, "vote");
}

TEST_F(JournalTest, CompactNeverGoesBack) {
  Open();
  Compact(10, 3);
  Compact(4, 1);
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(10));
  // What is below the mark is not held, whenever it is written.
  Append(9, 4, "late");
  Append(11, 4, "new");
  EXPECT_EQ(Held(), "11@4=new");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "11@4=new");
  EXPECT_EQ(journal_->EpochAt(Slot(10)), Epoch(3));
}

TEST_F(JournalTest, SegmentsGoFromTheOldestOn) {
  Open();
  Append(100, 1, "straggler");  // out of order, in the oldest segment
  for (std::uint64_t slot = 1; slot <= 12; ++slot) Append(slot, 1, std::string(900, 'x'));
  const std::size_t before = Files(".seg").size();
  Compact(12, 1);
  EXPECT_EQ(Files(".seg").size(), before);
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "100@1=straggle");
  Append(100, 2, "again");  // supersedes the record that held everything back
  Compact(13, 2);
  EXPECT_EQ(Files(".seg").size(), 1u);
  CrashAndOpen();
  EXPECT_EQ(Held(), "100@2=again");
}

TEST_F(JournalTest, FreedSegmentsAreUsedAgain) {
  Open();
  const auto fill = [&](std::uint64_t first) {
    for (std::uint64_t slot = first; slot < first + 8; ++slot) {
      Append(slot, 1, std::string(1200, 'x'));
      Sync();
      if (slot % 2 == 0) Compact(slot - 1, 1);
    }
  };
  fill(1);
  const std::uint64_t allocated = files_.Count(FileOperation::kAllocate);
  const std::uint64_t bytes = journal_->Figures().bytes_on_disk;
  fill(9);
  fill(17);
  EXPECT_EQ(files_.Count(FileOperation::kAllocate), allocated);
  EXPECT_EQ(journal_->Figures().bytes_on_disk, bytes);
  EXPECT_EQ(files_.UsedBytes(), bytes);
  CrashAndOpen();
  EXPECT_EQ(Held(), "24@1=xxxxxxxx");
}

TEST_F(JournalTest, RecycledSegmentShowsNothingOfItsFormerUse) {
  // The same salt, as if the random source were broken: the journal offset alone must tell.
  class SameRandom final : public Random {
   public:
    std::uint64_t Next() override { return 42; }
  } same;
  Result<std::unique_ptr<Journal>> opened = Journal::Open(options_, &files_, &same);
  ASSERT_TRUE(opened.ok());
  journal_ = std::move(*opened);
  for (std::uint64_t slot = 1; slot <= 30; ++slot) {
    Append(slot, 1, std::string(600, 'x'));
    Sync();
    Compact(slot - 1, 1);
  }
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "30@1=xxxxxxxx");
  EXPECT_EQ(journal_->Contents().torn_bytes, 0u);
}

TEST_F(JournalTest, ResetStartsAtASnapshot) {
  Open();
  ASSERT_TRUE(journal_->Append(HardState("vote")).ok());
  for (std::uint64_t slot = 1; slot <= 12; ++slot) Append(slot, 1, std::string(900, 'x'));
  ASSERT_TRUE(journal_->ResetTo(Slot(500), Epoch(8)).ok());
  EXPECT_EQ(Held(), "");
  EXPECT_EQ(Files(".seg").size(), 1u);
  CrashAndOpen();  // durable without a Sync
  EXPECT_EQ(Held(), "");
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(500));
  EXPECT_EQ(journal_->EpochAt(Slot(500)), Epoch(8));
  EXPECT_EQ(journal_->Contents().hard_state, "vote");
  Append(501, 8, "next");
  Sync();
  // Backwards, too: the owner knows why.
  ASSERT_TRUE(journal_->ResetTo(Slot(3), Epoch(1)).ok());
  Append(4, 1, "four");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "4@1=four");
}

TEST_F(JournalTest, TornTailIsCutAndReported) {
  Open();
  Append(1, 1, "a");
  Sync();
  Append(2, 1, "b");
  Append(3, 1, "c");
  journal_.reset();
  files_.Crash(CrashMode::kKeepUnsynced, nullptr);
  // The record of slot 2 did not make it to the disk, the one behind it did.
  const std::uint64_t second = kSegmentHeaderBytes + SegmentStateBytes(0) + EntryBytes(1);
  files_.Damage("/data/journal/0000000000000001.seg", second + 40, 0xFF);
  Open();
  EXPECT_EQ(Held(), "1@1=a");
  EXPECT_EQ(journal_->Contents().torn_bytes, kRecordHeaderBytes + 18 + EntryBytes(1));
  // A record of the same length must not make the old one behind it readable again.
  Append(2, 2, "B");
  Sync();
  CrashAndOpen();
  EXPECT_EQ(Held(), "1@1=a 2@2=B");
  EXPECT_EQ(journal_->Contents().torn_bytes, 0u);
}

TEST_F(JournalTest, ReadersMayWorkBesideTheJournalThread) {
  options_.segment_bytes = 8192;
  Open();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> wrong{0};
  const auto read = [&] {
    while (!done.load()) {
      const JournalContents contents = journal_->Contents();
      static_cast<void>(journal_->Figures());
      if (!contents.first_slot.has_value()) continue;
      const auto entries = journal_->ReadEntries(*contents.first_slot, *contents.last_slot, 5000);
      // The first slot may have been compacted in between.
      if (!entries.ok() && entries.status().code() != StatusCode::kNotFound) ++wrong;
      if (!entries.ok()) continue;
      for (const Entry& entry : *entries) {
        if (*entry.payload != std::string(entry.slot.value() % 700, 'p')) ++wrong;
      }
      ++reads;
    }
  };
  std::thread first(read);
  std::thread second(read);
  for (std::uint64_t slot = 1; slot <= 3000 || reads.load() < 200; ++slot) {
    Append(slot, 1, std::string(slot % 700, 'p'));
    if (slot % 3 == 0) Sync();
    if (slot % 20 == 0) Compact(slot - 15, 1);
  }
  done = true;
  first.join();
  second.join();
  EXPECT_EQ(wrong.load(), 0u);
}

}  // namespace
}  // namespace cairn::consensus::journal
