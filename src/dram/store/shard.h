// A part of the store's directory: the keys of one part of the hash space, by hash and in order.
//
// Thread safety: none; each shard belongs to a lock of the store.
#ifndef CAIRN_SRC_DRAM_STORE_SHARD_H_
#define CAIRN_SRC_DRAM_STORE_SHARD_H_

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <string_view>

#include "src/dram/store/entry.h"

namespace cairn::dram {

struct HashedKey {
  std::string_view key;
  std::uint32_t hash;
};

class Shard {
 public:
  Entry* Find(const HashedKey& key) const {
    const auto it = by_hash_.find(key);
    return it == by_hash_.end() ? nullptr : *it;
  }
  // Puts `entry` in, in place of `old` (null if there is none), as the most recently used.
  void Put(Entry* entry, Entry* old);
  void Remove(Entry* entry);
  void Touch(Entry* entry, std::uint32_t now);
  // The least recently used; null if the shard is empty.
  [[nodiscard]] Entry* Oldest() const { return oldest_; }
  [[nodiscard]] std::size_t size() const { return by_hash_.size(); }
  [[nodiscard]] std::uint64_t value_bytes() const { return value_bytes_; }

  struct Less {
    using is_transparent = void;
    bool operator()(const Entry* a, const Entry* b) const { return a->key() < b->key(); }
    bool operator()(const Entry* a, std::string_view b) const { return a->key() < b; }
    bool operator()(std::string_view a, const Entry* b) const { return a < b->key(); }
  };
  using Ordered = absl::btree_set<Entry*, Less>;
  [[nodiscard]] const Ordered& ordered() const { return ordered_; }

 private:
  struct Hash {
    using is_transparent = void;
    static std::size_t Mix(std::uint32_t hash) { return hash * 0x9E3779B97F4A7C15ULL; }
    std::size_t operator()(const Entry* entry) const { return Mix(entry->hash); }
    std::size_t operator()(const HashedKey& key) const { return Mix(key.hash); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Entry* a, const Entry* b) const { return a->key() == b->key(); }
    bool operator()(const Entry* a, const HashedKey& b) const {
      return a->hash == b.hash && a->key() == b.key;
    }
    bool operator()(const HashedKey& a, const Entry* b) const { return operator()(b, a); }
  };
  void Link(Entry* entry);
  void Unlink(Entry* entry);

  absl::flat_hash_set<Entry*, Hash, Equal> by_hash_;
  Ordered ordered_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  std::uint64_t value_bytes_ = 0;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_STORE_SHARD_H_
