// The contract of storage engines: a multi-version store of key-value pairs in column families, and
// a small unversioned system space, written in atomic batches.
//
// An engine holds state; it decides nothing. Versions, conflicts, sessions and limits are the
// business of the state machine (src/replication/executor), so that every engine behaves alike.
//
// Versions. Each write to a user family carries a Version. A read at version V sees, for each key,
// the newest write with version <= V; a delete is such a write too. A later write of the same key
// at the same version replaces the earlier one. The versions of a key must not fall from one write
// to the next, in a batch or between batches: engines may rely on it (RocksDB asserts it).
//
// Durability. Write is atomic and visible on return, but durable only once a flush that started
// later has finished: the engine keeps no log of its own, the journal replays what is missing. The
// StateMeta in the batch travels with the data, so what a crashed engine comes back with is the
// exact state of some batch boundary, and FlushedMeta names it.
//
// Watermark. Versions below the watermark may be dropped, but for the newest one of each key that
// is visible at the watermark. Reads at a version >= watermark are exact. A read below it, or one
// overtaken by the watermark while it runs, returns kTransactionTooOld or, in a race, wrong data:
// the caller compares the watermark before and after.
//
// Thread safety: writers (Write, CreateFamily, DropFamily, SetWatermark, Flush, ...) are called by
// one thread at a time, the apply thread, unless said otherwise; readers from any thread at any
// time. Iterators belong to one thread each.
#ifndef CAIRN_SRC_STORAGE_ENGINE_H_
#define CAIRN_SRC_STORAGE_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"

namespace cairn::storage {

// The one record that describes a state. Written in every batch, in the system space.
struct StateMeta {
  Slot applied_slot;    // last slot whose commands are all in this state
  Epoch applied_epoch;  // its epoch
  // How many commands of the slot after applied_slot are in this state too: an entry carries many
  // commands, and a crash may fall between two of them. Replay skips these.
  std::uint32_t applied_commands = 0;
  Version version{1};          // last version given to a commit; a new store is at 1
  Version watermark;           // reads below are refused; 0: everything is kept
  std::uint64_t features = 0;  // bits switched on by commands
  FamilyId next_family{1};     // next column family id to give
  std::string membership;      // as encoded by the replica; empty in standalone mode

  [[nodiscard]] std::string Encode() const;
  static Result<StateMeta> Decode(std::string_view bytes);
  friend bool operator==(const StateMeta&, const StateMeta&) = default;
};

// The unversioned spaces beside the user families.
enum class SystemSpace : std::uint8_t {
  // Sessions, families and so on: keys are the state machine's. Keys that start with a zero byte
  // are the engine's own (the meta record): writing one is kInvalidArgument, reads don't show them.
  kState = 0,
  kVersionIndex = 1,  // big-endian version + order -> family and key, for conflict ranges
};

// A set of changes that becomes visible at once. Order matters: the last change of a key wins.
class WriteBatch {
 public:
  struct Change {
    enum class Kind : std::uint8_t { kPut, kDelete, kSystemPut, kSystemDelete, kSystemDeleteRange };
    Kind kind;
    SystemSpace space = SystemSpace::kState;
    FamilyId family;
    Version version;
    std::string key;    // first key of a range
    std::string value;  // or end of a range, exclusive; an end <= key deletes nothing
  };

