// A file system in memory that can lose power, tear writes, fill up and fail, for tests and the
// simulator.
//
// What survives a power cut (Crash) follows the durability contract of src/base/file.h and is as
// unkind as that contract allows:
//   * Bytes that a successful Sync covered survive. So do names that SyncDirectory covered, and
//     folders made by CreateDirectories.
//   * Of what was written since the last Sync, each 512-byte sector ends up as any of the contents
//     it has had since then, independently of the other sectors: writes are dropped, torn and
//     reordered. The file ends up with any of the sizes it has had since then.
//   * Each created, renamed, linked or removed name that was not covered by SyncDirectory is either
//     as before or as after, independently of the others. A rename within a folder is one step.
//   * Handles and locks from before the cut are dead: calls on them return kIoError.
//
// The same calls and the same Random give the same outcome. Zeros are not stored: a file that was
// allocated or grown costs memory only for the 4 KiB pages that were written.
//
// Paths are split at '/'; "." and empty parts are ignored, so "/a/b" and "a//b" are the same file.
//
// Thread safety: all calls may come from any thread.
#ifndef CAIRN_SRC_BASE_TESTING_FAULT_FILE_SYSTEM_H_
#define CAIRN_SRC_BASE_TESTING_FAULT_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/file.h"

namespace cairn {

// What a crash does to what was not yet durable.
enum class CrashMode : std::uint8_t {
  kRandom,        // any outcome the contract allows
  kDropUnsynced,  // nothing of it survives
  // Only the process dies: all of it is still there, and still not durable, so that a later power
  // cut may take it.
  kKeepUnsynced
};

// Kinds of operations, for fault switches and counts.
enum class FileOperation : std::uint8_t {
  kRead,
  kWrite,
  kSync,
  kAllocate,
  kTruncate,
  kCreate,  // Open that makes or empties a file, CreateDirectories that makes a folder, Lock
  kRename,
  kRemove,  // Remove, RemoveDirectory
  kLink,
  kSyncDirectory
};

// What the faults did, since the start.
struct FaultEffects {
  std::uint64_t files_lost_bytes = 0;  // that a reader had seen, in a power cut; files, not bytes
  std::uint64_t names_lost = 0;        // changes of names that a power cut took back
  std::uint64_t failed_on_demand = 0;  // operations that FailNth made fail
  std::uint64_t refused_full = 0;      // for lack of room
  std::uint64_t refused_dead = 0;      // by a dead disk
};

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem();
  ~FaultFileSystem() override;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] bool Exists(const std::string& path) const override;
  [[nodiscard]] bool IsDirectory(const std::string& path) const override;
  Result<std::vector<std::string>> List(const std::string& directory) const override;
  Status CreateDirectories(const std::string& path) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  Result<std::uint64_t> FreeBytes(const std::string& path) const override;

  // Cuts the power and turns it on again (or kills the process, see CrashMode): decides what
  // survives, kills handles and locks, disarms all fault switches but the capacity. `random` may be
  // null unless the mode is kRandom.
  void Crash(CrashMode mode, Random* random);
  void Crash(Random* random) { Crash(CrashMode::kRandom, random); }

  // The `nth` operation that changes something (1: the next one) fails, and every operation after
  // it, reads included, until Crash. That operation itself has happened but is not durable; a Sync
  // or SyncDirectory has not happened. 0 disarms.
  void PowerOffAt(std::uint64_t nth);
  // True from the moment that PowerOffAt struck until Crash.
  [[nodiscard]] bool PoweredOff() const;
  // Operations that change something, since the start: the unit of PowerOffAt.
  [[nodiscard]] std::uint64_t Operations() const;

  // The `nth` operation of one kind from now (1: the next one) returns `status` and has no effect;
  // later ones work again. A failed Sync drops the unsynced bytes as Linux does: readers still see
  // them, later Syncs succeed without them, and a crash loses them. `nth` 0 disarms.
  void FailNth(FileOperation operation, std::uint64_t nth, Status status);
  // Operations of one kind that were asked for since the start, failed ones included.
  [[nodiscard]] std::uint64_t Count(FileOperation operation) const;

  // Bytes that all files together may take, counted in 4 KiB blocks that were written or allocated.
  // Writes and allocations beyond it return kResourceExhausted (a write has then no effect).
  // Nothing set: no limit.
  void SetCapacity(std::optional<std::uint64_t> bytes);
  // What counts against the capacity now.
  [[nodiscard]] std::uint64_t UsedBytes() const;

  // A dead disk: every operation fails with kIoError and does nothing, through any number of
  // crashes, until it is set to work again. Exists and IsDirectory tell what they did before.
  void SetDead(bool dead);
  [[nodiscard]] bool IsDead() const;

  [[nodiscard]] FaultEffects Effects() const;

  // Damages a stored byte, on disk and in the cache: it is xored with `mask`. The byte must exist.
  void Damage(const std::string& path, std::uint64_t offset, std::uint8_t mask);

 private:
  struct State;
  class Handle;
  class LockHandle;

  // Shared with handles and locks, which may outlive this object.
  const std::shared_ptr<State> state_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_FAULT_FILE_SYSTEM_H_
