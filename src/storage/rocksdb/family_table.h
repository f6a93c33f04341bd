// The column families that are open, found without a lock.
//
// A point read must not take a lock to find its family, nor touch memory that other readers write.
// So each family has a slot that is never freed, and the slot counts the readers inside it in a few
// counters a cache line apart. Dropping a family hides its handle first; the handle goes when the
// counters have been seen at zero after that. Whoever got the handle before was counted before, so
// it is never freed under a reader. (Both sides use sequentially consistent operations: a reader
// counts then looks, a dropper hides then counts.)
//
// The default family is never dropped: it needs no counting.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_FAMILY_TABLE_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_FAMILY_TABLE_H_

#include <rocksdb/db.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/ids.h"
#include "src/base/mutex.h"

namespace cairn::storage::rocks {

// Owns an open handle. Destroyed before the database is.
class FamilyHandle : public std::enable_shared_from_this<FamilyHandle> {
 public:
  FamilyHandle(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* handle) : db_(db), handle_(handle) {}
  ~FamilyHandle();
  FamilyHandle(const FamilyHandle&) = delete;
  FamilyHandle& operator=(const FamilyHandle&) = delete;
  [[nodiscard]] rocksdb::ColumnFamilyHandle* get() const { return handle_; }

 private:
  rocksdb::DB* const db_;
  rocksdb::ColumnFamilyHandle* const handle_;
};

// Thread safe.
class FamilyTable {
 private:
  static constexpr std::size_t kStripes = 8;
  struct alignas(64) Counter {
    std::atomic<std::int64_t> readers{0};
  };
  struct Slot {
    std::atomic<FamilyHandle*> handle{nullptr};
    std::array<Counter, kStripes> counters;
  };

 public:
  // Keeps a family's handle from going away while it lives.
  class Pin {
   public:
    Pin() = default;
    Pin(FamilyHandle* handle, Counter* counter) : handle_(handle), counter_(counter) {}
    Pin(Pin&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)),
          counter_(std::exchange(other.counter_, nullptr)) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (counter_ != nullptr) counter_->readers.fetch_sub(1, std::memory_order_release);
    }
    explicit operator bool() const { return handle_ != nullptr; }
    [[nodiscard]] rocksdb::ColumnFamilyHandle* get() const { return handle_->get(); }
    // Keeps the handle beyond the pin.
    [[nodiscard]] std::shared_ptr<FamilyHandle> Share() const {
      return handle_->shared_from_this();
    }

   private:
    FamilyHandle* handle_ = nullptr;
    Counter* counter_ = nullptr;
  };

  FamilyTable() = default;
  FamilyTable(const FamilyTable&) = delete;
  FamilyTable& operator=(const FamilyTable&) = delete;

  // An empty pin if there is no such family.
  [[nodiscard]] Pin Find(FamilyId family) const {
    if (family == FamilyId(0)) return {default_.get(), nullptr};
    Slot* const slot = FindSlot(family);
    if (slot == nullptr) return {};
    Counter& counter = slot->counters[Stripe()];
    counter.readers.fetch_add(1, std::memory_order_seq_cst);
    FamilyHandle* const handle = slot->handle.load(std::memory_order_seq_cst);
    if (handle == nullptr) {
      counter.readers.fetch_sub(1, std::memory_order_release);
      return {};
    }
    return {handle, &counter};
  }

  // The family must not be there. The default family comes first, before any reader.
  void Add(FamilyId family, std::shared_ptr<FamilyHandle> handle);
  // Hides the family and returns its handle; null if it is not there. Release gives the handle
  // back.
  std::shared_ptr<FamilyHandle> Hide(FamilyId family);
  // Takes over a hidden handle and lets it go when no reader is left, at some later Reap.
  void Release(FamilyId family, std::shared_ptr<FamilyHandle> handle);
  // Lets go of released handles that have no readers. True if some are left.
  bool Reap();
  // All families that are not hidden.
  [[nodiscard]] std::vector<std::pair<FamilyId, std::shared_ptr<FamilyHandle>>> List() const;
  // Before the database closes: no readers may be left.
  void Clear();

 private:
  static constexpr std::uint32_t kSmall = 4096;

  // Ids past kSmall are looked up under the lock: a store needs thousands of CREATEs to get there.
  Slot* FindSlot(FamilyId family) const {
    if (family.value() < kSmall) return small_[family.value()].load(std::memory_order_acquire);
    return FindLarge(family);
  }
  Slot* FindLarge(FamilyId family) const;
  static std::size_t Stripe();

  std::shared_ptr<FamilyHandle> default_;  // set once, before any reader
  std::array<std::atomic<Slot*>, kSmall> small_{};
  mutable Mutex mutex_;
  std::map<FamilyId, std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  std::map<FamilyId, std::shared_ptr<FamilyHandle>> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<Slot*, std::shared_ptr<FamilyHandle>>> released_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_FAMILY_TABLE_H_
