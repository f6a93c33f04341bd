// The tree of folders and files behind FaultFileSystem, and its fault switches. Private to
// fault_file_*.cc.
//
// Thread safety: `mutex` guards everything, the inodes included.
#ifndef CAIRN_SRC_BASE_TESTING_FAULT_FILE_STATE_H_
#define CAIRN_SRC_BASE_TESTING_FAULT_FILE_STATE_H_

#include <absl/container/flat_hash_set.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/base/testing/fault_file_content.h"
#include "src/base/testing/fault_file_system.h"

namespace cairn {
namespace fault_internal {

inline constexpr std::size_t kOperationKinds =
    static_cast<std::size_t>(FileOperation::kSyncDirectory) + 1;

// A file or a folder.
struct Inode {
  using Entries = std::map<std::string, std::shared_ptr<Inode>>;

  bool directory = false;
  Entries entries;            // of a folder: what a reader sees
  Entries durable_entries;    // of a folder: what a power cut leaves for sure
  FaultFileContent content;   // of a file
  std::uint32_t links = 0;    // names in `entries` of all folders
  std::uint32_t handles = 0;  // open in the present life
  bool locked = false;
};
using InodePtr = std::shared_ptr<Inode>;

// One name that gets another meaning. A null target removes it.
struct Cell {
  InodePtr directory;
  std::string name;
  InodePtr target;
};
// Cells that change in one step.
using NameChange = std::vector<Cell>;

// A fault that strikes once.
struct Armed {
  std::uint64_t countdown = 0;  // 0: not armed
  Status status;
};

// What a call has to do after its faults were looked up.
struct Verdict {
  bool happens = true;  // the effect takes place
  Status status;        // what to return if it does, or why it does not
};

// A path, taken apart. `directory` is null if a parent is missing or no folder, and for the root.
struct Resolved {
  InodePtr directory;
  std::string name;  // empty for the root
  InodePtr inode;    // null if there is no such name
};

}  // namespace fault_internal

struct FaultFileSystem::State {
  using Inode = fault_internal::Inode;
  using InodePtr = fault_internal::InodePtr;

  State();

  // Counts the operation and looks up what the switches say about it.
  fault_internal::Verdict Begin(FileOperation kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  fault_internal::Resolved Resolve(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Changes names for readers at once; they become durable when their folders are synced.
  void Change(fault_internal::NameChange change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Makes the names of one folder durable.
  void SyncNames(const InodePtr& directory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // True if the capacity allows `more` bytes.
  [[nodiscard]] bool Fits(std::uint64_t more) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (more == 0 || !capacity.has_value() || used + more <= *capacity) return true;
    ++effects.refused_full;
    return false;
  }
  // Runs a change of a file's content and keeps `used` right.
  template <class Body>
  void ChangeContent(Inode* inode, Body body) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const std::uint64_t before = inode->content.Charge();
    body();
    used = used - before + inode->content.Charge();
  }
  // Gives back the space of a file that has neither names nor handles.
  void ReleaseIfDead(Inode* inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (inode->links == 0 && inode->handles == 0) used -= inode->content.Charge();
  }

  // See FaultFileSystem::Crash.
  void Crash(CrashMode mode, Random* random) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Decides which of the names that are not yet durable survive.
  void CrashNames(CrashMode mode, Random* random) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Brings everything under `directory` to what is left of it, in the order of names.
  void Reload(Inode* directory, CrashMode mode, Random* random,
              absl::flat_hash_set<const Inode*>* seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  Mutex mutex;
  InodePtr root ABSL_GUARDED_BY(mutex);
  // Not yet durable, in order.
  std::vector<fault_internal::NameChange> name_changes ABSL_GUARDED_BY(mutex);
  std::uint64_t life ABSL_GUARDED_BY(mutex) = 0;  // counts crashes
  bool powered_off ABSL_GUARDED_BY(mutex) = false;
  bool dead ABSL_GUARDED_BY(mutex) = false;
  FaultEffects effects ABSL_GUARDED_BY(mutex);
  std::uint64_t power_off_in ABSL_GUARDED_BY(mutex) = 0;  // 0: not armed
  std::uint64_t operations ABSL_GUARDED_BY(mutex) = 0;
  std::array<std::uint64_t, fault_internal::kOperationKinds> counts ABSL_GUARDED_BY(mutex) = {};
  std::array<fault_internal::Armed, fault_internal::kOperationKinds> armed ABSL_GUARDED_BY(mutex);
  std::optional<std::uint64_t> capacity ABSL_GUARDED_BY(mutex);
  std::uint64_t used ABSL_GUARDED_BY(mutex) = 0;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_FAULT_FILE_STATE_H_
