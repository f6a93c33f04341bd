#include "src/storage/memory/engine_shelf.h"

#include <iterator>
#include <utility>

#include "xxhash.h"

namespace cairn::storage {

Result<std::uint64_t> EngineShelf::CheckpointIn(const std::string& folder) const {
  const std::string path = folder + "/" + MemoryEngine::kCheckpointFile;
  if (!files_->Exists(path)) return 0;
  CAIRN_ASSIGN_OR_RETURN(const std::string bytes, files_->ReadFile(path));
  return XXH3_64bits(bytes.data(), bytes.size());
}

Result<std::shared_ptr<Engine>> EngineShelf::Open(const std::string& folder) {
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(folder));
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t checkpoint, CheckpointIn(folder));
  Shelved& shelved = engines_[folder];
  // A disk without power shows no files: what is here stays.
  const bool another = checkpoint != 0 && checkpoint != shelved.checkpoint;
  if (shelved.engine == nullptr || another) {
    shelved = {};
    const MemoryEngineOptions options{capacity_, files_};
    if (checkpoint != 0) {
      CAIRN_ASSIGN_OR_RETURN(shelved.engine, MemoryEngine::Load(folder, options));
    } else {
      shelved.engine = std::make_shared<MemoryEngine>(options);
    }
    shelved.checkpoint = checkpoint;
  }
  newest_ = shelved.engine;
  return std::shared_ptr<Engine>(shelved.engine);
}

void EngineShelf::Crash() {
  for (auto it = engines_.begin(); it != engines_.end();) {
    if (it->second.engine != nullptr) it->second.engine->Crash();
    const bool there = it->second.engine != nullptr && files_->IsDirectory(it->first);
    it = there ? std::next(it) : engines_.erase(it);
  }
}

void EngineShelf::SetCapacity(std::optional<std::uint64_t> capacity_bytes) {
  capacity_ = capacity_bytes;
  for (auto& [folder, shelved] : engines_) {
    if (shelved.engine != nullptr) shelved.engine->SetCapacity(capacity_bytes);
  }
}

}  // namespace cairn::storage