  void Put(FamilyId family, std::string key, std::string value, Version version) {
    Add({Change::Kind::kPut, {}, family, version, std::move(key), std::move(value)});
  }
  void Delete(FamilyId family, std::string key, Version version) {
    Add({Change::Kind::kDelete, {}, family, version, std::move(key), {}});
  }
  void SystemPut(SystemSpace space, std::string key, std::string value) {
    Add({Change::Kind::kSystemPut, space, {}, {}, std::move(key), std::move(value)});
  }
  void SystemDelete(SystemSpace space, std::string key) {
    Add({Change::Kind::kSystemDelete, space, {}, {}, std::move(key), {}});
  }
  void SystemDeleteRange(SystemSpace space, std::string begin, std::string end) {
    Add({Change::Kind::kSystemDeleteRange, space, {}, {}, std::move(begin), std::move(end)});
  }
  void Clear() {
    changes_.clear();
    bytes_ = 0;
  }

  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  [[nodiscard]] bool empty() const { return changes_.empty(); }
  // Bytes of keys and values.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void Add(Change change) {
    bytes_ += change.key.size() + change.value.size();
    changes_.push_back(std::move(change));
  }

  std::vector<Change> changes_;
  std::size_t bytes_ = 0;
};

// Refuses what no engine takes: system keys in the engine's own range of kState.
Status CheckChange(const WriteBatch::Change& change);

// What Get found.
struct Lookup {
  bool found = false;  // false: never written, or deleted
  // The version of the write that was found, a delete's too. 0: nothing at or below the version
  // asked for is stored (never written, or a delete below the watermark that was dropped).
  // Below the watermark a version is only a hint: an engine may forget it and say 0 (RocksDB does),
  // each replica at its own time. No decision of a state machine may rest on it.
  Version version;
};

// Iterates the keys that exist at one version, in byte order. Not valid until the first seek. A
// target outside the range counts as the range's nearer end. Next and Prev need Valid().
class ReadIterator {
 public:
  virtual ~ReadIterator() = default;
  [[nodiscard]] virtual bool Valid() const = 0;
  // Why Valid() is false: OK at the end of the range.
  [[nodiscard]] virtual Status status() const = 0;
  // To the first key >= target.
  virtual void SeekGreaterOrEqual(std::string_view target) = 0;
  // To the last key < target; to the last key of the range if target is empty.
  virtual void SeekLess(std::string_view target) = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  // Valid until the iterator moves.
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
};

// Iterates every stored write of a key range, deletes included, in key order; the order of the
// versions of one key is newest first. One Next is bounded work, whatever is stored. What is below
// the watermark may be missing, or have version 0: see Lookup.
class HistoryIterator {
 public:
  virtual ~HistoryIterator() = default;
  [[nodiscard]] virtual bool Valid() const = 0;
  [[nodiscard]] virtual Status status() const = 0;
  virtual void Next() = 0;
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual Version version() const = 0;
  [[nodiscard]] virtual bool is_delete() const = 0;
};

// Iterates a system space in byte order.
class SystemIterator {
 public:
  virtual ~SystemIterator() = default;
  [[nodiscard]] virtual bool Valid() const = 0;
  [[nodiscard]] virtual Status status() const = 0;
  virtual void Next() = 0;
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
};

// A key range [begin, end); an empty end is unbounded.
struct KeyRange {
  std::string begin;
  std::string end;
};

// Measured, never invented. A figure that an engine can't measure stays empty.
struct EngineFigures {
  std::optional<std::uint64_t> estimated_keys;
  std::optional<std::uint64_t> bytes_on_disk;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> unflushed_bytes;
  std::optional<std::uint64_t> cache_hits;
  std::optional<std::uint64_t> cache_misses;
  std::optional<std::uint64_t> compaction_pending_bytes;
  // Of engines that keep sorted files. Counters since the start, but for the first four.
  std::optional<std::uint64_t> level0_files;  // summed over the column families
  std::optional<std::uint64_t> flushes_running;
  std::optional<std::uint64_t> compactions_running;
  std::optional<std::uint64_t> block_cache_bytes;
  std::optional<std::uint64_t> flush_written_bytes;
  std::optional<std::uint64_t> compaction_read_bytes;
  std::optional<std::uint64_t> compaction_written_bytes;
  // Time for which writes waited because flushes or compactions did not keep up.
  std::optional<std::uint64_t> write_stall_us;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // ---- State as a whole

