// Iterators of the memory engine. None holds the lock between calls: a position is remembered as a
// key, with a tree position as a short cut while no key was added or removed.
#include <algorithm>
#include <utility>

#include "src/storage/memory/memory_store.h"

namespace cairn::storage::memory {

const Entry* NewestAt(const History& history, Version at) {
  // From the new end: most reads want the newest write or one close to it.
  for (auto entry = history.rbegin(); entry != history.rend(); ++entry) {
    if (entry->version <= at) return &*entry;
  }
  return nullptr;
}

Status TooOld(Version at, Version watermark) {
  return TransactionTooOldError("version " + ToString(at) + " is below the watermark " +
                                ToString(watermark));
}

namespace {

using Tree = absl::btree_map<std::string, History, std::less<>>;

bool BelowEnd(std::string_view key, const KeyRange& range) {
  return range.end.empty() || key < range.end;
}

class MemoryIterator final : public ReadIterator {
 public:
  MemoryIterator(std::shared_ptr<Store> store, std::shared_ptr<const Family> family, KeyRange range,
                 Version at)
      : store_(std::move(store)), family_(std::move(family)), range_(std::move(range)), at_(at) {}

  [[nodiscard]] bool Valid() const override { return valid_; }
  [[nodiscard]] Status status() const override { return status_; }
  [[nodiscard]] std::string_view key() const override { return key_; }
  [[nodiscard]] std::string_view value() const override { return value_; }

  void SeekGreaterOrEqual(std::string_view target) override {
    MutexLock lock(&store_->mutex);
    if (!Begin()) return;
    Forward(family_->keys.lower_bound(std::max<std::string_view>(target, range_.begin)));
  }

  void SeekLess(std::string_view target) override {
    MutexLock lock(&store_->mutex);
    if (!Begin()) return;
    const bool at_end = target.empty() || !BelowEnd(target, range_);
    Backward(at_end ? End() : family_->keys.lower_bound(target));
  }

  void Next() override {
    MutexLock lock(&store_->mutex);
    auto place = Here();
    if (!Begin()) return;
    // The key itself is gone if every write of it fell below the watermark; then so is this read.
    if (place != family_->keys.end() && place->first == key_) ++place;
    Forward(place);
  }

  void Prev() override {
    MutexLock lock(&store_->mutex);
    const auto place = Here();
    if (!Begin()) return;
    Backward(place);
  }

 private:
  // Clears the position; false if the watermark has passed this reader.
  bool Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    valid_ = false;
    status_ = at_ < store_->watermark ? TooOld(at_, store_->watermark) : Status::Ok();
    return status_.ok();
  }
  // The tree position of key_, or of the first key after it.
  Tree::const_iterator Here() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    return generation_ == family_->generation ? place_ : family_->keys.lower_bound(key_);
  }
  Tree::const_iterator End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    return range_.end.empty() ? family_->keys.end() : family_->keys.lower_bound(range_.end);
  }
  // To the first visible key at or after `place`.
  void Forward(Tree::const_iterator place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    for (; place != family_->keys.end() && BelowEnd(place->first, range_); ++place) {
      if (Show(place)) return;
    }
  }
  // To the last visible key before `place`.
  void Backward(Tree::const_iterator place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    while (place != family_->keys.begin()) {
      --place;
      if (place->first < range_.begin || Show(place)) return;
    }
  }
  bool Show(Tree::const_iterator place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    const Entry* entry = NewestAt(place->second, at_);
    if (entry == nullptr || entry->deleted) return false;
    key_ = place->first;
    value_ = entry->value;
    place_ = place;
    generation_ = family_->generation;
    valid_ = true;
    return true;
  }

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<const Family> family_;
  const KeyRange range_;
  const Version at_;
  bool valid_ = false;
  Status status_;
  std::string key_;
  std::string value_;
  Tree::const_iterator place_;
  std::uint64_t generation_ = 0;
};

