// The column families of the state: names, ids, and when each was made.
//
// Thread safety: changed by the apply thread; looked up from any thread. A reader works on the
// snapshot that it took.
#ifndef CAIRN_SRC_REPLICATION_FAMILIES_H_
#define CAIRN_SRC_REPLICATION_FAMILIES_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/kv/operation.h"

namespace cairn::replication {

// One family. `created`: the version of the commit that made it; 0 for the default one.
struct Family {
  FamilyId id;
  Version created;

  [[nodiscard]] std::string Encode() const;
  static Result<Family> Decode(std::string_view bytes);
};

class FamilyTable {
 public:
  using Map = std::map<std::string, Family, std::less<>>;

  FamilyTable() : families_(std::make_shared<Map>()) {}

  // kNotFound, naming the family. The default family is found without a lock.
  [[nodiscard]] Result<Family> Find(std::string_view name) const;
  // All but the default one.
  [[nodiscard]] std::shared_ptr<const Map> Snapshot() const;

  // Apply thread.
  void Put(const std::string& name, const Family& family);
  void Erase(const std::string& name, Version dropped);
  // Replaces everything at once.
  void Assign(Map families, Version last_drop);

  // The version of the last commit that dropped a family; 0 if none did. Apply thread.
  [[nodiscard]] Version last_drop() const { return last_drop_; }
  [[nodiscard]] static std::string EncodeLastDrop(Version version);
  // kCorruption.
  [[nodiscard]] static Result<Version> DecodeLastDrop(std::string_view record);

 private:
  Version last_drop_;  // of the apply thread
  mutable Mutex mutex_;
  std::shared_ptr<const Map> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FAMILIES_H_
