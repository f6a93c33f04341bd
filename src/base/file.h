// Files behind a seam: the journal, folder identity and the database's environment reach the disk
// through FileSystem, so that tests can lose unsynced bytes, tear writes and fill the disk.
//
// Durability contract, as POSIX gives it and as the fault-injecting twin
// (src/base/testing/fault_file_system.h) enforces it:
//   * bytes written are durable after Sync of the file;
//   * a created, renamed or removed name is durable after SyncDirectory of its folder;
//   * after a failed Sync nothing may be assumed of the unsynced bytes, and a second Sync that
//     succeeds proves nothing (the kernel may have dropped the dirty pages).
#ifndef CAIRN_SRC_BASE_FILE_H_
#define CAIRN_SRC_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"

namespace cairn {

// An open file. One writer at a time; ReadAt may run beside it from other threads.
class File {
 public:
  virtual ~File() = default;
  // Writes all of `data` at `offset`, growing the file as needed. kResourceExhausted if the disk is
  // full (part may have been written), kIoError otherwise.
  virtual Status WriteAt(std::uint64_t offset, std::string_view data) = 0;
  // Reads up to `size` bytes into `out` (replaced); shorter only at the end of the file.
  virtual Status ReadAt(std::uint64_t offset, std::size_t size, std::string* out) const = 0;
  // Makes data and size durable (fdatasync).
  virtual Status Sync() = 0;
  // Reserves disk blocks for [0, size) and extends the file to `size` with zeros if shorter.
  // kResourceExhausted if they are not to be had.
  virtual Status Allocate(std::uint64_t size) = 0;
  virtual Status Truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> Size() const = 0;
};

// Held while it lives; see FileSystem::Lock.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,            // must exist
  kReadWrite,       // must exist
  kCreate,          // must not exist
  kCreateOrReplace  // emptied if it exists
};

// Thread safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Also true for a folder.
  [[nodiscard]] virtual bool Exists(const std::string& path) const = 0;
  [[nodiscard]] virtual bool IsDirectory(const std::string& path) const = 0;
  // Names (not paths) in a folder, sorted; without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& directory) const = 0;
  // Makes the folder and its missing parents; fine if it exists. Durable on return, also if a
  // process that was killed made them just before.
  virtual Status CreateDirectories(const std::string& path) = 0;
  virtual Status Remove(const std::string& path) = 0;
  // Removes an empty folder.
  virtual Status RemoveDirectory(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // Hard link.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  // Exclusive lock between processes, released when the result is destroyed or the process ends.
  // kFailedPrecondition if another holds it; the file then names the holder's process id.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  // Bytes that may still be written on the file system that holds `path`.
  virtual Result<std::uint64_t> FreeBytes(const std::string& path) const = 0;

  // Whole-file helpers over the above.
  Result<std::string> ReadFile(const std::string& path);
  // Removes a file, or a folder with all that is in it; fine if there is none.
  Status RemoveTree(const std::string& path);
  // Replaces `path` atomically and durably: write beside, sync, rename, sync the folder.
  Status WriteFileAtomically(const std::string& path, std::string_view data);
};

// The machine's file system. Never destroyed.
FileSystem* PosixFileSystem();

// The folder part of a path; "." if it has none.
std::string DirectoryOf(const std::string& path);

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_FILE_H_
