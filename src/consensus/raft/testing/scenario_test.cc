// Runs tests/scenarios/raft/*.txt and compares with what was recorded. CAIRN_REWRITE_SCENARIOS=1
// records anew: read the difference before you commit it. A broken promise fails either way.
#include "src/consensus/raft/testing/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "src/base/planted_bug.h"
#include "src/base/testing/plant_bug.h"

namespace cairn::consensus::raft {
namespace {

std::vector<std::filesystem::path> Files() {
  std::vector<std::filesystem::path> files;
  for (const auto& file :
       std::filesystem::directory_iterator(CAIRN_SOURCE_DIR "/tests/scenarios/raft")) {
    if (file.path().extension() == ".txt") files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string Recorded(const std::filesystem::path& file) {
  std::stringstream recorded;
  recorded << std::ifstream(file).rdbuf();
  return recorded.str();
}

class RaftScenarioTest : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(RaftScenarioTest, GoesAsRecorded) {
  const std::string recorded = Recorded(GetParam());
  ASSERT_EQ(recorded.substr(0, 2), "# ") << "a scenario begins with its story";
  const ScenarioRun run = RunScenario(recorded);
  ASSERT_FALSE(run.error.has_value()) << GetParam() << ": " << *run.error << "\n" << run.text;
  if (std::getenv("CAIRN_REWRITE_SCENARIOS") != nullptr) {
    std::ofstream(GetParam()) << run.text;
  } else {
    EXPECT_EQ(run.text, recorded) << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(All, RaftScenarioTest, testing::ValuesIn(Files()),
                         [](const auto& test) { return test.param.stem().string(); });

// Each story is about a safeguard: a core without it goes another way.
struct Twin {
  PlantedBug bug;
  // What the bug does in this story: the promise that it breaks, or, of a safeguard that keeps a
  // group at work, lines that only a run with the bug has.
  const char* breaks = nullptr;
  const char* says = nullptr;
};

const std::map<std::string, Twin>& Twins() {
  static const std::map<std::string, Twin> kTwins = {
      {"asymmetric_partition",
       {PlantedBug::kNoCheckQuorum, nullptr,
        "  0 leader, epoch 1, committed 1, log behind 0: 1..2/1\n"}},
      {"dead_disk",
       {PlantedBug::kLeadsWithHungDisk, nullptr,
        "pass 500\nstatus\n  0 leader, epoch 1, committed 2, log behind 0: 1..2/1\n"}},
      {"disruptive_rejoin", {PlantedBug::kNoPreVote, nullptr, "  0 follows nobody in epoch 7\n"}},
      {"figure_7", {PlantedBug::kNoPrevCheck, "slot 4 is committed with epoch 2"}},
      {"figure_8", {PlantedBug::kCommitOldEpochByCounting, "node 4 leads without slot 2"}},
      {"lease_stopped", {PlantedBug::kClockOfTicks, "a stale read"}},
      {"lost_leader_in_change", {PlantedBug::kSingleStepMembership, "node 1 leads without slot 6"}},
      {"slow_follower", {PlantedBug::kUnboundedWindow, nullptr, "  30 appends with entries\n"}},
      {"snapshot_crash", {PlantedBug::kSnapshotBelievedEarly, "entry.slot == last_slot().Next()"}},
      {"stale_barrier", {PlantedBug::kBarrierWithoutQuorum, "a stale read"}},
      {"wiped_voter", {PlantedBug::kWipedVoterVotes, "leads without slot 4"}}};
  return kTwins;
}

TEST_P(RaftScenarioTest, ACoreWithTheBugOfTheStoryGoesAnotherWay) {
  const auto twin = Twins().find(GetParam().stem().string());
  ASSERT_NE(twin, Twins().end()) << "a scenario needs a planted bug that changes it";
  const std::string recorded = Recorded(GetParam());
  const PlantBug planted(twin->second.bug);
  const ScenarioRun run = RunScenario(recorded);
  const std::string broken = run.error.value_or("no promise is broken");
  if (twin->second.breaks != nullptr) {
    EXPECT_NE(broken.find(twin->second.breaks), std::string::npos) << broken << "\n" << run.text;
  } else {
    EXPECT_FALSE(run.error.has_value()) << broken << "\n" << run.text;
    EXPECT_NE(run.text.find(twin->second.says), std::string::npos) << run.text;
    EXPECT_EQ(recorded.find(twin->second.says), std::string::npos);
  }
}

TEST(RaftScenario, EveryStoryIsThere) {
  std::set<std::string> names;
  for (const auto& file : Files()) names.insert(file.stem().string());
  for (const auto& [name, bug] : Twins()) EXPECT_TRUE(names.contains(name)) << name;
}

TEST(RaftScenario, WhatMakesNoSenseIsNamedWithItsLine) {
  EXPECT_EQ(RunScenario("# x\ncluster nodes=3\nfly 0\n").error,
            "line 3, fly 0: there is no command fly");
  EXPECT_EQ(RunScenario("elect 0\n").error, "line 1, elect 0: begin with: cluster nodes=3");
  EXPECT_EQ(RunScenario("cluster nodes=3\ntick 5\n").error, "line 2, tick 5: there is no node 5");
}

TEST(RaftScenario, OutputIsReplaced) {
  const std::string text = RunScenario("cluster\nstatus\n  something else\n").text;
  EXPECT_EQ(text.find("something else"), std::string::npos);
  EXPECT_EQ(RunScenario(text).text, text);
}

}  // namespace
}  // namespace cairn::consensus::raft
