#include "src/storage/rocksdb/iterators.h"

#include <rocksdb/iterator.h>

#include <string>
#include <utility>

#include "src/base/check.h"
#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage::rocks {

Status TooOld(Version at, std::uint64_t watermark) {
  return TransactionTooOldError("version " + ToString(at) + " is below the watermark " +
                                std::to_string(watermark));
}

namespace {

// Bounds and timestamps of one read, at addresses that do not move.
class ReadScope {
 public:
  explicit ReadScope(const KeyRange& range) : range_(range) {
    if (!range_.begin.empty()) {
      begin_ = ToSlice(range_.begin);
      options_.iterate_lower_bound = &begin_;
    }
    if (!range_.end.empty()) {
      end_ = ToSlice(range_.end);
      options_.iterate_upper_bound = &end_;
    }
  }
  ReadScope(const ReadScope&) = delete;
  ReadScope& operator=(const ReadScope&) = delete;

  // Reads what is visible at `at`.
  void At(Version at) {
    at_ = EncodedVersion(at);
    at_slice_ = at_.slice();
    options_.timestamp = &at_slice_;
  }
  // Reads every version up to the one of At.
  void WithHistory() {
    oldest_slice_ = oldest_.slice();
    options_.iter_start_ts = &oldest_slice_;
  }

  [[nodiscard]] const KeyRange& range() const { return range_; }
  // A range that ends before it begins: RocksDB would not like such bounds.
  [[nodiscard]] bool empty() const { return !range_.end.empty() && range_.end <= range_.begin; }
  [[nodiscard]] const rocksdb::ReadOptions& options() const { return options_; }

 private:
  const KeyRange range_;
  rocksdb::Slice begin_;
  rocksdb::Slice end_;
  EncodedVersion at_{Version(0)};
  rocksdb::Slice at_slice_;
  const EncodedVersion oldest_{Version(0)};
  rocksdb::Slice oldest_slice_;
  rocksdb::ReadOptions options_;
};

class RocksReadIterator final : public ReadIterator {
 public:
  RocksReadIterator(rocksdb::DB* db, std::shared_ptr<FamilyHandle> family, const KeyRange& range,
                    Version at, const std::atomic<std::uint64_t>* watermark)
      : family_(std::move(family)), scope_(range), at_(at), watermark_(watermark) {
    scope_.At(at);
    iterator_.reset(db->NewIterator(scope_.options(), family_->get()));
  }

  [[nodiscard]] bool Valid() const override { return valid_; }

  [[nodiscard]] Status status() const override {
    const std::uint64_t watermark = watermark_->load(std::memory_order_acquire);
    if (at_.value() < watermark) return TooOld(at_, watermark);
    return FromRocks(iterator_->status());
  }

  void SeekGreaterOrEqual(std::string_view target) override {
    if (!Begin()) return;
    const std::string& begin = scope_.range().begin;
    iterator_->Seek(ToSlice(target < begin ? begin : target));
    valid_ = iterator_->Valid();
  }

  void SeekLess(std::string_view target) override {
    if (!Begin()) return;
    const std::string& end = scope_.range().end;
    if (target.empty() || (!end.empty() && target > end)) target = end;
    if (target.empty()) {
      iterator_->SeekToLast();
    } else {
      iterator_->SeekForPrev(ToSlice(target));
      if (iterator_->Valid() && iterator_->key() == ToSlice(target)) iterator_->Prev();
    }
    valid_ = iterator_->Valid();
  }

  void Next() override {
    if (!Begin()) return;
    iterator_->Next();
    valid_ = iterator_->Valid();
  }

  void Prev() override {
    if (!Begin()) return;
    iterator_->Prev();
    valid_ = iterator_->Valid();
  }

  [[nodiscard]] std::string_view key() const override { return ToView(iterator_->key()); }
  [[nodiscard]] std::string_view value() const override { return ToView(iterator_->value()); }

 private:
  // False, with nothing to read, if the watermark has passed this reader or the range is empty.
  bool Begin() {
    valid_ = false;
    return at_.value() >= watermark_->load(std::memory_order_acquire) && !scope_.empty();
  }

