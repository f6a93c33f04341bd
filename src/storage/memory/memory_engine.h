// An engine that holds everything in memory, and can forget what was not flushed. The simulator
// runs on it, so it is deterministic: nothing depends on addresses, hashes, time or threads.
//
// Crashes. Each change since the last flush leaves an undo record; Crash() plays them back, newest
// first. Versions below the watermark are dropped only by Flush, after which nothing can be undone.
//
// Iterators hold no lock between calls. Each call takes the engine's lock and, if keys came or went
// meanwhile, finds its place again by key. So a ReadIterator gives the state at its version, which
// later writes can't change; a HistoryIterator or SystemIterator gives every key that was there all
// along, and may or may not give what is written while it runs.
//
// Thread safety: as Engine asks, and more: one lock makes every call atomic.
#ifndef CAIRN_SRC_STORAGE_MEMORY_MEMORY_ENGINE_H_
#define CAIRN_SRC_STORAGE_MEMORY_MEMORY_ENGINE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/file.h"
#include "src/base/mutex.h"
#include "src/storage/engine.h"
#include "src/storage/memory/memory_store.h"

namespace cairn::storage {

struct MemoryEngineOptions {
  // A full disk is played by writes beyond this many bytes of keys and values (all versions).
  std::optional<std::uint64_t> capacity_bytes = std::nullopt;
  // Where Checkpoint writes; null: Checkpoint is kUnimplemented. Must outlive the engine.
  FileSystem* file_system = nullptr;
};

class MemoryEngine final : public Engine {
 public:
  // The file of a checkpoint, in its folder.
  static constexpr char kCheckpointFile[] = "state.cairn";

  explicit MemoryEngine(const MemoryEngineOptions& options = {});
  ~MemoryEngine() override;

  // An engine that holds what Checkpoint wrote to `directory` of options.file_system, all of it
  // flushed. kCorruption names the file; the layout is in docs/formats/state.md.
  static Result<std::unique_ptr<MemoryEngine>> Load(const std::string& directory,
                                                    const MemoryEngineOptions& options);

  // Forgets every change since the last flush, as the end of the process would. Families made since
  // then stay, empty, as they do in RocksDB; the caller reconciles. Iterators stay safe to use.
  void Crash();
  // Moves the limit of capacity_bytes; a full engine takes writes again after Resume.
  void SetCapacity(std::optional<std::uint64_t> capacity_bytes);

  [[nodiscard]] StateMeta Meta() const override;
  [[nodiscard]] Result<StateMeta> FlushedMeta() const override;
  Status Write(const WriteBatch& batch, const StateMeta& meta) override;
  Status Flush() override;
  void SetFlushListener(std::function<void()> listener) override;
  [[nodiscard]] Status Health() const override;
  Status Resume() override;
  Status CreateFamily(FamilyId family) override;
  Status DropFamily(FamilyId family) override;
  Status ReconcileFamilies(const std::vector<FamilyId>& families) override;
  Result<Lookup> Get(FamilyId family, std::string_view key, Version at,
                     std::string* value) const override;
  Result<std::unique_ptr<ReadIterator>> NewIterator(FamilyId family, const KeyRange& range,
                                                    Version at) const override;
  Result<std::unique_ptr<HistoryIterator>> NewHistoryIterator(FamilyId family,
                                                              const KeyRange& range) const override;
  Result<std::string> GetSystem(SystemSpace space, std::string_view key) const override;
  Result<std::unique_ptr<SystemIterator>> NewSystemIterator(SystemSpace space,
                                                            const KeyRange& range) const override;
  Status SetWatermark(Version watermark) override;
  Result<StateMeta> Checkpoint(const std::string& directory) override;
  [[nodiscard]] EngineFigures Figures() const override;

 private:
  // How to take one change back.
  struct Undo {
    enum class Kind : std::uint8_t { kUser, kSystem, kDrop };
    Kind kind;
    FamilyId id;                              // kDrop
    std::shared_ptr<memory::Family> family;   // kUser, kDrop
    SystemSpace space = SystemSpace::kState;  // kSystem
    std::string key;
    Version version;                          // kUser
    std::optional<memory::Entry> entry;       // kUser: what the write replaced, if anything
    std::optional<std::string> system_value;  // kSystem: likewise
  };
  // A key that has something to drop once the watermark reaches `version`.
  struct Garbage {
    Version version;
    FamilyId family;
    std::string key;
  };

  Status CheckBatch(const WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void ApplyUser(const WriteBatch::Change& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void PutSystem(SystemSpace space, const std::string& key, std::optional<std::string> value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void DeleteSystemRange(const WriteBatch::Change& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void UndoOne(Undo& undo) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void CollectGarbage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  void CollectKey(const Garbage& garbage, Version watermark)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  [[nodiscard]] std::string Serialize() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);
  Status Deserialize(std::string_view bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex);

  const std::shared_ptr<memory::Store> store_;
  FileSystem* const file_system_;
  std::function<void()> flush_listener_;

  std::optional<std::uint64_t> capacity_ ABSL_GUARDED_BY(store_->mutex);
  Status health_ ABSL_GUARDED_BY(store_->mutex);
  StateMeta meta_ ABSL_GUARDED_BY(store_->mutex);
  StateMeta flushed_meta_ ABSL_GUARDED_BY(store_->mutex);
  std::vector<Undo> undo_ ABSL_GUARDED_BY(store_->mutex);
  // In the order of the writes; the last garbage_unflushed_ of them are not flushed.
  std::deque<Garbage> garbage_ ABSL_GUARDED_BY(store_->mutex);
  std::size_t garbage_unflushed_ ABSL_GUARDED_BY(store_->mutex) = 0;
  // Bytes of keys and values held, and of those changed since the last flush.
  std::uint64_t bytes_ ABSL_GUARDED_BY(store_->mutex) = 0;
  std::uint64_t unflushed_bytes_ ABSL_GUARDED_BY(store_->mutex) = 0;
};

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_MEMORY_MEMORY_ENGINE_H_
