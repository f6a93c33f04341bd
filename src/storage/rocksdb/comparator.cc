#include "src/storage/rocksdb/comparator.h"

#include <string>

#include "src/base/codec.h"

namespace cairn::storage::rocks {
namespace {

constexpr std::size_t kVersionBytes = sizeof(std::uint64_t);

class VersionComparatorImpl final : public rocksdb::Comparator {
 public:
  VersionComparatorImpl() : rocksdb::Comparator(kVersionBytes) {}

  [[nodiscard]] const char* Name() const override { return "leveldb.BytewiseComparator.u64ts"; }

  // Both with a version.
  int Compare(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    const int order = CompareWithoutTimestamp(a, true, b, true);
    if (order != 0) return order;
    return -CompareTimestamp(Suffix(a), Suffix(b));
  }

  int CompareWithoutTimestamp(const rocksdb::Slice& a, bool a_has_ts, const rocksdb::Slice& b,
                              bool b_has_ts) const override {
    const rocksdb::Slice a_key(a.data(), a.size() - (a_has_ts ? kVersionBytes : 0));
    const rocksdb::Slice b_key(b.data(), b.size() - (b_has_ts ? kVersionBytes : 0));
    return a_key.compare(b_key);
  }

  int CompareTimestamp(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    const Version a_version = DecodeVersion(a.data());
    const Version b_version = DecodeVersion(b.data());
    return a_version < b_version ? -1 : (a_version > b_version ? 1 : 0);
  }

  [[nodiscard]] bool CanKeysWithDifferentByteContentsBeEqual() const override { return false; }

  // Index keys are not shortened: a shorter key would need a version of its own.
  void FindShortestSeparator(std::string*, const rocksdb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}

 private:
  static rocksdb::Slice Suffix(const rocksdb::Slice& key) {
    return {key.data() + key.size() - kVersionBytes, kVersionBytes};
  }
};

}  // namespace

const rocksdb::Comparator* VersionComparator() {
  static const auto* const comparator = new VersionComparatorImpl();
  return comparator;
}

}  // namespace cairn::storage::rocks
