// The order of keys in user families: bytewise by key, and newest version first within a key. The
// version is RocksDB's user-defined timestamp: 8 little-endian bytes after the key.
//
// It carries the name and the order of the comparator that RocksDB itself ships under
// "leveldb.BytewiseComparator.u64ts" (7.8 has it, but not in a header), so RocksDB's own tools can
// read our files. docs/formats/state.md specifies the layout.
//
// Thread safety: stateless.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_COMPARATOR_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_COMPARATOR_H_

#include <rocksdb/comparator.h>
#include <rocksdb/slice.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "src/base/ids.h"

namespace cairn::storage::rocks {

// Never destroyed.
const rocksdb::Comparator* VersionComparator();

// A version as RocksDB wants it. The object must outlive the slice.
class EncodedVersion {
 public:
  explicit EncodedVersion(Version version) : bits_(version.value()) {}
  [[nodiscard]] rocksdb::Slice slice() const {
    return {reinterpret_cast<const char*>(&bits_), sizeof(bits_)};
  }

 private:
  std::uint64_t bits_;  // little-endian, as codec.h asserts of the machine
};

// `bytes` must hold 8 bytes.
inline Version DecodeVersion(const char* bytes) {
  std::uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return Version(bits);
}

inline rocksdb::Slice ToSlice(std::string_view v) { return {v.data(), v.size()}; }
inline std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_COMPARATOR_H_
