// The conformance suite of engines: what src/storage/engine.h promises, as tests that run over
// every implementation.
#ifndef CAIRN_SRC_STORAGE_TESTING_ENGINE_CONFORMANCE_H_
#define CAIRN_SRC_STORAGE_TESTING_ENGINE_CONFORMANCE_H_

#include <string>
#include <vector>

#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {

// A test of the suite: gtest assertions on a fresh harness.
struct ConformanceTest {
  const char* name;
  void (*run)(EngineHarness&);
};

// Registers the suite with gtest as `suite`, each test on a harness of its own. Call before
// RUN_ALL_TESTS, for instance while static objects are made.
void RegisterEngineConformance(const std::string& suite, const HarnessFactory& factory);

// The parts of the suite.
std::vector<ConformanceTest> ReadTests();
std::vector<ConformanceTest> IteratorTests();
std::vector<ConformanceTest> WriteTests();
std::vector<ConformanceTest> DurabilityTests();
std::vector<ConformanceTest> FamilyTests();
std::vector<ConformanceTest> UpkeepTests();

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_TESTING_ENGINE_CONFORMANCE_H_
