// Hashes that tell whether two replicas hold the same state, however their engines store it.
//
// Hashed is what a client could see and what later commands depend on: data at one version, the
// state machine's own records, and the parts of the meta record that commands set. Left out are
// things that differ between healthy replicas: the applied slot and epoch (slots without commands
// move them at different times), old versions (dropped at each replica's own pace), the version
// index (made from the data), files.
//
// The number is XXH3-64 over length-prefixed fields, so it depends on nothing but the content; the
// order of the fields is given in docs/formats/state.md.
#ifndef CAIRN_SRC_STORAGE_STATE_HASH_H_
#define CAIRN_SRC_STORAGE_STATE_HASH_H_

#include <cstdint>
#include <vector>

#include "src/storage/engine.h"

namespace cairn::storage {

// The data of the families (in any order, all of the state's) as of `at`. May run beside the
// writer: two replicas compare at a version that both have reached. kTransactionTooOld if the
// watermark passes `at` meanwhile.
Result<std::uint64_t> DataHash(const Engine& engine, const std::vector<FamilyId>& families,
                               Version at);

// Data, records and meta of the state at version `at`, which must be the engine's current one: the
// records have no versions (kFailedPrecondition otherwise). Call where nothing is written
// meanwhile.
Result<std::uint64_t> StateHash(const Engine& engine, const std::vector<FamilyId>& families,
                                Version at);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_STATE_HASH_H_
