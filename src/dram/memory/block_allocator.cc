#include "src/dram/memory/block_allocator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include "src/base/check.h"

namespace cairn::dram {
namespace {

constexpr std::size_t kMinBytes = 64;
constexpr std::uint32_t kMaxSlabPages = 16;

struct SizeClass {
  std::uint32_t bytes = 0;
  std::uint32_t slab_pages = 0;
  std::uint32_t blocks = 0;
};

// 64, 80, 96, 112, 128, ..., then eight classes to each power of two, up to 32 KiB.
struct Classes {
  std::array<SizeClass, 80> table;
  std::size_t count = 0;

  constexpr Classes() {
    for (std::uint32_t bytes = kMinBytes; bytes <= BlockAllocator::kMaxSmallBytes;) {
      table[count++] = WithSlab(bytes);
      bytes += std::max<std::uint32_t>(16, std::bit_floor(bytes) / 8);
    }
  }
  // The slab that wastes least at its end; the smaller one among equals.
  static constexpr SizeClass WithSlab(std::uint32_t bytes) {
    SizeClass best;
    double best_waste = 2;
    for (std::uint32_t pages = 1; pages <= kMaxSlabPages; ++pages) {
      const std::uint32_t slab = pages * BlockAllocator::kPageBytes;
      const std::uint32_t blocks = std::min<std::uint32_t>(64, slab / bytes);
      const double waste = 1.0 - static_cast<double>(blocks * bytes) / slab;
      if (blocks > 0 && waste < best_waste - 0.005) {
        best = {bytes, pages, blocks};
        best_waste = waste;
      }
    }
    return best;
  }
};
constexpr Classes kClasses;

std::size_t ClassOf(std::uint64_t bytes) {
  const auto begin = kClasses.table.begin();
  const auto it = std::lower_bound(begin, begin + kClasses.count, bytes,
                                   [](const SizeClass& c, std::uint64_t b) { return c.bytes < b; });
  return static_cast<std::size_t>(it - begin);
}

std::uint64_t PagesOf(std::uint64_t bytes) {
  return (bytes + BlockAllocator::kPageBytes - 1) / BlockAllocator::kPageBytes;
}

MappedMemory PageTable(std::uint64_t bytes) {
  auto memory = MappedMemory::Make(bytes, /*huge_pages=*/false);
  CAIRN_CHECK(memory.ok(), memory.status().ToString());
  return *std::move(memory);
}

}  // namespace

BlockAllocator::BlockAllocator(std::uint64_t bytes)
    : page_count_(static_cast<std::uint32_t>(bytes / kPageBytes)),
      page_memory_(PageTable((std::uint64_t{page_count_} + 1) * sizeof(Page))),
      pages_(reinterpret_cast<Page*>(page_memory_.data())) {
  CAIRN_CHECK(bytes % kPageBytes == 0 && bytes / kPageBytes < UINT32_MAX && bytes > 0);
  MutexLock lock(&mutex_);
  partial_.resize(kClasses.count);
  AddFreeRun(0, page_count_);
}

std::uint64_t BlockAllocator::RoundedBytes(std::uint64_t bytes) {
  if (bytes <= kMaxSmallBytes) return kClasses.table[ClassOf(bytes)].bytes;
  return PagesOf(bytes) * kPageBytes;
}

std::uint64_t BlockAllocator::Allocate(std::uint64_t bytes) {
  MutexLock lock(&mutex_);
  if (bytes <= kMaxSmallBytes) return AllocateSmall(ClassOf(bytes));
  const std::uint64_t count = PagesOf(bytes);
  if (count > page_count_) return kNone;
  const auto pages = static_cast<std::uint32_t>(count);
  const std::uint64_t start = AllocateRun(pages);
  if (start == kNone) return kNone;
  pages_[start].kind = Kind::kLarge;
  pages_[start].pages = pages;
  usage_.block_bytes += pages * std::uint64_t{kPageBytes};
  return start * kPageBytes;
}

std::uint64_t BlockAllocator::AllocateSmall(std::size_t size_class) {
  const SizeClass& c = kClasses.table[size_class];
  auto& partial = partial_[size_class];
  if (partial.empty()) {
    const std::uint64_t start = AllocateRun(c.slab_pages);
    if (start == kNone) return kNone;
    Page& head = pages_[start];
    head = {c.blocks == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << c.blocks) - 1, c.slab_pages,
            0, static_cast<std::uint8_t>(size_class), Kind::kSlabHead};
    for (std::uint32_t i = 1; i < c.slab_pages; ++i) {
      pages_[start + i].kind = Kind::kSlabInterior;
      pages_[start + i].pages = i;
    }
    partial.insert(static_cast<std::uint32_t>(start));
  }
  const std::uint32_t start = *partial.begin();
  Page& head = pages_[start];
  const int block = std::countr_zero(head.free_blocks);
  head.free_blocks &= head.free_blocks - 1;
  ++head.used;
  if (head.free_blocks == 0) partial.erase(partial.begin());
  usage_.block_bytes += c.bytes;
  return start * std::uint64_t{kPageBytes} + static_cast<std::uint64_t>(block) * c.bytes;
}

std::uint64_t BlockAllocator::AllocateRun(std::uint32_t pages) {
  const auto it = free_runs_.lower_bound({pages, 0});
  if (it == free_runs_.end()) return kNone;
  const auto [found, start] = *it;
  RemoveFreeRun(start, found);
  if (found > pages) AddFreeRun(start + pages, found - pages);
  usage_.page_bytes += pages * std::uint64_t{kPageBytes};
  return start;
}

