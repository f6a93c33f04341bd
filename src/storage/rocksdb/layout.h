// Names and keys of the database: docs/formats/state.md.
#ifndef CAIRN_SRC_STORAGE_ROCKSDB_LAYOUT_H_
#define CAIRN_SRC_STORAGE_ROCKSDB_LAYOUT_H_

#include <string>
#include <string_view>

#include "src/base/ids.h"

namespace cairn::storage::rocks {

inline constexpr char kStateFamily[] = "cairn.state";
inline constexpr char kIndexFamily[] = "cairn.index";
inline constexpr std::string_view kUserFamilyPrefix = "user.";

// The meta record in cairn.state: 8 bytes of write number, then StateMeta.
inline constexpr std::string_view kMetaKey{"\0meta", 5};
// The state machine's keys start here; those below are the engine's.
inline constexpr std::string_view kFirstStateKey{"\x01", 1};

inline std::string UserFamilyName(FamilyId family) {
  return std::string(kUserFamilyPrefix) + ToString(family);
}

}  // namespace cairn::storage::rocks

#endif  // CAIRN_SRC_STORAGE_ROCKSDB_LAYOUT_H_
