// What the fault-injecting file system does beyond being a file system.
#include "src/base/testing/fault_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "src/base/clock.h"

namespace cairn {
namespace {

using testing::ElementsAre;

class FaultFileSystemTest : public testing::Test {
 protected:
  FaultFileSystemTest() { EXPECT_TRUE(files_.CreateDirectories("/d").ok()); }

  std::unique_ptr<File> Open(const std::string& path, OpenMode mode = OpenMode::kCreate) {
    Result<std::unique_ptr<File>> file = files_.Open(path, mode);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return file.ok() ? std::move(*file) : nullptr;
  }
  // A file whose name and content are durable.
  std::unique_ptr<File> Durable(const std::string& path, const std::string& content) {
    std::unique_ptr<File> file = Open(path);
    EXPECT_TRUE(file->WriteAt(0, content).ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(files_.SyncDirectory("/d").ok());
    return file;
  }
  std::string Content(const std::string& path) {
    const Result<std::string> content = files_.ReadFile(path);
    return content.ok() ? *content : content.status().ToString();
  }
  std::vector<std::string> Names() { return *files_.List("/d"); }

  FaultFileSystem files_;
};

TEST_F(FaultFileSystemTest, OnlySyncedBytesSurviveTheWorstCrash) {
  const auto file = Durable("/d/a", "synced");
  ASSERT_TRUE(file->WriteAt(0, "SYN").ok());
  ASSERT_TRUE(file->WriteAt(6, " and more").ok());
  EXPECT_EQ(Content("/d/a"), "SYNced and more");
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a"), "synced");
}

TEST_F(FaultFileSystemTest, OnlySyncedNamesSurviveTheWorstCrash) {
  Durable("/d/a", "A");
  Durable("/d/b", "B");
  const auto fresh = Open("/d/fresh");
  ASSERT_TRUE(fresh->Sync().ok());  // its content, not its name
  ASSERT_TRUE(files_.Rename("/d/a", "/d/c").ok());
  ASSERT_TRUE(files_.Remove("/d/b").ok());
  ASSERT_TRUE(files_.Link("/d/c", "/d/e").ok());
  EXPECT_THAT(Names(), ElementsAre("c", "e", "fresh"));
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_EQ(Content("/d/b"), "B");
}

TEST_F(FaultFileSystemTest, SyncDirectoryMakesNamesDurable) {
  Durable("/d/a", "A");
  ASSERT_TRUE(files_.CreateDirectories("/e").ok());
  ASSERT_TRUE(files_.Rename("/d/a", "/e/moved").ok());
  // The rename touched two folders; only one of them was synced.
  ASSERT_TRUE(files_.SyncDirectory("/e").ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(Content("/e/moved"), "A");
  EXPECT_EQ(Content("/d/a"), "A");
}

TEST_F(FaultFileSystemTest, KilledProcessLosesNothingButMakesNothingDurable) {
  const auto file = Durable("/d/a", "one");
  ASSERT_TRUE(file->WriteAt(0, "two").ok());
  Open("/d/b");
  files_.Crash(CrashMode::kKeepUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a"), "two");
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a"), "one");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(FaultFileSystemTest, HandlesAndLocksDieInACrash) {
  const auto file = Durable("/d/a", "A");
  auto lock = files_.Lock("/d/LOCK");
  ASSERT_TRUE(lock.ok());
  files_.Crash(CrashMode::kKeepUnsynced, nullptr);
  std::string out;
  EXPECT_EQ(file->ReadAt(0, 1, &out).code(), StatusCode::kIoError);
  EXPECT_EQ(file->WriteAt(0, "x").code(), StatusCode::kIoError);
  EXPECT_EQ(file->Sync().code(), StatusCode::kIoError);
  EXPECT_EQ(file->Size().status().code(), StatusCode::kIoError);
  const auto again = files_.Lock("/d/LOCK");
  ASSERT_TRUE(again.ok());
  lock = IoError("the old one must not let go of the new one");
  EXPECT_FALSE(files_.Lock("/d/LOCK").ok());
}

// Over many crashes every outcome that the contract allows is seen, and none that it forbids.
TEST_F(FaultFileSystemTest, RandomCrashesTearAndReorder) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    FaultFileSystem files;
    SeededRandom random(seed);
    ASSERT_TRUE(files.WriteFileAtomically("/a", std::string(1024, '0')).ok());
    const auto file = files.Open("/a", OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->WriteAt(0, std::string(1024, '1')).ok());
    ASSERT_TRUE((*file)->WriteAt(0, std::string(1024, '2')).ok());
    files.Crash(&random);
    const std::string content = *files.ReadFile("/a");
    ASSERT_EQ(content.size(), 1024u);
    for (std::size_t i = 0; i < 1024; ++i) ASSERT_EQ(content[i], content[i / 512 * 512]);
    seen.insert({content[0], content[512]});
  }
  EXPECT_THAT(seen, ElementsAre("00", "01", "02", "10", "11", "12", "20", "21", "22"));
}

TEST_F(FaultFileSystemTest, RandomCrashesLeaveAnyOfTheSizesOfAFile) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    FaultFileSystem files;
    SeededRandom random(seed);
    ASSERT_TRUE(files.WriteFileAtomically("/a", "aaaa").ok());
    const auto file = files.Open("/a", OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(2).ok());
    ASSERT_TRUE((*file)->WriteAt(2, "b").ok());
    files.Crash(&random);
    seen.insert(*files.ReadFile("/a"));
  }
  const std::string zero(1, '\0');
  // The cut alone; cut and write; neither; and the sizes without the write's bytes.
  EXPECT_TRUE(seen.contains("aa"));
  EXPECT_TRUE(seen.contains("aab"));
  EXPECT_TRUE(seen.contains("aaaa"));
  for (const std::string& content : seen) {
    EXPECT_TRUE(content.starts_with("aa") && content.size() <= 4) << content;
  }
}

TEST_F(FaultFileSystemTest, RandomCrashesKeepOrLoseEachNameForItself) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    FaultFileSystem files;
    SeededRandom random(seed);
    ASSERT_TRUE(files.WriteFileAtomically("/a", "A").ok());
    ASSERT_TRUE(files.Rename("/a", "/b").ok());
    ASSERT_TRUE(files.Open("/c", OpenMode::kCreate).ok());
    files.Crash(&random);
    std::string names;
    const auto list = files.List("/");
    for (const std::string& name : *list) names += name;
    seen.insert(names);
  }
  EXPECT_THAT(seen, ElementsAre("a", "ac", "b", "bc"));
}

