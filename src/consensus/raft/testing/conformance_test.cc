// The conformance suite of cores over Raft as a group of one voter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "src/base/planted_bug.h"
#include "src/base/testing/plant_bug.h"
#include "src/consensus/core/testing/core_conformance.h"
#include "src/consensus/raft/raft_core.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

CoreFactory MakeRaft(bool leases) {
  return [leases](const PeerId& self, Random* random) {
    RaftOptions options = FastRaft();
    options.self = self.node;
    options.incarnation = self.incarnation;
    options.leases = leases;
    return std::make_unique<RaftCore>(options, random);
  };
}

const bool registered =
    (RegisterCoreConformance("RaftConformance", MakeRaft(false)),
     RegisterCoreConformance("RaftWithLeasesConformance", MakeRaft(true)), true);

class RaftSuiteTest : public testing::TestWithParam<PlantedBug> {};

TEST_P(RaftSuiteTest, FindsThePlantedBug) {
  const PlantBug planted(GetParam());
  EXPECT_THAT(FailedConformance(MakeRaft(false)), testing::Not(testing::IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(Bugs, RaftSuiteTest,
                         testing::Values(PlantedBug::kLeaderCountsUnsyncedSelf,
                                         PlantedBug::kBarrierBeforeOwnEntry,
                                         PlantedBug::kSyncDoesNotCommit));

}  // namespace
}  // namespace cairn::consensus::raft
