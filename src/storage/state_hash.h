// Hash of the logical state, to compare replicas: what clients and the state machine can observe at
// one version, not how an engine stores it.
//
// Thread safety: a pure function over an engine. The system space is unversioned: call it from the
// apply thread, or while nothing is written.
#ifndef CAIRN_SRC_STORAGE_STATE_HASH_H_
#define CAIRN_SRC_STORAGE_STATE_HASH_H_

#include <cstdint>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/storage/engine.h"

namespace cairn::storage {

// XXH3 over, in this order: every key and value of each family of `families` (which must be sorted)
// as of version `at`; every record of the state space (sessions, answers, families); and of the meta record version, watermark, features, next_family and membership. Not
// the applied slot and epoch: replicas may compare at one version while no-ops set them apart.
// Errors are the engine's; kTransactionTooOld if `at` is below the watermark.
Result<std::uint64_t> StateHash(const Engine& engine, const std::vector<FamilyId>& families,
                                Version at);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_STATE_HASH_H_
