// The journal on a full disk: found before anything is written, harmless, and over when there is
// room again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

class JournalSpaceTest : public testing::Test {
 protected:
  JournalSpaceTest() {
    options_.directory = "/journal";
    options_.group = GroupId(1);
    options_.segment_bytes = 4096;
  }

  Status Open() {
    journal_.reset();
    Result<std::unique_ptr<Journal>> opened = Journal::Open(options_, &files_, &random_);
    if (!opened.ok()) return opened.status();
    journal_ = std::move(*opened);
    return Status::Ok();
  }
  Status Append(std::uint64_t slot, std::size_t bytes = 900) {
    Persist batch;
    batch.entries.push_back(MakeEntry(slot, 1, std::string(bytes, 'x')));
    return journal_->Append(batch);
  }
  // Appends until the disk is full and returns the slot that was refused.
  std::uint64_t Fill() {
    for (std::uint64_t slot = 1;; ++slot) {
      const Status appended = Append(slot);
      if (appended.ok()) continue;
      EXPECT_EQ(appended.code(), StatusCode::kResourceExhausted) << appended.ToString();
      return slot;
    }
  }
  std::uint64_t LastSlot() const { return journal_->Contents().last_slot->value(); }

  FaultFileSystem files_;
  SeededRandom random_{1};
  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalSpaceTest, NoRoomForTheFirstSegment) {
  files_.SetCapacity(4095);
  EXPECT_EQ(Open().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(files_.UsedBytes(), 0u);
  files_.SetCapacity(4096);  // room for one, not for a spare one
  EXPECT_TRUE(Open().ok());
  EXPECT_TRUE(Append(1).ok());
}

TEST_F(JournalSpaceTest, FullDiskIsFoundBeforeAnythingIsWritten) {
  files_.SetCapacity(20480);
  ASSERT_TRUE(Open().ok());
  const std::uint64_t refused = Fill();
  EXPECT_GT(refused, 15u);
  const std::uint64_t writes = files_.Count(FileOperation::kWrite);
  EXPECT_EQ(Append(refused).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(journal_->Reserve(900).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(files_.Count(FileOperation::kWrite), writes);
  EXPECT_EQ(LastSlot(), refused - 1);
  // What is there can be synced and read, and a batch that fits is taken.
  EXPECT_TRUE(journal_->Sync().ok());
  EXPECT_TRUE(Observe(*journal_).ok());
  EXPECT_TRUE(Append(refused, 1).ok());
  EXPECT_TRUE(journal_->Reserve(1).ok());

  files_.SetCapacity(std::nullopt);
  EXPECT_TRUE(journal_->Reserve(900).ok());
  EXPECT_TRUE(Append(refused + 1).ok());
  EXPECT_TRUE(journal_->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(LastSlot(), refused + 1);
}

TEST_F(JournalSpaceTest, CompactionMakesRoomOnAFullDisk) {
  files_.SetCapacity(20480);
  ASSERT_TRUE(Open().ok());
  const std::uint64_t refused = Fill();
  // Not a byte is left but what the segment keeps for marks.
  for (std::uint64_t bytes = 512; bytes > 0; bytes /= 2) {
    while (Append(refused, bytes).ok()) {
    }
  }
  while (Append(refused, 0).ok()) {
  }
  ASSERT_TRUE(journal_->Compact(Slot(refused - 4), Epoch(1)).ok());
  EXPECT_TRUE(Append(refused + 1).ok());
  ASSERT_TRUE(journal_->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(refused - 4));
  EXPECT_EQ(LastSlot(), refused + 1);
}

// Each flush asks for a mark: on a full disk those that free no segment leave the room alone that
// the one which does will need.
TEST_F(JournalSpaceTest, MarksThatFreeNothingAreRefusedOnAFullDisk) {
  files_.SetCapacity(20480);
  ASSERT_TRUE(Open().ok());
  const std::uint64_t refused = Fill();
  for (std::uint64_t bytes = 512; bytes > 0; bytes /= 2) {
    while (Append(refused, bytes).ok()) {
    }
  }
  while (Append(refused, 0).ok()) {
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(journal_->Compact(Slot(1), Epoch(1)).code(), StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot());
  EXPECT_EQ(journal_->Contents().first_slot, Slot(1));
  ASSERT_TRUE(journal_->Compact(Slot(refused - 4), Epoch(1)).ok());
  EXPECT_TRUE(Append(refused + 1).ok());
  ASSERT_TRUE(journal_->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(refused - 4));
}

TEST_F(JournalSpaceTest, ReserveAllocatesAheadForALargeBatch) {
  ASSERT_TRUE(Open().ok());
  Persist batch;
  batch.entries.push_back(MakeEntry(1, 1, std::string(50'000, 'x')));
  ASSERT_TRUE(journal_->Reserve(JournalBytes(batch)).ok());
  files_.SetCapacity(files_.UsedBytes());
  EXPECT_TRUE(journal_->Append(batch).ok());
  EXPECT_TRUE(journal_->Sync().ok());
}

TEST_F(JournalSpaceTest, ResetWithoutRoomChangesNothing) {
  options_.spare_segments = 0;
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1).ok());
  files_.SetCapacity(files_.UsedBytes());
  EXPECT_EQ(journal_->ResetTo(Slot(9), Epoch(1)).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(LastSlot(), 1u);
  EXPECT_TRUE(Append(2, 10).ok());
  files_.SetCapacity(std::nullopt);
  EXPECT_TRUE(journal_->ResetTo(Slot(9), Epoch(1)).ok());
  EXPECT_FALSE(journal_->Contents().first_slot.has_value());
}

// Each allocation of a history fails once; the same history, taken up again, ends the same.
TEST_F(JournalSpaceTest, EveryAllocationMayFail) {
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE("allocation " + std::to_string(nth));
    journal_.reset();
    FaultFileSystem fresh;
    fresh.FailNth(FileOperation::kAllocate, nth, ResourceExhaustedError("No space left on device"));
    Result<std::unique_ptr<Journal>> opened = Journal::Open(options_, &fresh, &random_);
    if (!opened.ok()) {
      ASSERT_EQ(opened.status().code(), StatusCode::kResourceExhausted);
      ++failures;
      opened = Journal::Open(options_, &fresh, &random_);
      ASSERT_TRUE(opened.ok());
    }
    Journal& journal = **opened;
    for (std::uint64_t slot = 1; slot <= 40; ++slot) {
      Persist batch;
      batch.entries.push_back(MakeEntry(slot, 1, std::string(slot % 9 == 0 ? 5000 : 700, 'x')));
      Status appended = journal.Append(batch);
      if (!appended.ok()) {
        ASSERT_EQ(appended.code(), StatusCode::kResourceExhausted) << appended.ToString();
        ++failures;
        ASSERT_EQ(journal.Contents().last_slot.value_or(Slot(0)), Slot(slot - 1));
        ASSERT_TRUE(journal.Append(batch).ok());
      }
      if (slot % 3 == 0) {
        ASSERT_TRUE(journal.Sync().ok());
      }
      if (slot % 12 == 0) {
        ASSERT_TRUE(journal.Compact(Slot(slot - 4), Epoch(1)).ok());
      }
    }
    ASSERT_TRUE(journal.Sync().ok());
    const Result<TwinState> before = Observe(journal);
    ASSERT_TRUE(before.ok());
    ASSERT_EQ(before->entries.size(), 8u);
    const bool all_seen = fresh.Count(FileOperation::kAllocate) < nth;
    fresh.Crash(CrashMode::kDropUnsynced, nullptr);
    opened = Journal::Open(options_, &fresh, &random_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    EXPECT_TRUE(*Observe(**opened) == *before);
    if (all_seen) break;
  }
  EXPECT_GT(failures, 3u);
}

// A file system that copies on write may be full in spite of the allocation. Part of the batch may
// be on the disk then; it must not come back behind a later batch.
TEST_F(JournalSpaceTest, WriteThatFindsNoRoomLeavesNoTrace) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, 10).ok());
  ASSERT_TRUE(journal_->Sync().ok());
  files_.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("No space left on device"));
  EXPECT_EQ(Append(2, 10).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(LastSlot(), 1u);
  ASSERT_TRUE(Append(2, 20).ok());
  ASSERT_TRUE(files_.Exists("/journal/0000000000000002.seg"));
  ASSERT_TRUE(journal_->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(journal_->ReadEntries(Slot(2), Slot(2), 1)->front().payload->size(), 20u);
}

// The same for a mark: nothing is forgotten, and a lower one may follow.
TEST_F(JournalSpaceTest, AMarkThatFindsNoRoomChangesNothing) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t slot = 1; slot <= 12; ++slot) ASSERT_TRUE(Append(slot, 10).ok());
  ASSERT_TRUE(journal_->Sync().ok());
  files_.FailNth(FileOperation::kWrite, 1, ResourceExhaustedError("No space left on device"));
  EXPECT_EQ(journal_->Compact(Slot(10), Epoch(1)).code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(journal_->EpochAt(Slot(9)).has_value());
  EXPECT_EQ(journal_->ReadEntries(Slot(9), Slot(9), 1)->size(), 1u);
  ASSERT_TRUE(journal_->Compact(Slot(8), *journal_->EpochAt(Slot(8))).ok());
  EXPECT_EQ(journal_->EpochAt(Slot(7)), std::nullopt);
  ASSERT_TRUE(journal_->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(journal_->Contents().compacted_slot, Slot(8));
  EXPECT_EQ(journal_->ReadEntries(Slot(9), Slot(12), 1 << 20)->size(), 4u);
}

}  // namespace
}  // namespace cairn::consensus::journal
