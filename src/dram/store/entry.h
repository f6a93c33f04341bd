// One key and its value, in one block of the store's memory: a fixed part, the key, the value. An
// entry that anybody reads never changes but for its bookkeeping: overwriting its key makes a new
// one. It lives while the directory or a reader holds a reference.
//
// Thread safety: references are atomic; the LRU fields belong to the shard's lock.
#ifndef CAIRN_SRC_DRAM_STORE_ENTRY_H_
#define CAIRN_SRC_DRAM_STORE_ENTRY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>

#include "src/dram/memory/block_allocator.h"
#include "src/dram/memory/mapped_memory.h"

namespace cairn::dram {

struct Entry {
  std::atomic<std::uint32_t> references{1};
  std::uint16_t key_bytes = 0;
  std::uint16_t value_offset = 0;
  std::uint32_t hash = 0;
  std::uint32_t last_use = 0;
  std::uint64_t counter = 0;  // of the generation
  std::uint64_t value_bytes = 0;
  Entry* newer = nullptr;  // in the shard's LRU list
  Entry* older = nullptr;

  // Large values start at a cache line, so that users may treat them as arrays.
  static std::size_t ValueOffset(std::size_t key_bytes, std::uint64_t value_bytes) {
    const std::size_t alignment = value_bytes >= 4096 ? 64 : 1;
    return (sizeof(Entry) + key_bytes + alignment - 1) / alignment * alignment;
  }
  // What an entry takes of the store's memory, but for the rounding of the allocator.
  static std::uint64_t BlockBytes(std::size_t key_bytes, std::uint64_t value_bytes) {
    return ValueOffset(key_bytes, value_bytes) + value_bytes;
  }
  [[nodiscard]] char* bytes() { return reinterpret_cast<char*>(this); }
  [[nodiscard]] std::string_view key() const {
    return {reinterpret_cast<const char*>(this) + sizeof(Entry), key_bytes};
  }
  [[nodiscard]] char* value() { return bytes() + value_offset; }
};
static_assert(sizeof(Entry) == 48);

// The store's memory: a region and what of it is in use. Readers keep it alive.
class StoreMemory {
 public:
  StoreMemory(MappedMemory region, std::uint64_t capacity)
      : region_(std::move(region)), allocator_(capacity) {}

  // Null if there is no room.
  Entry* Allocate(std::string_view key, std::uint64_t value_bytes) {
    const std::size_t offset = Entry::ValueOffset(key.size(), value_bytes);
    const std::uint64_t block = allocator_.Allocate(Entry::BlockBytes(key.size(), value_bytes));
    if (block == BlockAllocator::kNone) return nullptr;
    auto* entry = new (region_.data() + block) Entry;
    entry->key_bytes = static_cast<std::uint16_t>(key.size());
    entry->value_offset = static_cast<std::uint16_t>(offset);
    entry->value_bytes = value_bytes;
    key.copy(entry->bytes() + sizeof(Entry), key.size());
    return entry;
  }
  void Release(Entry* entry) {
    if (entry->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::uint64_t offset = OffsetOf(entry);
    entry->~Entry();
    allocator_.Free(offset);
  }
  // Of the entry's block in the region.
  [[nodiscard]] std::uint64_t OffsetOf(Entry* entry) const {
    return static_cast<std::uint64_t>(entry->bytes() - region_.data());
  }
  // For a block of `bytes` that there is no room for.
  [[nodiscard]] BlockAllocator::Forecast MakeForecast(std::uint64_t bytes) const {
    return {&allocator_, bytes};
  }
  [[nodiscard]] const MappedMemory& region() const { return region_; }
  [[nodiscard]] BlockAllocator::Usage usage() const { return allocator_.usage(); }

 private:
  MappedMemory region_;
  BlockAllocator allocator_;
};

// A reference to an entry, for as long as the result lives.
inline std::shared_ptr<void> PinEntry(std::shared_ptr<StoreMemory> memory, Entry* entry) {
  entry->references.fetch_add(1, std::memory_order_relaxed);
  return {entry->value(), [memory = std::move(memory), entry](void*) { memory->Release(entry); }};
}

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_STORE_ENTRY_H_
