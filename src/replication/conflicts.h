// Conflict checks of AtomicCommit: was anything in the read sets committed after the read version?
//
// Thread safety: pure functions over an engine; called by the apply thread, with nothing pending.
#ifndef CAIRN_SRC_REPLICATION_CONFLICTS_H_
#define CAIRN_SRC_REPLICATION_CONFLICTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/kv/operation.h"
#include "src/storage/engine.h"

namespace cairn::replication {

// A status that is kConflict if the key was written after `since`, OK if not, else the engine's
// error.
Status CheckConflictKey(const storage::Engine& engine, FamilyId family, std::string_view key,
                        Version since);

// The same for [begin, end) of one family; an empty end is unbounded.
//
// Walks two ways at once, a step of each in turn, and stops when either is through: over the writes
// after `since` in version order (short when `since` is recent), and over the stored writes of the
// range (short when the range is small). So one check costs at most twice the shorter side, and no
// client can stall apply with one huge range or one old read version alone.
Status CheckConflictRange(const storage::Engine& engine, FamilyId family, std::string_view begin,
                          std::string_view end, Version since);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_CONFLICTS_H_
