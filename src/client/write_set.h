// What a transaction has written, as its own reads must see it, by column family.
//
// Thread safety: none; the transaction has a lock.
#ifndef CAIRN_SRC_CLIENT_WRITE_SET_H_
#define CAIRN_SRC_CLIENT_WRITE_SET_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/kv/operation.h"

namespace cairn::client {

// The last write of a key.
struct Written {
  enum class Kind : std::uint8_t {
    kSet,
    kDeleted,
    kUnknown,  // its value holds a versionstamp that does not exist yet
  };
  Kind kind = Kind::kSet;
  std::string value;
};

using WrittenKeys = std::map<std::string, Written, std::less<>>;

class WriteSet {
 public:
  // Appends a write. The family's name is kept as it is in the commit, and looked up by meaning: ""
  // is "default".
  void Add(kv::Mutation mutation);

  // The write of `key`, if there is one. kFailedPrecondition if its value can't be known yet.
  Result<const Written*> Find(std::string_view family, std::string_view key) const;
  // The writes of the keys in [begin, end); an empty end is unbounded. kFailedPrecondition if what
  // is there can't be known yet.
  Result<WrittenKeys> Range(std::string_view family, const std::string& begin,
                            const std::string& end) const;

  [[nodiscard]] const std::vector<kv::Mutation>& mutations() const { return mutations_; }
  std::vector<kv::Mutation> TakeMutations() { return std::move(mutations_); }
  void Clear();

 private:
  struct Family {
    WrittenKeys keys;
    // Where versionstamped keys will be: [first, last] of each.
    std::vector<std::pair<std::string, std::string>> stamped;
  };
  [[nodiscard]] const Family* FindFamily(std::string_view name) const;

  std::map<std::string, Family, std::less<>> families_;
  std::vector<kv::Mutation> mutations_;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_WRITE_SET_H_
