// What the memory engine and its iterators share: the data and the one lock over it.
//
// Every field of Store, and everything inside a Family, is guarded by Store::mutex. A Family lives
// for as long as an iterator or an undo record refers to it, so a dropped one stays readable to
// those who had it.
#ifndef CAIRN_SRC_STORAGE_MEMORY_MEMORY_STORE_H_
#define CAIRN_SRC_STORAGE_MEMORY_MEMORY_STORE_H_

#include <absl/container/btree_map.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/storage/engine.h"

namespace cairn::storage::memory {

// One stored write of a key.
struct Entry {
  Version version;
  bool deleted = false;
  std::string value;
};

// The writes of one key, oldest first; never empty, one entry a version.
using History = std::vector<Entry>;

struct Family {
  absl::btree_map<std::string, History, std::less<>> keys;
  // Changes whenever a key is added or removed, which is when tree positions die.
  std::uint64_t generation = 0;
};

struct SystemFamily {
  absl::btree_map<std::string, std::string, std::less<>> keys;
};

struct Store {
  Mutex mutex;
  Version watermark ABSL_GUARDED_BY(mutex);
  // Ordered, so that what walks over all families does so in the same order everywhere.
  std::map<FamilyId, std::shared_ptr<Family>> families ABSL_GUARDED_BY(mutex);
  std::array<SystemFamily, 2> system ABSL_GUARDED_BY(mutex);
};

// The newest entry with version <= at, or null. The caller holds the store's lock.
const Entry* NewestAt(const History& history, Version at);

// The error of a read at `at` when the watermark has passed it.
Status TooOld(Version at, Version watermark);

std::unique_ptr<ReadIterator> NewMemoryIterator(std::shared_ptr<Store> store,
                                                std::shared_ptr<const Family> family,
                                                KeyRange range, Version at);
std::unique_ptr<HistoryIterator> NewMemoryHistoryIterator(std::shared_ptr<Store> store,
                                                          std::shared_ptr<const Family> family,
                                                          KeyRange range);
std::unique_ptr<SystemIterator> NewMemorySystemIterator(std::shared_ptr<Store> store,
                                                        SystemSpace space, KeyRange range);

}  // namespace cairn::storage::memory

#endif  // CAIRN_SRC_STORAGE_MEMORY_MEMORY_STORE_H_
