#include "src/dram/store/shard.h"

namespace cairn::dram {

void Shard::Put(Entry* entry, Entry* old) {
  if (old != nullptr) {
    // The keys are equal, so the places in both sets stay right.
    const_cast<Entry*&>(*ordered_.find(old->key())) = entry;
    const_cast<Entry*&>(*by_hash_.find(HashedKey{old->key(), old->hash})) = entry;
    Unlink(old);
    value_bytes_ -= old->value_bytes;
  } else {
    ordered_.insert(entry);
    by_hash_.insert(entry);
  }
  Link(entry);
  value_bytes_ += entry->value_bytes;
}

void Shard::Remove(Entry* entry) {
  ordered_.erase(entry);
  by_hash_.erase(entry);
  Unlink(entry);
  value_bytes_ -= entry->value_bytes;
}

void Shard::Touch(Entry* entry, std::uint32_t now) {
  entry->last_use = now;
  if (entry == newest_) return;
  Unlink(entry);
  Link(entry);
}

void Shard::Link(Entry* entry) {
  entry->newer = nullptr;
  entry->older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = entry;
  newest_ = entry;
}

void Shard::Unlink(Entry* entry) {
  (entry->newer != nullptr ? entry->newer->older : newest_) = entry->older;
  (entry->older != nullptr ? entry->older->newer : oldest_) = entry->newer;
}

}  // namespace cairn::dram
