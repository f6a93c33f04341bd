#include "src/dram/store/local_store.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/dram/byte_range.h"

namespace cairn::dram {
namespace {

bool Within(const Entry* entry, const KeyRange& range) {
  return range.exclusive_max.empty() || entry->key() < range.exclusive_max;
}

}  // namespace

Result<std::unique_ptr<LocalStore>> LocalStore::Make(const Options& options) {
  CAIRN_CHECK(options.boot_id != 0);
  const std::uint64_t capacity =
      options.capacity_bytes / BlockAllocator::kPageBytes * BlockAllocator::kPageBytes;
  if (capacity == 0 || capacity / BlockAllocator::kPageBytes >= UINT32_MAX) {
    return InvalidArgumentError("capacity_bytes is " + std::to_string(options.capacity_bytes) +
                                ": give 4096 or more, below 16 TiB");
  }
  CAIRN_ASSIGN_OR_RETURN(MappedMemory region, MappedMemory::Make(capacity, options.huge_pages));
  auto memory = std::make_shared<StoreMemory>(std::move(region), capacity);
  return std::unique_ptr<LocalStore>(new LocalStore(options, std::move(memory)));
}

LocalStore::~LocalStore() {
  for (LockedShard& locked : shards_) {
    MutexLock lock(&locked.mutex);
    for (Entry* entry : locked.shard.ordered()) memory_->Release(entry);
  }
}

HashedKey LocalStore::Hashed(std::string_view key) {
  return {key, static_cast<std::uint32_t>(XXH3_64bits(key.data(), key.size()))};
}

bool LocalStore::Matches(const Entry* entry, Generation if_equal) const {
  if (if_equal.IsUnknown()) return true;
  if (entry == nullptr) return if_equal.IsNoValue();
  return if_equal == Generation{options_.boot_id, entry->counter};
}

Result<LocalStore::Found> LocalStore::Read(const ReadRequest& request) {
  reads_.fetch_add(1, std::memory_order_relaxed);
  const HashedKey key = Hashed(request.key);
  LockedShard& locked = ShardOf(key);
  Found found;
  MutexLock lock(&locked.mutex);
  Entry* const entry = locked.shard.Find(key);
  if (entry == nullptr) return found;
  if (options_.evict_lru) locked.shard.Touch(entry, uses_.fetch_add(1));
  found.generation = {options_.boot_id, entry->counter};
  found.value_bytes = entry->value_bytes;
  if (!Matches(entry, request.if_equal) || found.generation == request.if_not_equal) {
    found.state = ReadState::kUnspecified;
    return found;
  }
  CAIRN_ASSIGN_OR_RETURN(const ByteExtent extent, Resolve(request.range, entry->value_bytes));
  found.state = ReadState::kValue;
  if (extent.size > 0) {
    found.value = Buffer(entry->value() + extent.offset, extent.size, PinEntry(memory_, entry));
  }
  return found;
}

bool LocalStore::HoldIfEqual(const HashedKey& key, Generation if_equal,
                             std::shared_ptr<void>* hold) {
  if (if_equal.IsUnknown()) return true;
  LockedShard& locked = ShardOf(key);
  MutexLock lock(&locked.mutex);
  Entry* const entry = locked.shard.Find(key);
  if (!Matches(entry, if_equal)) return false;
  if (entry != nullptr) *hold = PinEntry(memory_, entry);
  return true;
}

Result<std::optional<PendingValue>> LocalStore::Prepare(std::string_view key,
                                                        std::uint64_t value_bytes,
                                                        Generation if_equal) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return InvalidArgumentError("a key of " + std::to_string(key.size()) + " bytes: 1 to " +
                                std::to_string(kMaxKeyBytes));
  }
  if (value_bytes > kMaxValueBytes) {
    return InvalidArgumentError("a value of " + std::to_string(value_bytes) + " bytes: at most " +
                                std::to_string(kMaxValueBytes));
  }
  const HashedKey hashed = Hashed(key);
  std::shared_ptr<void> hold;
  if (!HoldIfEqual(hashed, if_equal, &hold)) {
    writes_.fetch_add(1, std::memory_order_relaxed);
    return std::optional<PendingValue>();
  }
  const std::uint64_t block_bytes = Entry::BlockBytes(key.size(), value_bytes);
  const bool may_evict = options_.evict_lru && block_bytes <= memory_->region().size();
  EvictionOutlook outlook;
  std::uint64_t left = 0;
  for (bool hopeless = !may_evict;;) {
    if (Entry* entry = memory_->Allocate(key, value_bytes)) {
      entry->hash = hashed.hash;
      return std::optional<PendingValue>(PendingValue(memory_, entry, std::move(hold)));
    }
    if (hopeless) break;
    // Again where others have taken what had come free.
    if (left == 0) {
      outlook = LookAhead(block_bytes);
      left = outlook.evictions;
    }
    // If so, tried once more: others may have given something back meanwhile.
    hopeless = left == 0 || !EvictOne();
    if (!hopeless) --left;
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  if (!may_evict) {
    return NoRoom(value_bytes, options_.evict_lru
                                   ? "; it is larger than all there is: raise capacity_bytes"
                                   : "; delete keys, raise capacity_bytes or set eviction to lru");
  }
  const std::uint64_t largest =
      std::max(memory_->usage().largest_free_bytes, outlook.largest_bytes);
  return NoRoom(value_bytes, ", " + std::to_string(largest) +
                                 " with all evicted that nobody holds: raise capacity_bytes");
}

