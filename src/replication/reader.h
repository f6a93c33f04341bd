// Range reads: key selectors are resolved, then pairs are gathered up to the bounds.
//
// Thread safety: pure functions over an engine; any thread.
#ifndef CAIRN_SRC_REPLICATION_READER_H_
#define CAIRN_SRC_REPLICATION_READER_H_

#include <functional>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/limits.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/storage/engine.h"

namespace cairn::replication {

// What a long scan asks from time to time; a status that is not OK ends it.
using ScanCheck = std::function<Status()>;

// Reads `query` as of version `at`. `check` is called at least every thousand steps and once at the
// end.
Result<kv::RangeResult> ReadRange(const storage::Engine& engine, FamilyId family,
                                  const kv::RangeQuery& query, Version at, const kv::Limits& limits,
                                  const ScanCheck& check);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_READER_H_
