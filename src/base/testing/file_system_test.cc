// The contract of src/base/file.h over the machine's files and over the fault-injecting twin.
#include "src/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "src/base/testing/fault_file_system.h"

namespace cairn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

enum class Which { kPosix, kFault };

class FileSystemTest : public testing::TestWithParam<Which> {
 protected:
  void SetUp() override {
    if (GetParam() == Which::kFault) {
      files_ = &fault_;
      root_ = "/root";
      ASSERT_TRUE(files_->CreateDirectories(root_).ok());
      return;
    }
    files_ = PosixFileSystem();
    root_ = testing::TempDir() + "file_system_test.XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
  }
  void TearDown() override {
    if (GetParam() == Which::kPosix) std::filesystem::remove_all(root_);
  }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  std::unique_ptr<File> Make(const std::string& name, const std::string& content) {
    Result<std::unique_ptr<File>> file = files_->Open(Path(name), OpenMode::kCreateOrReplace);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_TRUE((*file)->WriteAt(0, content).ok());
    return std::move(*file);
  }
  StatusCode OpenCode(const std::string& name, OpenMode mode) {
    return files_->Open(Path(name), mode).status().code();
  }
  std::string Content(const std::string& name) {
    const Result<std::string> content = files_->ReadFile(Path(name));
    return content.ok() ? *content : content.status().ToString();
  }
  std::vector<std::string> Names(const std::string& name) {
    const Result<std::vector<std::string>> names = files_->List(Path(name));
    EXPECT_TRUE(names.ok()) << names.status().ToString();
    return names.ok() ? *names : std::vector<std::string>();
  }

  FaultFileSystem fault_;
  FileSystem* files_ = nullptr;
  std::string root_;
};

TEST_P(FileSystemTest, OpenModes) {
  EXPECT_EQ(OpenCode("a", OpenMode::kRead), StatusCode::kNotFound);
  EXPECT_EQ(OpenCode("a", OpenMode::kReadWrite), StatusCode::kNotFound);
  EXPECT_EQ(OpenCode("no/a", OpenMode::kCreate), StatusCode::kNotFound);
  EXPECT_EQ(OpenCode("a", OpenMode::kCreate), StatusCode::kOk);
  EXPECT_EQ(OpenCode("a", OpenMode::kCreate), StatusCode::kAlreadyExists);
  ASSERT_TRUE((*files_->Open(Path("a"), OpenMode::kReadWrite))->WriteAt(0, "text").ok());
  EXPECT_EQ(Content("a"), "text");
  EXPECT_EQ(OpenCode("a", OpenMode::kCreateOrReplace), StatusCode::kOk);
  EXPECT_EQ(Content("a"), "");
  const auto read_only = files_->Open(Path("a"), OpenMode::kRead);
  EXPECT_EQ((*read_only)->WriteAt(0, "x").code(), StatusCode::kIoError);
}

TEST_P(FileSystemTest, ErrorsNameTheCallThePathAndTheReason) {
  const Status status = files_->Open(Path("absent"), OpenMode::kRead).status();
  EXPECT_THAT(status.message(), HasSubstr("open of '" + Path("absent") + "' failed: "));
  EXPECT_THAT(status.message(), HasSubstr("No such file or directory"));
}

