// LocalStore's eviction: what goes, and whether that helps.
#include <algorithm>
#include <string>

#include "src/dram/store/local_store.h"

namespace cairn::dram {
namespace {

// Of each shard, as far as values are looked at in the order in which they would go.
constexpr std::size_t kMaxOrdered = 512;
// A no counts if nothing changed meanwhile: a thread that is not run for a while may find that
// other values lie where those did that it knows. In a store that never rests, the last no counts.
constexpr int kLooks = 4;
// How many are looked at under a shard's lock at a time.
constexpr std::size_t kStep = 512;

// Readers take references under the shard's lock, so that nobody takes one meanwhile.
bool IsUnheld(const Entry* entry) { return entry->references.load(std::memory_order_acquire) == 1; }

}  // namespace

Entry* LocalStore::OldestUnheld(Shard* shard) {
  for (std::size_t left = shard->size(); left > 0; --left) {
    Entry* const oldest = shard->Oldest();
    if (IsUnheld(oldest)) return oldest;
    // In use now, as its reader has it still.
    shard->Touch(oldest, uses_.fetch_add(1));
  }
  return nullptr;
}

bool LocalStore::EvictOne() {
  // The oldest of the shards' oldest. Another thread may take it first; then the next look finds
  // another.
  LockedShard* victim = nullptr;
  std::uint32_t age = 0;
  for (LockedShard& locked : shards_) {
    MutexLock lock(&locked.mutex);
    const Entry* oldest = OldestUnheld(&locked.shard);
    if (oldest == nullptr) continue;
    const std::uint32_t own_age = uses_.load() - oldest->last_use;
    if (victim != nullptr && own_age <= age) continue;
    victim = &locked;
    age = own_age;
  }
  if (victim == nullptr) return false;
  Entry* entry = nullptr;
  {
    MutexLock lock(&victim->mutex);
    entry = OldestUnheld(&victim->shard);
    if (entry != nullptr) victim->shard.Remove(entry);
  }
  if (entry == nullptr) return true;
  memory_->Release(entry);
  evicted_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::uint32_t LocalStore::AddOldest(LockedShard* locked, std::size_t quota,
                                    std::vector<Candidate>* oldest) {
  MutexLock lock(&locked->mutex);
  const std::uint32_t now = uses_.load();
  for (Entry* entry = locked->shard.Oldest(); entry != nullptr; entry = entry->newer) {
    if (!IsUnheld(entry)) continue;
    if (quota-- == 0) return oldest->back().age;
    oldest->push_back({now - entry->last_use, memory_->OffsetOf(entry)});
  }
  return 0;
}

LocalStore::EvictionOutlook LocalStore::LookAhead(std::uint64_t bytes) {
  EvictionOutlook outlook;
  for (int look = 0; look < kLooks; ++look) {
    const std::uint64_t before = writes_.load() + evicted_.load();
    outlook = LookOnce(bytes);
    if (outlook.evictions > 0 || writes_.load() + evicted_.load() == before) break;
  }
  return outlook;
}

LocalStore::EvictionOutlook LocalStore::LookOnce(std::uint64_t bytes) {
  std::vector<Candidate> oldest;
  // Mostly the very first makes room, as values are often of one size.
  for (std::size_t quota = 1; quota <= kMaxOrdered; quota *= 8) {
    oldest.clear();
    std::uint32_t complete_to = 0;
    for (LockedShard& locked : shards_) {
      complete_to = std::max(complete_to, AddOldest(&locked, quota, &oldest));
    }
    std::sort(oldest.begin(), oldest.end(),
              [](const Candidate& a, const Candidate& b) { return a.age > b.age; });
    BlockAllocator::Forecast forecast = memory_->MakeForecast(bytes);
    std::uint64_t evictions = 0;
    for (const Candidate& candidate : oldest) {
      // Others may come before the rest.
      if (candidate.age < complete_to) break;
      forecast.Free(candidate.offset);
      ++evictions;
      if (forecast.fits()) return {evictions, 0};
    }
    if (complete_to == 0) return {0, forecast.largest_bytes()};
  }
  return LookAtAll(bytes);
}

LocalStore::EvictionOutlook LocalStore::LookAtAll(std::uint64_t bytes) {
  BlockAllocator::Forecast forecast = memory_->MakeForecast(bytes);
  std::uint64_t evictions = 0;
  std::vector<std::uint64_t> offsets;
  for (LockedShard& locked : shards_) {
    std::string from;
    do {
      offsets.clear();
      {
        MutexLock lock(&locked.mutex);
        const auto end = locked.shard.ordered().end();
        auto it = locked.shard.ordered().lower_bound(std::string_view(from));
        for (std::size_t step = 0; it != end && step < kStep; ++step, ++it) {
          if (IsUnheld(*it)) offsets.push_back(memory_->OffsetOf(*it));
        }
        from = it == end ? std::string() : std::string((*it)->key());
      }
      for (const std::uint64_t offset : offsets) forecast.Free(offset);
      evictions += offsets.size();
    } while (!from.empty());
  }
  return {forecast.fits() ? evictions : 0, forecast.largest_bytes()};
}

}  // namespace cairn::dram
