// The memory engines of one simulated machine, by the folder that each stands for: what a process
// of the machine finds again after a crash.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_SRC_STORAGE_MEMORY_ENGINE_SHELF_H_
#define CAIRN_SRC_STORAGE_MEMORY_ENGINE_SHELF_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::storage {

class EngineShelf {
 public:
  // `files` is the machine's disk, where checkpoints lie; must outlive the shelf and its engines.
  explicit EngineShelf(FileSystem* files) : files_(files) {}

  // The engine of a folder: the one that was here before, one that holds the checkpoint that lies
  // in the folder, or an empty one (whose folder is made). For SwapEngineOptions::open.
  Result<std::shared_ptr<Engine>> Open(const std::string& folder);
  // The process is gone: forgets what was not flushed, and engines whose folder is gone.
  void Crash();
  // Every engine, at once and from now on.
  void SetCapacity(std::optional<std::uint64_t> capacity_bytes);
  // The one that was opened last; null before.
  [[nodiscard]] MemoryEngine* newest() const { return newest_.get(); }

 private:
  struct Shelved {
    std::shared_ptr<MemoryEngine> engine;
    // Of the checkpoint that it began with, 0 if with none: a folder that was removed may have been
    // filled with another one.
    std::uint64_t checkpoint = 0;
  };

  // What identifies the checkpoint in the folder; 0 if there is none.
  Result<std::uint64_t> CheckpointIn(const std::string& folder) const;

  FileSystem* const files_;
  std::optional<std::uint64_t> capacity_;
  std::map<std::string, Shelved> engines_;
  std::shared_ptr<MemoryEngine> newest_;
};

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_MEMORY_ENGINE_SHELF_H_