TEST_F(FaultFileSystemTest, TheSameSeedGivesTheSameOutcome) {
  const auto run = [](std::uint64_t seed) {
    FaultFileSystem files;
    SeededRandom random(seed);
    std::string all;
    for (int i = 0; i < 20; ++i) {
      const std::string path = "/" + std::to_string(i);
      const auto file = files.Open(path, OpenMode::kCreate);
      EXPECT_TRUE((*file)->WriteAt(random.Below(3000), std::string(2000, 'x')).ok());
    }
    files.Crash(&random);
    const auto names = files.List("/");
    for (const std::string& name : *names) all += name + "=" + *files.ReadFile("/" + name) + ";";
    return all;
  };
  EXPECT_TRUE(run(1) == run(1));
  EXPECT_FALSE(run(1) == run(2));
}

TEST_F(FaultFileSystemTest, PowerGoesOffAtTheNthOperation) {
  const auto file = Durable("/d/a", "one");
  files_.PowerOffAt(2);
  EXPECT_TRUE(file->WriteAt(0, "two").ok());
  EXPECT_FALSE(files_.PoweredOff());
  EXPECT_EQ(file->Sync().code(), StatusCode::kIoError);  // did not happen
  EXPECT_TRUE(files_.PoweredOff());
  std::string out;
  EXPECT_EQ(file->ReadAt(0, 3, &out).code(), StatusCode::kIoError);
  EXPECT_EQ(files_.Open("/d/a", OpenMode::kRead).status().code(), StatusCode::kIoError);
  EXPECT_EQ(files_.List("/d").status().code(), StatusCode::kIoError);
  EXPECT_EQ(files_.CreateDirectories("/x").code(), StatusCode::kIoError);
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_FALSE(files_.PoweredOff());
  EXPECT_EQ(Content("/d/a"), "one");
}

