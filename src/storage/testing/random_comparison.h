// Random operations on an engine and on its dumb twin, compared all along.
#ifndef CAIRN_SRC_STORAGE_TESTING_RANDOM_COMPARISON_H_
#define CAIRN_SRC_STORAGE_TESTING_RANDOM_COMPARISON_H_

#include <cstdint>

#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {

// Runs about `operations` operations (changes written, keys read, iterator moves, and so on) that
// depend on the seed alone, and compares with gtest assertions. Prints seed and count. The seed in
// the environment variable CAIRN_TEST_SEED, if set, is taken instead.
//
// Batches have rising versions; families come and go; the watermark rises; the engine is flushed
// and crashed, and then has to be at a batch boundary at or above its last flushed one.
void RunRandomComparison(EngineHarness& harness, std::uint64_t seed, std::uint64_t operations);

// A number of operations, cut down where sanitizers make everything slow.
std::uint64_t ScaledOperations(std::uint64_t operations);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_TESTING_RANDOM_COMPARISON_H_
