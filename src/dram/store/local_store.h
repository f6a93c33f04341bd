// The store of one server: keys and values in one region of memory that a transport can register.
//
// The capacity is hard: what finds no room is refused with kResourceExhausted and nothing stored is
// lost, unless LRU eviction is on, which takes what no reader holds; a value that is being
// overwritten needs room beside the old one. Readers get the stored bytes themselves, pinned:
// overwriting, deleting and evicting leave them as they are, and their memory is free once the last
// reader is gone.
//
// Thread safety: all of it. Keys are spread over shards with a lock each; no lock is held while
// values are copied.
#ifndef CAIRN_SRC_DRAM_STORE_LOCAL_STORE_H_
#define CAIRN_SRC_DRAM_STORE_LOCAL_STORE_H_

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/base/mutex.h"
#include "src/dram/messages.h"
#include "src/dram/store/entry.h"
#include "src/dram/store/shard.h"
#include "src/dram/transport.h"

namespace cairn::dram {

// A value on its way in: room in the store that no reader sees. Freed unless it is committed. Holds
// the value that its condition is about meanwhile, so that nobody evicts it.
class PendingValue {
 public:
  PendingValue(std::shared_ptr<StoreMemory> memory, Entry* entry,
               std::shared_ptr<void> hold = nullptr)
      : memory_(std::move(memory)), hold_(std::move(hold)), entry_(entry) {}
  ~PendingValue() {
    if (entry_ != nullptr) memory_->Release(entry_);
  }
  PendingValue(PendingValue&& other) noexcept
      : memory_(std::move(other.memory_)),
        hold_(std::move(other.hold_)),
        entry_(std::exchange(other.entry_, nullptr)) {}
  PendingValue& operator=(PendingValue&&) = delete;

  // Where the value goes. The pin outlives this object if need be.
  [[nodiscard]] MutableBuffer place() const {
    return {entry_->value(), entry_->value_bytes, PinEntry(memory_, entry_)};
  }

 private:
  friend class LocalStore;
  std::shared_ptr<StoreMemory> memory_;
  std::shared_ptr<void> hold_;
  Entry* entry_;
};

class LocalStore {
 public:
  struct Options {
    std::uint64_t capacity_bytes = std::uint64_t{1} << 30;
    bool evict_lru = false;
    bool huge_pages = true;
    // Random, not 0, of this life of the server.
    std::uint64_t boot_id = 0;
  };
  static Result<std::unique_ptr<LocalStore>> Make(const Options& options);
  ~LocalStore();

  struct Found {
    ReadState state = ReadState::kMissing;
    Generation generation = Generation::NoValue();
    std::uint64_t value_bytes = 0;  // of the whole value
    Buffer value;                   // the bytes asked for
  };
  // kOutOfRange if the range does not lie within the value. A key without a value is kMissing
  // whatever the conditions.
  Result<Found> Read(const ReadRequest& request);

  // Room for a value. Nothing, and nothing was evicted for it, if the condition does not hold,
  // which Commit looks at again. kInvalidArgument for a key or value beyond the bounds,
  // kResourceExhausted.
  Result<std::optional<PendingValue>> Prepare(std::string_view key, std::uint64_t value_bytes,
                                              Generation if_equal);
  // Makes the value visible. The generation of the write; unknown if the condition did not hold.
  Generation Commit(PendingValue value, Generation if_equal);
  // Prepare, copy, Commit.
  Result<Generation> Write(const WriteRequest& request, std::string_view value);
  // NoValue; unknown if the condition did not hold.
  Generation Delete(const DeleteRequest& request);

  struct DeletedRange {
    std::uint64_t deleted = 0;
    std::string next;  // where to go on; empty at the end
  };
  // Deletes up to `limit` keys of the range. Not atomic over keys.
  DeletedRange DeleteRange(const KeyRange& range, std::uint64_t limit);

  struct Page {
    std::uint64_t count = 0;
    std::string entries;  // AppendListedKey
    std::string next;     // where to go on; empty at the end
  };
  // Keys of the range in order: at least one if there is one, and about `limit`. A key that exists
  // throughout is listed; the pages together are no snapshot.
  Page List(const KeyRange& range, std::uint64_t limit, std::size_t strip_prefix_bytes);

  [[nodiscard]] Figures figures() const;
  [[nodiscard]] std::uint64_t boot_id() const { return options_.boot_id; }
  // The region, to be registered with a transport.
  [[nodiscard]] const MappedMemory& region() const { return memory_->region(); }

 private:
  static constexpr std::size_t kShards = 16;
  struct LockedShard {
    mutable Mutex mutex;
    Shard shard ABSL_GUARDED_BY(mutex);
  };
  LocalStore(const Options& options, std::shared_ptr<StoreMemory> memory)
      : options_(options), memory_(std::move(memory)) {}

  static HashedKey Hashed(std::string_view key);
  LockedShard& ShardOf(const HashedKey& key) { return shards_[key.hash >> 28]; }
  // The least recently used value that no reader holds; null if there is none. One that is held is
  // passed over, and counts as used now: its memory would not come free.
  Entry* OldestUnheld(Shard* shard);
  // Makes room by the least recently used value that no reader holds. False if there is none.
  bool EvictOne();

  struct EvictionOutlook {
    // How often EvictOne makes room, at most; 0 if it can't.
    std::uint64_t evictions = 0;
    // If it can't: the largest piece that would come free beside what is free.
    std::uint64_t largest_bytes = 0;
  };
  // Whether a block of `bytes` would come free by eviction, before anything goes: among values that
  // readers hold there may be no piece that is large enough. Takes time as the evictions would.
  EvictionOutlook LookAhead(std::uint64_t bytes);
  // The same, but a no may be wrong if others write meanwhile.
  EvictionOutlook LookOnce(std::uint64_t bytes);
  // The same by looking at all values, in no order.
  EvictionOutlook LookAtAll(std::uint64_t bytes);
  struct Candidate {
    std::uint32_t age;
    std::uint64_t offset;
  };
  // Adds the `quota` least recently used values of the shard that no reader holds. The age down to
  // which that is all of them: 0 if there are no more.
  std::uint32_t AddOldest(LockedShard* locked, std::size_t quota, std::vector<Candidate>* oldest);

  // Whether the condition holds; then with a hold of the value that it is about, if there is one,
  // which keeps it from eviction.
  bool HoldIfEqual(const HashedKey& key, Generation if_equal, std::shared_ptr<void>* hold);
  [[nodiscard]] Status NoRoom(std::uint64_t value_bytes, const std::string& advice) const;
  [[nodiscard]] bool Matches(const Entry* entry, Generation if_equal) const;

  const Options options_;
  const std::shared_ptr<StoreMemory> memory_;
  std::array<LockedShard, kShards> shards_;
  std::atomic<std::uint64_t> counter_{1};
  std::atomic<std::uint32_t> uses_{0};
  std::atomic<std::uint64_t> reads_{0};
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<std::uint64_t> evicted_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_STORE_LOCAL_STORE_H_