TEST_F(FaultFileSystemTest, OperationThatLosesPowerMayHaveHappened) {
  const auto file = Durable("/d/a", "one");
  files_.PowerOffAt(1);
  EXPECT_EQ(file->WriteAt(0, "two").code(), StatusCode::kIoError);
  files_.Crash(CrashMode::kKeepUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a"), "two");
}

TEST_F(FaultFileSystemTest, FailNthStrikesOnceAndHasNoEffect) {
  const auto file = Durable("/d/a", "one");
  files_.FailNth(FileOperation::kWrite, 2, ResourceExhaustedError("full"));
  EXPECT_TRUE(file->WriteAt(0, "1").ok());
  EXPECT_EQ(file->WriteAt(0, "2"), ResourceExhaustedError("full"));
  EXPECT_EQ(Content("/d/a"), "1ne");
  EXPECT_TRUE(file->WriteAt(0, "3").ok());
  files_.FailNth(FileOperation::kRename, 1, IoError("no"));
  EXPECT_FALSE(files_.Rename("/d/a", "/d/b").ok());
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(FaultFileSystemTest, FailedSyncDropsTheBytesAndLaterOnesProveNothing) {
  const auto file = Durable("/d/a", std::string(10'000, 'a'));
  ASSERT_TRUE(file->WriteAt(0, "lost").ok());
  files_.FailNth(FileOperation::kSync, 1, IoError("EIO"));
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(Content("/d/a").substr(0, 5), "losta");  // the cache shows it
  ASSERT_TRUE(file->WriteAt(9000, "kept").ok());
  EXPECT_TRUE(file->Sync().ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a").substr(0, 5), "aaaaa");
  EXPECT_EQ(Content("/d/a").substr(9000, 5), "kepta");
}

TEST_F(FaultFileSystemTest, DeadDiskRefusesEverythingUntilItIsSetToWorkAgain) {
  const auto file = Durable("/d/a", "one");
  files_.SetDead(true);
  EXPECT_EQ(file->WriteAt(0, "two").code(), StatusCode::kIoError);
  EXPECT_EQ(file->Sync().code(), StatusCode::kIoError);
  EXPECT_EQ(file->Size().status().code(), StatusCode::kIoError);
  EXPECT_EQ(files_.FreeBytes("/d").status().code(), StatusCode::kIoError);
  EXPECT_EQ(files_.CreateDirectories("/d").code(), StatusCode::kIoError);
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_TRUE(files_.IsDead());
  EXPECT_EQ(files_.Open("/d/a", OpenMode::kRead).status().code(), StatusCode::kIoError);
  EXPECT_EQ(files_.List("/d").status().code(), StatusCode::kIoError);
  EXPECT_GE(files_.Effects().refused_dead, 4u);
  files_.SetDead(false);
  EXPECT_EQ(Content("/d/a"), "one");
}

TEST_F(FaultFileSystemTest, TellsWhatItsFaultsDid) {
  const auto file = Durable("/d/a", "one");
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(files_.Effects().files_lost_bytes, 0u);  // there was nothing to lose
  EXPECT_EQ(files_.Effects().names_lost, 0u);
  const auto again = *files_.Open("/d/a", OpenMode::kReadWrite);
  ASSERT_TRUE(again->WriteAt(0, "two").ok());
  Open("/d/b");
  files_.SetCapacity(files_.UsedBytes());
  EXPECT_FALSE(again->Allocate(1 << 20).ok());
  files_.FailNth(FileOperation::kSync, 1, IoError("EIO"));
  files_.FailNth(FileOperation::kRename, 1, IoError("EIO"));
  EXPECT_FALSE(files_.Rename("/d/a", "/d/c").ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(files_.Effects().files_lost_bytes, 1u);
  EXPECT_EQ(files_.Effects().names_lost, 1u);
  EXPECT_EQ(files_.Effects().refused_full, 1u);
  EXPECT_EQ(files_.Effects().failed_on_demand, 1u);  // not the sync, which nobody asked for
}

TEST_F(FaultFileSystemTest, CapacityCountsBlocks) {
  files_.SetCapacity(3 * 4096);
  const auto a = Open("/d/a");
  EXPECT_TRUE(a->WriteAt(0, "x").ok());
  EXPECT_TRUE(a->WriteAt(4095, "x").ok());
  EXPECT_EQ(files_.UsedBytes(), 4096u);
  EXPECT_EQ(*files_.FreeBytes("/d"), 8192u);
  const auto b = Open("/d/b");
  EXPECT_EQ(b->Allocate(8193).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(*b->Size(), 0u);
  EXPECT_TRUE(b->Allocate(8192).ok());
  EXPECT_EQ(a->WriteAt(4096, "x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(*a->Size(), 4096u);
  EXPECT_TRUE(b->WriteAt(0, std::string(8192, 'x')).ok());  // allocated: no new blocks
  EXPECT_EQ(*files_.FreeBytes("/d"), 0u);
  ASSERT_TRUE(files_.Remove("/d/a").ok());
  EXPECT_EQ(files_.UsedBytes(), 3 * 4096u);  // still open
}

TEST_F(FaultFileSystemTest, RemovedAndTruncatedFilesGiveTheirSpaceBack) {
  files_.SetCapacity(4 * 4096);
  {
    const auto a = Open("/d/a");
    ASSERT_TRUE(a->Allocate(3 * 4096).ok());
    ASSERT_TRUE(files_.Remove("/d/a").ok());
    EXPECT_EQ(files_.UsedBytes(), 3 * 4096u);
  }
  EXPECT_EQ(files_.UsedBytes(), 0u);
  const auto b = Open("/d/b");
  ASSERT_TRUE(b->Allocate(4 * 4096).ok());
  ASSERT_TRUE(b->Truncate(1).ok());
  EXPECT_EQ(files_.UsedBytes(), 4096u);
}

TEST_F(FaultFileSystemTest, AllocatedZerosCostNothing) {
  // 16 TiB would not fit if they did.
  const auto file = Open("/d/a");
  ASSERT_TRUE(file->Allocate(std::uint64_t{1} << 44).ok());
  ASSERT_TRUE(file->WriteAt(std::uint64_t{1} << 43, "here").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(files_.SyncDirectory("/d").ok());
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  const auto again = Open("/d/a", OpenMode::kRead);
  EXPECT_EQ(*again->Size(), std::uint64_t{1} << 44);
  std::string out;
  ASSERT_TRUE(again->ReadAt((std::uint64_t{1} << 43) - 1, 6, &out).ok());
  EXPECT_EQ(out, std::string("\0here\0", 6));
}

TEST_F(FaultFileSystemTest, DamageChangesTheStoredByte) {
  Durable("/d/a", "abc");
  files_.Damage("/d/a", 1, 0x20);
  EXPECT_EQ(Content("/d/a"), "aBc");
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  EXPECT_EQ(Content("/d/a"), "aBc");
}

TEST_F(FaultFileSystemTest, CountsOperations) {
  const std::uint64_t before = files_.Operations();
  const auto file = Open("/d/a");
  ASSERT_TRUE(file->WriteAt(0, "x").ok());
  ASSERT_TRUE(file->Sync().ok());
  std::string out;
  ASSERT_TRUE(file->ReadAt(0, 1, &out).ok());
  EXPECT_EQ(files_.Operations(), before + 3);
  EXPECT_EQ(files_.Count(FileOperation::kSync), 1u);
  EXPECT_EQ(files_.Count(FileOperation::kWrite), 1u);
}

}  // namespace
}  // namespace cairn