class MemoryHistoryIterator final : public HistoryIterator {
 public:
  MemoryHistoryIterator(std::shared_ptr<Store> store, std::shared_ptr<const Family> family,
                        KeyRange range)
      : store_(std::move(store)), family_(std::move(family)), range_(std::move(range)) {
    MutexLock lock(&store_->mutex);
    ShowNewest(family_->keys.lower_bound(range_.begin));
  }

  [[nodiscard]] bool Valid() const override { return valid_; }
  [[nodiscard]] Status status() const override { return Status::Ok(); }
  [[nodiscard]] std::string_view key() const override { return key_; }
  [[nodiscard]] Version version() const override { return version_; }
  [[nodiscard]] bool is_delete() const override { return deleted_; }

  void Next() override {
    MutexLock lock(&store_->mutex);
    auto place = family_->keys.lower_bound(key_);
    if (place != family_->keys.end() && place->first == key_) {
      if (version_ > Version(0)) {
        if (const Entry* older = NewestAt(place->second, version_.Prev()); older != nullptr) {
          Show(place->first, *older);
          return;
        }
      }
      ++place;
    }
    ShowNewest(place);
  }

 private:
  void ShowNewest(Tree::const_iterator place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    valid_ = place != family_->keys.end() && BelowEnd(place->first, range_);
    if (valid_) Show(place->first, place->second.back());
  }
  void Show(const std::string& key, const Entry& entry) {
    key_ = key;
    version_ = entry.version;
    deleted_ = entry.deleted;
  }

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<const Family> family_;
  const KeyRange range_;
  bool valid_ = false;
  std::string key_;
  Version version_;
  bool deleted_ = false;
};

class MemorySystemIterator final : public SystemIterator {
 public:
  MemorySystemIterator(std::shared_ptr<Store> store, SystemSpace space, KeyRange range)
      : store_(std::move(store)), space_(space), range_(std::move(range)) {
    MutexLock lock(&store_->mutex);
    const auto& keys = Keys();
    Show(keys, keys.lower_bound(range_.begin));
  }

  [[nodiscard]] bool Valid() const override { return valid_; }
  [[nodiscard]] Status status() const override { return Status::Ok(); }
  [[nodiscard]] std::string_view key() const override { return key_; }
  [[nodiscard]] std::string_view value() const override { return value_; }

  void Next() override {
    MutexLock lock(&store_->mutex);
    const auto& keys = Keys();
    Show(keys, keys.upper_bound(key_));
  }

 private:
  using SystemTree = absl::btree_map<std::string, std::string, std::less<>>;

  const SystemTree& Keys() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_->mutex) {
    return store_->system[static_cast<std::size_t>(space_)].keys;
  }
  void Show(const SystemTree& keys, SystemTree::const_iterator place) {
    valid_ = place != keys.end() && BelowEnd(place->first, range_);
    if (!valid_) return;
    key_ = place->first;
    value_ = place->second;
  }

  const std::shared_ptr<Store> store_;
  const SystemSpace space_;
  const KeyRange range_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

}  // namespace

std::unique_ptr<ReadIterator> NewMemoryIterator(std::shared_ptr<Store> store,
                                                std::shared_ptr<const Family> family,
                                                KeyRange range, Version at) {
  return std::make_unique<MemoryIterator>(std::move(store), std::move(family), std::move(range),
                                          at);
}

std::unique_ptr<HistoryIterator> NewMemoryHistoryIterator(std::shared_ptr<Store> store,
                                                          std::shared_ptr<const Family> family,
                                                          KeyRange range) {
  return std::make_unique<MemoryHistoryIterator>(std::move(store), std::move(family),
                                                 std::move(range));
}

std::unique_ptr<SystemIterator> NewMemorySystemIterator(std::shared_ptr<Store> store,
                                                        SystemSpace space, KeyRange range) {
  return std::make_unique<MemorySystemIterator>(std::move(store), space, std::move(range));
}

}  // namespace cairn::storage::memory
