// The conformance suite of cores: what core.h promises of every core, whatever its protocol, as
// tests of a group of one voter. What takes more nodes is the protocol's own business, and that of
// the simulator.
#ifndef CAIRN_SRC_CONSENSUS_CORE_TESTING_CORE_CONFORMANCE_H_
#define CAIRN_SRC_CONSENSUS_CORE_TESTING_CORE_CONFORMANCE_H_

#include <optional>
#include <string>
#include <vector>

#include "src/consensus/core/testing/lone_voter.h"

namespace cairn::consensus {

struct CoreConformanceTest {
  const char* name;
  // What is broken; nothing if the core passes.
  std::optional<std::string> (*run)(const CoreFactory& factory);
};

// The suite.
const std::vector<CoreConformanceTest>& CoreConformanceTests();

// Registers the suite with gtest as `suite`. Call before RUN_ALL_TESTS, for instance while static
// objects are made.
void RegisterCoreConformance(const std::string& suite, const CoreFactory& factory);

// The names of the tests that this core fails, with what it breaks: for tests of the suite.
std::vector<std::string> FailedConformance(const CoreFactory& factory);

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_TESTING_CORE_CONFORMANCE_H_