Status LocalStore::NoRoom(std::uint64_t value_bytes, const std::string& advice) const {
  const BlockAllocator::Usage usage = memory_->usage();
  return {StatusCode::kResourceExhausted, "no room for a value of " + std::to_string(value_bytes) +
                                              " bytes: " + std::to_string(usage.page_bytes) +
                                              " of " + std::to_string(memory_->region().size()) +
                                              " bytes are in use, the largest free piece is " +
                                              std::to_string(usage.largest_free_bytes) + advice};
}

namespace {

// Small enough that a copy costs less than finding the key's places in the directory.
constexpr std::uint64_t kMaxCopiedBytes = 2048;

// Whether the entry of a key may take over the value of its newer one. Readers take references
// under the shard's lock, so that nobody who has none sees it change.
bool MayTakeOver(const Entry* old, const Entry& entry) {
  return old != nullptr && entry.value_bytes <= kMaxCopiedBytes &&
         old->value_bytes == entry.value_bytes &&
         old->references.load(std::memory_order_acquire) == 1;
}

}  // namespace

Generation LocalStore::Commit(PendingValue value, Generation if_equal) {
  writes_.fetch_add(1, std::memory_order_relaxed);
  Entry* const entry = value.entry_;
  const HashedKey key{entry->key(), entry->hash};
  LockedShard& locked = ShardOf(key);
  Entry* old = nullptr;
  Generation generation = Generation::Unknown();
  {
    MutexLock lock(&locked.mutex);
    old = locked.shard.Find(key);
    if (!Matches(old, if_equal)) return Generation::Unknown();
    entry->counter = counter_.fetch_add(1) + 1;
    entry->last_use = uses_.fetch_add(1);
    generation = {options_.boot_id, entry->counter};
    if (MayTakeOver(old, *entry)) {
      std::memcpy(old->value(), entry->value(), entry->value_bytes);
      old->counter = entry->counter;
      locked.shard.Touch(old, entry->last_use);
      return generation;
    }
    locked.shard.Put(entry, old);
    value.entry_ = nullptr;
  }
  if (old != nullptr) memory_->Release(old);
  return generation;
}

Result<Generation> LocalStore::Write(const WriteRequest& request, std::string_view value) {
  CAIRN_ASSIGN_OR_RETURN(std::optional<PendingValue> pending,
                         Prepare(request.key, value.size(), request.if_equal));
  if (!pending.has_value()) return Generation::Unknown();
  value.copy(pending->entry_->value(), value.size());
  return Commit(*std::move(pending), request.if_equal);
}