void BlockAllocator::Free(std::uint64_t offset) {
  MutexLock lock(&mutex_);
  auto page = static_cast<std::uint32_t>(offset / kPageBytes);
  CAIRN_CHECK(page < page_count_);
  if (pages_[page].kind == Kind::kSlabInterior) page -= pages_[page].pages;
  if (pages_[page].kind == Kind::kSlabHead) return FreeSmall(page, offset);
  CAIRN_CHECK(pages_[page].kind == Kind::kLarge && offset % kPageBytes == 0,
              "no block at offset " + std::to_string(offset));
  const std::uint32_t pages = pages_[page].pages;
  usage_.block_bytes -= pages * std::uint64_t{kPageBytes};
  FreeRun(page, pages);
}

void BlockAllocator::FreeSmall(std::uint32_t head, std::uint64_t offset) {
  Page& slab = pages_[head];
  const SizeClass& c = kClasses.table[slab.size_class];
  const std::uint64_t within = offset - head * std::uint64_t{kPageBytes};
  const std::uint64_t bit = std::uint64_t{1} << (within / c.bytes);
  CAIRN_CHECK(within % c.bytes == 0 && (slab.free_blocks & bit) == 0,
              "no block at offset " + std::to_string(offset));
  usage_.block_bytes -= c.bytes;
  auto& partial = partial_[slab.size_class];
  if (slab.free_blocks == 0) partial.insert(head);
  slab.free_blocks |= bit;
  if (--slab.used > 0) return;
  partial.erase(head);
  const std::uint32_t pages = slab.pages;
  for (std::uint32_t i = 0; i < pages; ++i) pages_[head + i].kind = Kind::kInterior;
  FreeRun(head, pages);
}

void BlockAllocator::FreeRun(std::uint32_t start, std::uint32_t pages) {
  usage_.page_bytes -= pages * std::uint64_t{kPageBytes};
  pages_[start].kind = Kind::kInterior;
  if (const std::uint32_t right = start + pages;
      right < page_count_ && pages_[right].kind == Kind::kFreeHead) {
    const std::uint32_t more = pages_[right].pages;
    RemoveFreeRun(right, more);
    pages += more;
  }
  if (start > 0) {
    const Page& left = pages_[start - 1];
    if (left.kind == Kind::kFreeTail || (left.kind == Kind::kFreeHead && left.pages == 1)) {
      const std::uint32_t more = left.pages;
      RemoveFreeRun(start - more, more);
      start -= more;
      pages += more;
    }
  }
  AddFreeRun(start, pages);
}

void BlockAllocator::AddFreeRun(std::uint32_t start, std::uint32_t pages) {
  pages_[start + pages - 1].kind = Kind::kFreeTail;
  pages_[start + pages - 1].pages = pages;
  pages_[start].kind = Kind::kFreeHead;
  pages_[start].pages = pages;
  free_runs_.emplace(pages, start);
}

void BlockAllocator::RemoveFreeRun(std::uint32_t start, std::uint32_t pages) {
  pages_[start].kind = Kind::kInterior;
  pages_[start + pages - 1].kind = Kind::kInterior;
  free_runs_.erase({pages, start});
}

BlockAllocator::Usage BlockAllocator::usage() const {
  MutexLock lock(&mutex_);
  Usage usage = usage_;
  usage.largest_free_bytes =
      free_runs_.empty() ? 0 : free_runs_.rbegin()->first * std::uint64_t{kPageBytes};
  return usage;
}

BlockAllocator::Forecast::Forecast(const BlockAllocator* allocator, std::uint64_t bytes)
    : allocator_(allocator),
      small_(bytes <= kMaxSmallBytes),
      size_class_(small_ ? ClassOf(bytes) : 0),
      pages_(small_ ? kClasses.table[size_class_].slab_pages : PagesOf(bytes)) {}

void BlockAllocator::Forecast::Free(std::uint64_t offset) {
  MutexLock lock(&allocator_->mutex_);
  auto head = static_cast<std::uint32_t>(offset / kPageBytes);
  CAIRN_CHECK(head < allocator_->page_count_);
  if (allocator_->pages_[head].kind == Kind::kSlabInterior) head -= allocator_->pages_[head].pages;
  const Page& page = allocator_->pages_[head];
  if (page.kind == Kind::kLarge) {
    AddRun(head, page.pages);
  } else if (page.kind == Kind::kSlabHead) {
    if (small_ && page.size_class == size_class_) fits_ = true;
    if (++of_slabs_[head] >= page.used) AddRun(head, page.pages);
  }
}

void BlockAllocator::Forecast::AddRun(std::uint32_t start, std::uint32_t pages) {
  std::uint32_t end = start + pages;
  for (bool grown = true; grown;) {
    grown = false;
    if (start > 0) {
      const Page& left = allocator_->pages_[start - 1];
      if (left.kind == Kind::kFreeTail || (left.kind == Kind::kFreeHead && left.pages == 1)) {
        start -= left.pages;
        grown = true;
      }
    }
    if (end < allocator_->page_count_ && allocator_->pages_[end].kind == Kind::kFreeHead) {
      end += allocator_->pages_[end].pages;
      grown = true;
    }
    auto it = runs_.upper_bound(start);
    if (it != runs_.begin() && std::prev(it)->second >= start) --it;
    if (it != runs_.end() && it->first <= end) {
      start = std::min(start, it->first);
      end = std::max(end, it->second);
      runs_.erase(it);
      grown = true;
    }
  }
  runs_[start] = end;
  largest_pages_ = std::max(largest_pages_, end - start);
  if (largest_pages_ >= pages_) fits_ = true;
}

}  // namespace cairn::dram
