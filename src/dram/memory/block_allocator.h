// Which parts of a region are in use: an allocator for blocks from 64 bytes to the whole region.
//
// All bookkeeping is outside the region, so that nothing that is written into a block, or into one
// that was freed, can harm it. The region is divided into pages of 4 KiB. Blocks up to 32 KiB come
// from slabs: runs of up to 16 pages that hold up to 64 blocks of one size class (classes are an
// eighth of a power of two apart, so that rounding costs 12.5 % at most); free blocks are a bit map
// in the slab's entry, and the lowest slab that has one is used first, so that high ones empty.
// Larger blocks are runs of pages, best fit, lowest address first among equals, joined with free
// neighbours when freed. Measurements and the alternatives are in docs/adr/0010-dram-allocator.md.
//
// Thread safety: all of it, under one lock that is never held for longer than a tree operation.
#ifndef CAIRN_SRC_DRAM_MEMORY_BLOCK_ALLOCATOR_H_
#define CAIRN_SRC_DRAM_MEMORY_BLOCK_ALLOCATOR_H_

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/base/mutex.h"
#include "src/dram/memory/mapped_memory.h"

namespace cairn::dram {

class BlockAllocator {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kMaxSmallBytes = 32 << 10;
  // What Allocate gives if there is no room.
  static constexpr std::uint64_t kNone = UINT64_MAX;

  // For a region of `bytes`, a multiple of kPageBytes below 16 TiB.
  explicit BlockAllocator(std::uint64_t bytes);

  // The offset of a block of at least `bytes`, aligned to 16 bytes, and to a page if it is larger
  // than kMaxSmallBytes; kNone if no such block is free.
  std::uint64_t Allocate(std::uint64_t bytes);
  // Frees the block that Allocate gave.
  void Free(std::uint64_t offset);

  struct Usage {
    // Blocks in use, rounded to their class.
    std::uint64_t block_bytes = 0;
    // Pages that hold at least one block: what is not to be had for large blocks.
    std::uint64_t page_bytes = 0;
    std::uint64_t largest_free_bytes = 0;
  };
  [[nodiscard]] Usage usage() const;

  // The size that a request of `bytes` takes.
  static std::uint64_t RoundedBytes(std::uint64_t bytes);

  // Whether a block could be had if others were freed.
  class Forecast;

 private:
  enum class Kind : std::uint8_t {
    kInterior,
    kFreeHead,
    kFreeTail,
    kSlabHead,
    kSlabInterior,
    kLarge
  };
  struct Page {
    std::uint64_t free_blocks;  // of a slab: bit i is block i
    std::uint32_t pages;        // of the run; in a slab's interior, the distance to its head
    std::uint16_t used;         // of a slab
    std::uint8_t size_class;    // of a slab
    Kind kind;
  };
  static_assert(sizeof(Page) == 16);

  std::uint64_t AllocateSmall(std::size_t size_class) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::uint64_t AllocateRun(std::uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeSmall(std::uint32_t head, std::uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeRun(std::uint32_t start, std::uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddFreeRun(std::uint32_t start, std::uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveFreeRun(std::uint32_t start, std::uint32_t pages)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::uint32_t page_count_;
  mutable Mutex mutex_;
  // Zeroed and touched only where used.
  MappedMemory page_memory_;
  Page* const pages_ ABSL_PT_GUARDED_BY(mutex_);
  // (pages, start) of the free runs.
  absl::btree_set<std::pair<std::uint32_t, std::uint32_t>> free_runs_ ABSL_GUARDED_BY(mutex_);
  // By class: heads of the slabs that have a free block.
  std::vector<absl::btree_set<std::uint32_t>> partial_ ABSL_GUARDED_BY(mutex_);
  Usage usage_ ABSL_GUARDED_BY(mutex_);
};

// Blocks are named one after the other; nothing is freed by it. Exact for an allocator that nobody
// uses meanwhile; else what is freed, or taken, in between may be missed.
//
// Thread safety: none of its own. The allocator may be in use.
class BlockAllocator::Forecast {
 public:
  // For a block of `bytes`, which Allocate has just refused.
  Forecast(const BlockAllocator* allocator, std::uint64_t bytes);

  // Adds a block to those that are taken for free: the offset that Allocate gave, once. One that is
  // not in use any more is passed over.
  void Free(std::uint64_t offset);
  // Whether the block could be had then.
  [[nodiscard]] bool fits() const { return fits_; }
  // The largest free piece that the blocks named would make, with what is free beside them.
  [[nodiscard]] std::uint64_t largest_bytes() const {
    return largest_pages_ * std::uint64_t{kPageBytes};
  }

 private:
  void AddRun(std::uint32_t start, std::uint32_t pages)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(allocator_->mutex_);

  const BlockAllocator* const allocator_;
  const bool small_;
  const std::size_t size_class_;  // if it is small
  const std::uint64_t pages_;     // the run that gives the block
  // By the heads of slabs: how many of their blocks were named.
  absl::flat_hash_map<std::uint32_t, std::uint32_t> of_slabs_;
  // Runs that would be free, by their first page: the page behind them. No two touch.
  absl::btree_map<std::uint32_t, std::uint32_t> runs_;
  std::uint32_t largest_pages_ = 0;
  bool fits_ = false;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_MEMORY_BLOCK_ALLOCATOR_H_