Generation LocalStore::Delete(const DeleteRequest& request) {
  writes_.fetch_add(1, std::memory_order_relaxed);
  const HashedKey key = Hashed(request.key);
  LockedShard& locked = ShardOf(key);
  Entry* entry = nullptr;
  {
    MutexLock lock(&locked.mutex);
    entry = locked.shard.Find(key);
    if (!Matches(entry, request.if_equal)) return Generation::Unknown();
    if (entry == nullptr) return Generation::NoValue();
    locked.shard.Remove(entry);
  }
  memory_->Release(entry);
  return Generation::NoValue();
}

LocalStore::DeletedRange LocalStore::DeleteRange(const KeyRange& range, std::uint64_t limit) {
  DeletedRange result;
  std::vector<Entry*> removed;
  for (LockedShard& locked : shards_) {
    MutexLock lock(&locked.mutex);
    for (;;) {
      const auto it = locked.shard.ordered().lower_bound(std::string_view(range.inclusive_min));
      if (it == locked.shard.ordered().end() || !Within(*it, range)) break;
      if (removed.size() >= limit) {
        // What was deleted is gone, so the rest is found from the start. No key is empty, so an
        // empty start means the same as the first key there can be.
        result.next = range.inclusive_min.empty() ? std::string(1, '\0') : range.inclusive_min;
        break;
      }
      removed.push_back(*it);
      locked.shard.Remove(removed.back());
    }
    if (!result.next.empty()) break;
  }
  for (Entry* entry : removed) memory_->Release(entry);
  result.deleted = removed.size();
  writes_.fetch_add(removed.size(), std::memory_order_relaxed);
  return result;
}

LocalStore::Page LocalStore::List(const KeyRange& range, std::uint64_t limit,
                                  std::size_t strip_prefix_bytes) {
  // Each shard gives its first few keys. Up to the least key at which a shard stopped early, the
  // union is complete.
  const std::uint64_t quota = limit / kShards * 3 / 2 + 16;
  std::vector<std::pair<std::string, std::uint64_t>> keys;
  std::string horizon;
  for (LockedShard& locked : shards_) {
    MutexLock lock(&locked.mutex);
    auto it = locked.shard.ordered().lower_bound(std::string_view(range.inclusive_min));
    std::uint64_t taken = 0;
    for (; it != locked.shard.ordered().end() && Within(*it, range); ++it) {
      if (++taken > quota) {
        if (horizon.empty() || keys.back().first < horizon) horizon = keys.back().first;
        break;
      }
      keys.emplace_back((*it)->key(), (*it)->value_bytes);
    }
  }
  std::sort(keys.begin(), keys.end());
  Page page;
  for (const auto& [key, value_bytes] : keys) {
    if (!horizon.empty() && key > horizon) break;
    if (page.count >= std::max<std::uint64_t>(limit, 1) || page.entries.size() > (1 << 20)) {
      page.next = key;
      return page;
    }
    AppendListedKey(std::string_view(key).substr(std::min(strip_prefix_bytes, key.size())),
                    value_bytes, &page.entries);
    ++page.count;
  }
  if (!horizon.empty()) page.next = KeyAfter(horizon);
  return page;
}

Figures LocalStore::figures() const {
  std::uint64_t keys = 0;
  std::uint64_t value_bytes = 0;
  for (const LockedShard& locked : shards_) {
    MutexLock lock(&locked.mutex);
    keys += locked.shard.size();
    value_bytes += locked.shard.value_bytes();
  }
  const BlockAllocator::Usage usage = memory_->usage();
  return {{"keys", keys},
          {"value_bytes", value_bytes},
          {"capacity_bytes", memory_->region().size()},
          {"used_bytes", usage.page_bytes},
          {"largest_free_bytes", usage.largest_free_bytes},
          {"reads", reads_.load()},
          {"writes", writes_.load()},
          {"evicted", evicted_.load()},
          {"refused_for_room", refused_.load()}};
}

}  // namespace cairn::dram
