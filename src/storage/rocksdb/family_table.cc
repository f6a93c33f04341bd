#include "src/storage/rocksdb/family_table.h"

#include <algorithm>

#include "src/base/check.h"

namespace cairn::storage::rocks {

FamilyHandle::~FamilyHandle() {
  // Can only fail for a handle that is not this database's.
  const rocksdb::Status status = db_->DestroyColumnFamilyHandle(handle_);
  CAIRN_CHECK(status.ok(), status.ToString());
}

std::size_t FamilyTable::Stripe() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return mine;
}

FamilyTable::Slot* FamilyTable::FindLarge(FamilyId family) const {
  MutexLock lock(&mutex_);
  const auto found = slots_.find(family);
  return found == slots_.end() ? nullptr : found->second.get();
}

void FamilyTable::Add(FamilyId family, std::shared_ptr<FamilyHandle> handle) {
  MutexLock lock(&mutex_);
  CAIRN_CHECK(!open_.contains(family), "family " + ToString(family) + " is open");
  if (family == FamilyId(0)) default_ = handle;
  std::unique_ptr<Slot>& slot = slots_[family];
  if (slot == nullptr) slot = std::make_unique<Slot>();
  slot->handle.store(handle.get(), std::memory_order_seq_cst);
  if (family.value() < kSmall) {
    small_[family.value()].store(slot.get(), std::memory_order_release);
  }
  open_[family] = std::move(handle);
}

std::shared_ptr<FamilyHandle> FamilyTable::Hide(FamilyId family) {
  MutexLock lock(&mutex_);
  const auto found = open_.find(family);
  if (found == open_.end()) return nullptr;
  slots_[family]->handle.store(nullptr, std::memory_order_seq_cst);
  std::shared_ptr<FamilyHandle> handle = std::move(found->second);
  open_.erase(found);
  return handle;
}

void FamilyTable::Release(FamilyId family, std::shared_ptr<FamilyHandle> handle) {
  MutexLock lock(&mutex_);
  released_.emplace_back(slots_[family].get(), std::move(handle));
}

bool FamilyTable::Reap() {
  std::vector<std::shared_ptr<FamilyHandle>> gone;  // destroyed after the lock
  MutexLock lock(&mutex_);
  std::erase_if(released_, [&gone](auto& entry) {
    const auto& counters = entry.first->counters;
    const bool idle = std::all_of(counters.begin(), counters.end(), [](const Counter& c) {
      return c.readers.load(std::memory_order_seq_cst) == 0;
    });
    if (idle) gone.push_back(std::move(entry.second));
    return idle;
  });
  return !released_.empty();
}

std::vector<std::pair<FamilyId, std::shared_ptr<FamilyHandle>>> FamilyTable::List() const {
  MutexLock lock(&mutex_);
  return {open_.begin(), open_.end()};
}

void FamilyTable::Clear() {
  MutexLock lock(&mutex_);
  released_.clear();
  open_.clear();
  default_ = nullptr;
}

}  // namespace cairn::storage::rocks
