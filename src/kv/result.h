// What operations answer.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_KV_RESULT_H_
#define CAIRN_SRC_KV_RESULT_H_

#include <string>
#include <variant>
#include <vector>

#include "src/base/ids.h"

namespace cairn::kv {

// Of Get and SnapshotRead. `version`: when the value was written; 0 if not found.
struct GetResult {
  bool found = false;
  std::string value;
  Version version;
};

struct KeyValue {
  std::string key;
  std::string value;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

// Of GetRange and SnapshotGetRange. `has_more` only if a further key of the range exists.
// `read_version` is the version that the whole answer was read at.
struct RangeResult {
  std::vector<KeyValue> key_values;
  bool has_more = false;
  Version read_version;
};

// Of GetReadVersion and GetCommittedVersion.
struct VersionResult {
  Version version;
};

// Of every write. `version`: that of the commit. `generated`: the key or the value that a
// SetVersionstampedKey or SetVersionstampedValue made.
struct WriteResult {
  Version version;
  std::string generated;
};

using OperationResult = std::variant<GetResult, RangeResult, VersionResult, WriteResult>;

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_RESULT_H_