TEST_P(FileSystemTest, ReadsAndWritesAnywhere) {
  const auto file = Make("a", "hello");
  EXPECT_TRUE(file->WriteAt(10'000, "far").ok());
  EXPECT_TRUE(file->WriteAt(1, "E").ok());
  EXPECT_EQ(*file->Size(), 10'003u);
  std::string out = "replaced";
  EXPECT_TRUE(file->ReadAt(0, 5, &out).ok());
  EXPECT_EQ(out, "hEllo");
  EXPECT_TRUE(file->ReadAt(9'998, 100, &out).ok());
  EXPECT_EQ(out, std::string("\0\0far", 5));
  EXPECT_TRUE(file->ReadAt(10'003, 10, &out).ok());
  EXPECT_EQ(out, "");
  EXPECT_TRUE(file->ReadAt(99'999, 10, &out).ok());
  EXPECT_EQ(out, "");
  EXPECT_TRUE(file->Sync().ok());
}

TEST_P(FileSystemTest, LargeWritesComeBack) {
  std::string data(3'000'000, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + (i >> 12));
  const auto file = Make("a", "");
  ASSERT_TRUE(file->WriteAt(777, data).ok());
  std::string out;
  ASSERT_TRUE(file->ReadAt(777, data.size(), &out).ok());
  EXPECT_TRUE(out == data);
}

TEST_P(FileSystemTest, AllocateKeepsContentAndAddsZeros) {
  const auto file = Make("a", "hello");
  ASSERT_TRUE(file->Allocate(10'000).ok());
  EXPECT_EQ(*file->Size(), 10'000u);
  EXPECT_EQ(Content("a"), "hello" + std::string(9'995, '\0'));
  ASSERT_TRUE(file->Allocate(10).ok());
  EXPECT_EQ(*file->Size(), 10'000u);
}

TEST_P(FileSystemTest, TruncateCutsForGood) {
  const auto file = Make("a", std::string(9000, 'x'));
  ASSERT_TRUE(file->Truncate(5).ok());
  EXPECT_EQ(Content("a"), "xxxxx");
  ASSERT_TRUE(file->Truncate(9000).ok());
  EXPECT_EQ(Content("a"), "xxxxx" + std::string(8995, '\0'));
}

TEST_P(FileSystemTest, FoldersAreMadeListedAndRemoved) {
  EXPECT_FALSE(files_->Exists(Path("x")));
  ASSERT_TRUE(files_->CreateDirectories(Path("x/y/z")).ok());
  ASSERT_TRUE(files_->CreateDirectories(Path("x/y/z")).ok());
  EXPECT_TRUE(files_->IsDirectory(Path("x/y")));
  Make("x/b", "");
  Make("x/a", "");
  EXPECT_TRUE(files_->Exists(Path("x/a")));
  EXPECT_FALSE(files_->IsDirectory(Path("x/a")));
  EXPECT_THAT(Names("x"), ElementsAre("a", "b", "y"));
  EXPECT_THAT(Names("x/y/z"), IsEmpty());
  EXPECT_EQ(files_->List(Path("q")).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(files_->CreateDirectories(Path("x/a/c")).ok());
  EXPECT_FALSE(files_->CreateDirectories(Path("x/a")).ok());
  EXPECT_FALSE(files_->RemoveDirectory(Path("x")).ok());
  EXPECT_FALSE(files_->Remove(Path("x")).ok());
  EXPECT_TRUE(files_->RemoveDirectory(Path("x/y/z")).ok());
  EXPECT_TRUE(files_->Remove(Path("x/a")).ok());
  EXPECT_EQ(files_->Remove(Path("x/a")).code(), StatusCode::kNotFound);
  EXPECT_THAT(Names("x"), ElementsAre("b", "y"));
  EXPECT_TRUE(files_->SyncDirectory(Path("x")).ok());
  EXPECT_EQ(files_->SyncDirectory(Path("q")).code(), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, RenameReplacesAndOpenFilesLiveOn) {
  const auto a = Make("a", "A");
  const auto b = Make("b", "B");
  ASSERT_TRUE(files_->Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(Content("b"), "A");
  EXPECT_FALSE(files_->Exists(Path("a")));
  std::string out;
  EXPECT_TRUE(b->ReadAt(0, 10, &out).ok());
  EXPECT_EQ(out, "B");
  EXPECT_TRUE(a->WriteAt(1, "+").ok());
  EXPECT_EQ(Content("b"), "A+");
  EXPECT_EQ(files_->Rename(Path("q"), Path("b")).code(), StatusCode::kNotFound);
  ASSERT_TRUE(files_->Remove(Path("b")).ok());
  EXPECT_TRUE(a->ReadAt(0, 10, &out).ok());
  EXPECT_EQ(out, "A+");
}

TEST_P(FileSystemTest, RenameMovesFolders) {
  ASSERT_TRUE(files_->CreateDirectories(Path("from/inner")).ok());
  Make("from/inner/a", "A");
  ASSERT_TRUE(files_->Rename(Path("from"), Path("to")).ok());
  EXPECT_EQ(Content("to/inner/a"), "A");
  EXPECT_FALSE(files_->Exists(Path("from")));
}

TEST_P(FileSystemTest, LinksShareContent) {
  const auto a = Make("a", "A");
  ASSERT_TRUE(files_->Link(Path("a"), Path("b")).ok());
  ASSERT_TRUE(a->WriteAt(0, "X").ok());
  EXPECT_EQ(Content("b"), "X");
  EXPECT_EQ(files_->Link(Path("a"), Path("b")).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(files_->Link(Path("q"), Path("c")).code(), StatusCode::kNotFound);
  ASSERT_TRUE(files_->Remove(Path("a")).ok());
  EXPECT_EQ(Content("b"), "X");
}

TEST_P(FileSystemTest, WriteFileAtomicallyReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(files_->WriteFileAtomically(Path("a"), "one").ok());
  ASSERT_TRUE(files_->WriteFileAtomically(Path("a"), "second").ok());
  EXPECT_EQ(Content("a"), "second");
  EXPECT_THAT(Names(""), ElementsAre("a"));
  EXPECT_FALSE(files_->WriteFileAtomically(Path("no/a"), "x").ok());
}

TEST_P(FileSystemTest, LockIsExclusiveUntilItIsLetGo) {
  auto held = files_->Lock(Path("LOCK"));
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  const Status refused = files_->Lock(Path("LOCK")).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  const std::string process = GetParam() == Which::kPosix ? std::to_string(getpid()) : "1";
  EXPECT_THAT(refused.message(),
              HasSubstr("'" + Path("LOCK") + "' is in use by process " + process + ";"));
  held = IoError("let go");
  EXPECT_TRUE(files_->Lock(Path("LOCK")).ok());
}

TEST_P(FileSystemTest, FreeBytesAreKnown) {
  EXPECT_GT(*files_->FreeBytes(root_), 1'000'000u);
  EXPECT_EQ(files_->FreeBytes(Path("q")).status().code(), StatusCode::kNotFound);
}

TEST(DirectoryOfTest, IsThePartBeforeTheLastSlash) {
  EXPECT_EQ(DirectoryOf("/a/b/c"), "/a/b");
  EXPECT_EQ(DirectoryOf("a/b"), "a");
  EXPECT_EQ(DirectoryOf("/a"), "/");
  EXPECT_EQ(DirectoryOf("a"), ".");
}

INSTANTIATE_TEST_SUITE_P(Both, FileSystemTest, testing::Values(Which::kPosix, Which::kFault),
                         [](const auto& param) {
                           return param.param == Which::kPosix ? "Posix" : "Fault";
                         });

}  // namespace
}  // namespace cairn