  // The state that reads see now: that of the last Write (or of recovery).
  [[nodiscard]] virtual StateMeta Meta() const = 0;
  // The last state that would survive a crash now. Grows as flushes finish. Thread safe.
  [[nodiscard]] virtual Result<StateMeta> FlushedMeta() const = 0;

  // Applies the batch and replaces the meta record, atomically. Errors: kNotFound (a family that
  // was not created) and kInvalidArgument (CheckChange): nothing was written, the engine goes on;
  // kResourceExhausted (no room: nothing was written, see Resume); kIoError or kCorruption (the
  // engine is unusable from then on).
  virtual Status Write(const WriteBatch& batch, const StateMeta& meta) = 0;

  // Makes everything written so far durable, in all families together; returns when it is. May be
  // called from any thread beside Write.
  virtual Status Flush() = 0;
  // Called from an engine thread after a flush finished and FlushedMeta may have grown. Set once,
  // before the first Write; must not call back into the engine's writers.
  virtual void SetFlushListener(std::function<void()> listener) = 0;

  // OK while the engine takes writes. After a background error (a full disk above all): that error.
  [[nodiscard]] virtual Status Health() const = 0;
  // Tries to take writes again after a full disk. OK if it does. Thread safe.
  virtual Status Resume() = 0;

  // ---- Column families (physical side; names and life cycle are the state machine's)

  // Makes the family usable in Write and in reads; fine if it exists. The default family, id 0,
  // always exists.
  virtual Status CreateFamily(FamilyId family) = 0;
  // The family is no longer part of the state; call it after the Write that says so. Reads and
  // writes of it are kNotFound at once, open iterators go on. Its data is removed once the state of
  // that Write is flushed, so that a crash before the flush can replay what came before the drop.
  // Fine if it does not exist; kInvalidArgument for the default family.
  virtual Status DropFamily(FamilyId family) = 0;
  // Tells the engine after recovery, before the first Write, which families the state holds. Makes
  // the missing ones, removes all others for good. The default family need not be named.
  virtual Status ReconcileFamilies(const std::vector<FamilyId>& families) = 0;

  // ---- Reads

  // The newest write of `key` with version <= at. `value` is replaced if found; may be null if only
  // the version matters. kNotFound: no such family. kTransactionTooOld: `at` is below the
  // watermark.
  virtual Result<Lookup> Get(FamilyId family, std::string_view key, Version at,
                             std::string* value) const = 0;
  // Keys of the range as of `at`. The iterator keeps what it needs alive.
  virtual Result<std::unique_ptr<ReadIterator>> NewIterator(FamilyId family, const KeyRange& range,
                                                            Version at) const = 0;
  // Every stored write of the range, positioned on the first.
  virtual Result<std::unique_ptr<HistoryIterator>> NewHistoryIterator(
      FamilyId family, const KeyRange& range) const = 0;
  // kNotFound if there is no such key.
  virtual Result<std::string> GetSystem(SystemSpace space, std::string_view key) const = 0;
  // [begin, end) of a system space, positioned on the first.
  virtual Result<std::unique_ptr<SystemIterator>> NewSystemIterator(
      SystemSpace space, const KeyRange& range) const = 0;

  // ---- Upkeep

  // Refuses reads below `watermark` and lets versions below it be dropped. Grows only. Nothing is
  // dropped above the watermark of FlushedMeta: what a crash brings back must still hold every
  // version that its own watermark promises, or a replay would decide conflicts differently. After
  // a crash the engine's watermark is that of the recovered meta.
  virtual Status SetWatermark(Version watermark) = 0;
  // Writes a self-contained copy of the state to `directory`, which must not exist, and returns the
  // meta of that copy. Hard links where possible. Thread safe.
  virtual Result<StateMeta> Checkpoint(const std::string& directory) = 0;
  [[nodiscard]] virtual EngineFigures Figures() const = 0;
};

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_ENGINE_H_
