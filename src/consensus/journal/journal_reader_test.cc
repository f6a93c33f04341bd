// Readers beside the journal thread: what they read stays theirs while they read it.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

// A file system that calls back before each read.
class HookedFiles final : public FileSystem {
 public:
  std::function<void()> before_read = [] {};

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<Hooked>(this, std::move(file)));
  }
  bool Exists(const std::string& path) const override { return files_.Exists(path); }
  bool IsDirectory(const std::string& path) const override { return files_.IsDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& directory) const override {
    return files_.List(directory);
  }
  Status CreateDirectories(const std::string& path) override {
    return files_.CreateDirectories(path);
  }
  Status Remove(const std::string& path) override { return files_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return files_.RemoveDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return files_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return files_.Link(from, to);
  }
  Status SyncDirectory(const std::string& path) override { return files_.SyncDirectory(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }
  Result<std::uint64_t> FreeBytes(const std::string& path) const override {
    return files_.FreeBytes(path);
  }

 private:
  class Hooked final : public File {
   public:
    Hooked(HookedFiles* owner, std::unique_ptr<File> file)
        : owner_(owner), file_(std::move(file)) {}
    Status WriteAt(std::uint64_t offset, std::string_view data) override {
      return file_->WriteAt(offset, data);
    }
    Status ReadAt(std::uint64_t offset, std::size_t size, std::string* out) const override {
      owner_->before_read();
      return file_->ReadAt(offset, size, out);
    }
    Status Sync() override { return file_->Sync(); }
    Status Allocate(std::uint64_t size) override { return file_->Allocate(size); }
    Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
    Result<std::uint64_t> Size() const override { return file_->Size(); }

   private:
    HookedFiles* const owner_;
    const std::unique_ptr<File> file_;
  };

  FaultFileSystem files_;
};

TEST(JournalReaderTest, SegmentThatIsBeingReadIsNotUsedAgain) {
  HookedFiles files;
  SeededRandom random(1);
  JournalOptions options;
  options.directory = "/j";
  options.group = GroupId(1);
  options.segment_bytes = 1024;
  const auto opened = Journal::Open(options, &files, &random);
  ASSERT_TRUE(opened.ok());
  Journal& journal = **opened;
  std::uint64_t last = 0;
  const auto append = [&] {
    Persist batch;
    ++last;
    batch.entries = {MakeEntry(last, 1, std::string(300, static_cast<char>('a' + last % 26)))};
    ASSERT_TRUE(journal.Append(batch).ok());
  };
  for (int i = 0; i < 3; ++i) append();
  // Between looking up where slot 1 lies and reading it, its segment is freed and every file that
  // may be used again is overwritten.
  bool done = false;
  files.before_read = [&] {
    if (std::exchange(done, true)) return;
    for (int i = 0; i < 40; ++i) {
      append();
      ASSERT_TRUE(journal.Compact(Slot(last - 1), Epoch(1)).ok());
    }
  };
  const auto read = journal.ReadEntries(Slot(1), Slot(1), 1000);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE(done);
  EXPECT_EQ(*read->front().payload, std::string(300, 'b'));
  EXPECT_EQ(journal.ReadEntries(Slot(1), Slot(1), 1000).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace cairn::consensus::journal
