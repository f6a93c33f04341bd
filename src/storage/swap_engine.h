// An engine whose whole state can be replaced by a snapshot, while it is read.
//
// The state lies in one folder of a data folder: `db` at first, `db.<slot>.<epoch>` after the
// snapshot of that slot was installed. The file DATABASE names the folder that counts
// (docs/formats/database.md); without it that is `db`. Installing: the files of the snapshot are
// complete and synced in a folder of their own, which becomes `db.<slot>.<epoch>` and is opened;
// then DATABASE is replaced, atomically and durably; then calls go to the new engine. A crash at
// any point leaves the old state or the new one; what does not count is removed by the next Open.
//
// Readers. A call goes to the engine that is current when it begins; iterators keep theirs. The old
// engine is closed and its folder removed when the last of them ends, on the thread of that one.
//
// Thread safety: as Engine asks. Install belongs to the writer's thread.
#ifndef CAIRN_SRC_STORAGE_SWAP_ENGINE_H_
#define CAIRN_SRC_STORAGE_SWAP_ENGINE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/storage/engine.h"

namespace cairn::storage {

// The file DATABASE: which folder holds the state, and the snapshot that it began with.
struct DatabasePointer {
  std::string folder;  // a name, no path
  Slot slot;
  Epoch epoch;

  [[nodiscard]] std::string Encode() const;
  // kCorruption that says what is wrong.
  static Result<DatabasePointer> Decode(std::string_view text);
  friend bool operator==(const DatabasePointer&, const DatabasePointer&) = default;
};

struct SwapEngineOptions {
  FileSystem* files = nullptr;
  std::string directory;  // the data folder
  // Opens the engine in a folder (a path); makes it if it does not exist.
  std::function<Result<std::shared_ptr<Engine>>(const std::string& folder)> open;
};

class SwapEngine final : public Engine {
 public:
  // Opens the folder that counts and removes those that do not. kCorruption: DATABASE is damaged,
  // or names a folder that is not there.
  static Result<std::unique_ptr<SwapEngine>> Open(const SwapEngineOptions& options);
  ~SwapEngine() override;

  // The snapshot that the state began with; nothing if it began empty. The journal must begin there
  // or later: if a crash came between, whoever opens both resets the journal to it.
  [[nodiscard]] std::optional<DatabasePointer> installed() const;

  // Makes the complete and synced checkpoint in the folder `from`, on the same file system, the
  // state. `expected` is its meta. `prepare`, if given, is called with the new engine before any
  // call reaches it, to read what the caller keeps of the state in memory; its error is passed on.
  // On an error reads and writes go to the old state as before, but `from` may be gone. kCorruption
  // (it does not open, or holds another state) and errors of `prepare` leave the old state on disk
  // too. After any other error it is not known which state a restart finds: the caller must end the
  // process.
  Status Install(const std::string& from, const StateMeta& expected,
                 const std::function<Status(Engine*)>& prepare = nullptr);

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
  class Holder;

  explicit SwapEngine(const SwapEngineOptions& options) : options_(options) {}
  [[nodiscard]] std::shared_ptr<Holder> Current() const;
  [[nodiscard]] std::string PathOf(const std::string& name) const {
    return options_.directory + "/" + name;
  }
  // Without a pointer: kCorruption if the folders say that there was one. Nothing is removed.
  [[nodiscard]] Status CheckNeverInstalled() const;
  Status RemoveStrangers(const std::string& current) const;
  Result<std::shared_ptr<Engine>> OpenExpected(const std::string& path, const StateMeta& expected,
                                               const std::function<Status(Engine*)>& prepare) const;

  const SwapEngineOptions options_;
  mutable Mutex mutex_;
  std::shared_ptr<Holder> current_ ABSL_GUARDED_BY(mutex_);
  std::optional<DatabasePointer> installed_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> listener_ ABSL_GUARDED_BY(mutex_);
};

// Whether the name is that of a folder of a state: "db", or "db." slot "." epoch.
bool IsDatabaseFolder(std::string_view name);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_SWAP_ENGINE_H_
