#include "src/storage/rocksdb/env_adapter.h"

#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage::rocks {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Reads into `scratch`, which has room for `size` bytes.
IOStatus ReadInto(const File& file, std::uint64_t offset, std::size_t size, char* scratch,
                  Slice* result) {
  std::string bytes;
  const Status status = file.ReadAt(offset, size, &bytes);
  if (!status.ok()) return ToRocks(status);
  std::memcpy(scratch, bytes.data(), bytes.size());
  *result = Slice(scratch, bytes.size());
  return IOStatus::OK();
}

bool IsManifest(const std::string& path) { return path.find("/MANIFEST-") != std::string::npos; }

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const IOStatus status = ReadInto(*file_, offset_, n, scratch, result);
    if (status.ok()) offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadInto(*file_, offset, n, scratch, result);
  }

 private:
  const std::unique_ptr<File> file_;
};

// RocksDB counts on what ext4, XFS and btrfs do beyond POSIX: the fsync of a new file makes its
// name durable, too. (It renames CURRENT to point at a manifest whose folder it has not synced.)
class WritableFile final : public rocksdb::FSWritableFile {
 public:
  // `unsynced_folder` of a new file; empty for one that was there.
  WritableFile(std::unique_ptr<File> file, std::uint64_t size, FileSystem* files,
               std::string unsynced_folder, bool reserves)
      : file_(std::move(file)),
        size_(size),
        files_(files),
        unsynced_folder_(std::move(unsynced_folder)),
        reserves_(reserves) {}
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const Status status = file_->WriteAt(size_, ToView(data));
    if (status.ok()) size_ += data.size();
    return ToRocks(status);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* context) override {
    return Append(data, options, context);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const Status status = file_->Truncate(size);
    if (status.ok()) size_ = size;
    return ToRocks(status);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    Status status;
    if (file_ != nullptr && allocated_ > size_) status = file_->Truncate(size_);
    file_ = nullptr;
    return ToRocks(status);
  }
  // RocksDB reserves room for its manifest ahead, so that a full disk is not met there first. Zeros
  // at its end are taken for such room when it is read.
  IOStatus Allocate(uint64_t offset, uint64_t size, const IOOptions&, IODebugContext*) override {
    if (!reserves_) return IOStatus::OK();
    const Status status = file_->Allocate(offset + size);
    if (status.ok()) allocated_ = std::max(allocated_, offset + size);
    return ToRocks(status);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    Status status = file_->Sync();
    if (status.ok() && !unsynced_folder_.empty()) {
      status = files_->SyncDirectory(unsynced_folder_);
      if (status.ok()) unsynced_folder_.clear();
    }
    return ToRocks(status);
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  std::unique_ptr<File> file_;
  std::uint64_t size_;
  std::uint64_t allocated_ = 0;
  FileSystem* const files_;
  std::string unsynced_folder_;
  const bool reserves_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FileSystem* files, std::string path) : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ToRocks(files_->SyncDirectory(path_));
  }

 private:
  FileSystem* const files_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::unique_ptr<cairn::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<cairn::FileLock> lock_;
};

class SeamFileSystem final : public rocksdb::FileSystem {
 public:
  explicit SeamFileSystem(cairn::FileSystem* files) : files_(files) {}
  [[nodiscard]] const char* Name() const override { return "cairn.SeamFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    auto file = files_->Open(path, OpenMode::kRead);
    if (!file.ok()) return ToRocks(file.status());
    *result = std::make_unique<SequentialFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = files_->Open(path, OpenMode::kRead);
    if (!file.ok()) return ToRocks(file.status());
    *result = std::make_unique<RandomAccessFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    auto file = files_->Open(path, OpenMode::kCreateOrReplace);
    if (!file.ok()) return ToRocks(file.status());
    *result = std::make_unique<WritableFile>(*std::move(file), 0, files_, DirectoryOf(path),
                                             IsManifest(path));
    return IOStatus::OK();
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext* context) override {
    if (!files_->Exists(path)) return NewWritableFile(path, options, result, context);
    auto file = files_->Open(path, OpenMode::kReadWrite);
    if (!file.ok()) return ToRocks(file.status());
    const auto size = file.value()->Size();
    if (!size.ok()) return ToRocks(size.status());
    *result = std::make_unique<WritableFile>(*std::move(file), size.value(), files_, "",
                                             IsManifest(path));
    return IOStatus::OK();
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    if (!files_->IsDirectory(path)) return IOStatus::PathNotFound(path);
    *result = std::make_unique<Directory>(files_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return files_->Exists(path) ? IOStatus::OK() : IOStatus::NotFound(path);
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is,
                       IODebugContext*) override {
    *is = files_->IsDirectory(path);
    return IOStatus::OK();
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    auto names = files_->List(path);
    if (!names.ok()) return ToRocks(names.status());
    *result = *std::move(names);
    return IOStatus::OK();
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    auto file = files_->Open(path, OpenMode::kRead);
    if (!file.ok()) return ToRocks(file.status());
    const auto found = file.value()->Size();
    if (!found.ok()) return ToRocks(found.status());
    *size = found.value();
    return IOStatus::OK();
  }
  // The seam has no times. RocksDB asks for those of old logs only.
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocks(files_->Remove(path));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (files_->Exists(path)) return IOStatus::IOError(path + " exists");
    return ToRocks(files_->CreateDirectories(path));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocks(files_->CreateDirectories(path));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocks(files_->RemoveDirectory(path));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return ToRocks(files_->Rename(from, to));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return ToRocks(files_->Link(from, to));
  }

  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** result,
                    IODebugContext*) override {
    auto lock = files_->Lock(path);
    if (!lock.ok()) return ToRocks(lock.status());
    *result = new Lock(*std::move(lock));
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }

  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("no test directory");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    const auto free = files_->FreeBytes(path);
    if (!free.ok()) return ToRocks(free.status());
    *bytes = free.value();
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>*,
                     IODebugContext*) override {
    return IOStatus::NotSupported("no log files on this file system");
  }

 private:
  cairn::FileSystem* const files_;
};

// RocksDB sleeps for a second after a failed flush, and whoever closes or resumes waits for that.
class ShortSleepClock final : public rocksdb::SystemClockWrapper {
 public:
  using SystemClockWrapper::SystemClockWrapper;
  [[nodiscard]] const char* Name() const override { return "cairn.ShortSleepClock"; }
  void SleepForMicroseconds(int micros) override {
    constexpr int kLongest = 1000;
    target_->SleepForMicroseconds(std::min(micros, kLongest));
  }
};

class SeamEnv final : public rocksdb::EnvWrapper {
 public:
  explicit SeamEnv(std::unique_ptr<rocksdb::Env>&& base) : EnvWrapper(std::move(base)) {
    system_clock_ = std::make_shared<ShortSleepClock>(system_clock_);
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> NewSeamEnv(cairn::FileSystem* files) {
  return std::make_unique<SeamEnv>(
      rocksdb::NewCompositeEnv(std::make_shared<SeamFileSystem>(files)));
}

}  // namespace cairn::storage::rocks