  const std::shared_ptr<FamilyHandle> family_;
  ReadScope scope_;
  const Version at_;
  const std::atomic<std::uint64_t>* const watermark_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool valid_ = false;
};

// With iter_start_ts, RocksDB gives internal keys: key, 8 bytes of version, 8 bytes of which the
// lowest is the kind of the write.
class RocksHistoryIterator final : public HistoryIterator {
 public:
  RocksHistoryIterator(rocksdb::DB* db, std::shared_ptr<FamilyHandle> family, const KeyRange& range)
      : family_(std::move(family)), scope_(range) {
    scope_.At(Version::Max());
    scope_.WithHistory();
    iterator_.reset(db->NewIterator(scope_.options(), family_->get()));
    if (scope_.empty()) return;
    if (range.begin.empty()) {
      iterator_->SeekToFirst();
    } else {
      iterator_->Seek(ToSlice(range.begin));
    }
    Parse();
  }

  [[nodiscard]] bool Valid() const override { return valid_; }
  [[nodiscard]] Status status() const override { return FromRocks(iterator_->status()); }
  void Next() override {
    iterator_->Next();
    Parse();
  }
  [[nodiscard]] std::string_view key() const override { return key_; }
  [[nodiscard]] Version version() const override { return version_; }
  [[nodiscard]] bool is_delete() const override { return is_delete_; }

 private:
  static constexpr std::size_t kTrailer = 8;
  static constexpr std::size_t kVersionBytes = 8;
  // Numbers of RocksDB's file format.
  static constexpr char kPut = 0x01;
  static constexpr char kDelete = 0x00;
  static constexpr char kDeleteWithTimestamp = 0x14;

  void Parse() {
    valid_ = iterator_->Valid();
    if (!valid_) return;
    const std::string_view internal = ToView(iterator_->key());
    CAIRN_CHECK(internal.size() >= kTrailer + kVersionBytes);
    const char kind = internal[internal.size() - kTrailer];
    CAIRN_CHECK(kind == kPut || kind == kDelete || kind == kDeleteWithTimestamp,
                "kind " + std::to_string(kind));
    is_delete_ = kind != kPut;
    key_ = internal.substr(0, internal.size() - kTrailer - kVersionBytes);
    version_ = DecodeVersion(internal.data() + key_.size());
  }

  const std::shared_ptr<FamilyHandle> family_;
  ReadScope scope_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool valid_ = false;
  std::string_view key_;  // of iterator_'s current entry
  Version version_;
  bool is_delete_ = false;
};

class RocksSystemIterator final : public SystemIterator {
 public:
  RocksSystemIterator(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, const KeyRange& range)
      : scope_(range), iterator_(db->NewIterator(scope_.options(), family)) {
    if (scope_.empty()) return;
    iterator_->Seek(ToSlice(range.begin));
    valid_ = iterator_->Valid();
  }

  [[nodiscard]] bool Valid() const override { return valid_; }
  [[nodiscard]] Status status() const override { return FromRocks(iterator_->status()); }
  void Next() override {
    iterator_->Next();
    valid_ = iterator_->Valid();
  }
  [[nodiscard]] std::string_view key() const override { return ToView(iterator_->key()); }
  [[nodiscard]] std::string_view value() const override { return ToView(iterator_->value()); }

 private:
  ReadScope scope_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
  bool valid_ = false;
};

}  // namespace

std::unique_ptr<ReadIterator> NewReadIterator(rocksdb::DB* db, std::shared_ptr<FamilyHandle> family,
                                              const KeyRange& range, Version at,
                                              const std::atomic<std::uint64_t>* watermark) {
  return std::make_unique<RocksReadIterator>(db, std::move(family), range, at, watermark);
}

std::unique_ptr<HistoryIterator> NewHistoryIterator(rocksdb::DB* db,
                                                    std::shared_ptr<FamilyHandle> family,
                                                    const KeyRange& range) {
  return std::make_unique<RocksHistoryIterator>(db, std::move(family), range);
}

std::unique_ptr<SystemIterator> NewSystemIterator(rocksdb::DB* db,
                                                  rocksdb::ColumnFamilyHandle* family,
                                                  const KeyRange& range) {
  return std::make_unique<RocksSystemIterator>(db, family, range);
}

}  // namespace cairn::storage::rocks
