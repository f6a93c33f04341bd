// The data folder: made once, read back, locked, and refused when files are damaged or missing.
#include "src/data_folder/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

namespace cairn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DataFolderTest : public ::testing::Test {
 protected:
  DataFolderTest() {
    std::string name = ::testing::TempDir() + "/data_folder_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    path_ = root_ + "/a/b";
  }
  ~DataFolderTest() override { std::filesystem::remove_all(root_); }

  Result<std::unique_ptr<DataFolder>> Open(GroupId group = GroupId()) {
    return DataFolder::Open(path_, group, PosixFileSystem(), &random_);
  }
  std::string Refusal() {
    const auto folder = Open();
    EXPECT_FALSE(folder.ok());
    return folder.status().ToString();
  }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(PosixFileSystem()->CreateDirectories(DirectoryOf(path_ + name)).ok());
    ASSERT_TRUE(PosixFileSystem()->WriteFileAtomically(path_ + name, text).ok());
  }

  SeededRandom random_{7};
  std::string root_;
  std::string path_;
};

TEST_F(DataFolderTest, KeepsItsIncarnation) {
  Identity first;
  {
    auto folder = Open();
    ASSERT_TRUE(folder.ok()) << folder.status().ToString();
    EXPECT_TRUE((*folder)->created());
    first = (*folder)->identity();
    EXPECT_NE(first.incarnation.value(), 0U);
  }
  auto again = Open();
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_FALSE((*again)->created());
  EXPECT_EQ((*again)->identity(), first);
}

TEST_F(DataFolderTest, IsLockedWhileOpen) {
  auto folder = Open();
  ASSERT_TRUE(folder.ok());
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("FAILED_PRECONDITION"),
                               HasSubstr("process " + std::to_string(getpid()))));
}

TEST_F(DataFolderTest, RefusesEveryDamageOfTheIdentity) {
  ASSERT_TRUE(Open().ok());
  const std::string good = *PosixFileSystem()->ReadFile(path_ + "/IDENTITY");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    Write("/IDENTITY", bad);
    EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("/IDENTITY' is damaged")));
    Write("/IDENTITY", good.substr(0, i));
    EXPECT_THAT(Refusal(), HasSubstr("CORRUPTION"));
  }
  Write("/IDENTITY", good + "\n");
  EXPECT_THAT(Refusal(), HasSubstr("CORRUPTION"));
  Write("/IDENTITY", good);
  EXPECT_TRUE(Open().ok());
}

TEST_F(DataFolderTest, RefusesDataWithoutIdentity) {
  Write("/db/CURRENT", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no IDENTITY file")));
}

TEST_F(DataFolderTest, RefusesADatabaseWithoutItsJournal) {
  ASSERT_TRUE(Open().ok());
  Write("/db/CURRENT", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no journal")));
  Write("/journal/1.free", "x");  // a spare one, which holds nothing
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no journal")));
  Write("/journal/1.seg", "x");
  EXPECT_TRUE(Open().ok());
}

// It would vote with an empty log.
TEST_F(DataFolderTest, RefusesAMemberWithoutItsJournal) {
  Write("/FORMATION", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no IDENTITY file")));
  ASSERT_TRUE(PosixFileSystem()->Remove(path_ + "/FORMATION").ok());
  ASSERT_TRUE(Open().ok());
  Write("/FORMATION", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("IDENTITY and FORMATION too")));
  Write("/journal/1.seg", "x");
  EXPECT_TRUE(Open().ok());
}

TEST_F(DataFolderTest, ADatabaseThatCameByASnapshotCountsToo) {
  Write("/DATABASE", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no IDENTITY file")));
  ASSERT_TRUE(PosixFileSystem()->Remove(path_ + "/DATABASE").ok());
  ASSERT_TRUE(Open().ok());
  Write("/DATABASE", "x");
  Write("/db.5.1/CURRENT", "x");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("CORRUPTION"), HasSubstr("no journal")));
}

TEST_F(DataFolderTest, RefusesAForeignDatabaseAndAnotherGroup) {
  Write("/CURRENT", "x");
  EXPECT_THAT(Refusal(), HasSubstr("another program"));
  ASSERT_TRUE(PosixFileSystem()->Remove(path_ + "/CURRENT").ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(Open(GroupId(3)).status().message(), HasSubstr("holds group 0, not group 3"));
}

TEST_F(DataFolderTest, UnrelatedFilesDoNotMatter) {
  Write("/lost+found/x", "x");
  EXPECT_TRUE(Open().ok());
}

TEST(IdentityTest, SaysThatAFormatIsUnknown) {
  EXPECT_THAT(Identity::Decode("cairn identity 2\n").status().message(),
              HasSubstr("this version does not know"));
}

}  // namespace
}  // namespace cairn
