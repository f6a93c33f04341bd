// Shrinking, and the story of what is left. The bugs are planted.
#include "sim/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "sim/story.h"
#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"

namespace cairn::sim {
namespace {

SimulationOptions With(PlantedBug bug) {
  SimulationOptions options;
  options.bug = bug;
  return options;
}

// The first seed that finds the bug.
std::uint64_t FailingSeed(PlantedBug bug) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    if (RunSeed(seed, With(bug)).kind != ViolationKind::kNone) return seed;
  }
  ADD_FAILURE() << "no seed finds it";
  return 0;
}

// What a story of this bug shrinks to, at most.
struct Bound {
  PlantedBug bug;
  std::size_t clients = 2;
  std::size_t operations = 40;  // of more than a thousand
};

class ShrinkTest : public testing::TestWithParam<Bound> {};

TEST_P(ShrinkTest, WhatIsLeftIsSmallAndFailsInTheSameWay) {
  const auto [bug, clients, operations] = GetParam();
  if (kSanitized && bug != PlantedBug::kMessageBeforeToken) GTEST_SKIP() << "one is enough";
  const SimulationOptions options = With(bug);
  const std::uint64_t seed = FailingSeed(bug);
  const SimulationReport whole = RunSeed(seed, options);
  ASSERT_NE(whole.kind, ViolationKind::kNone);
  const Shrunk shrunk = Shrink(seed, {}, whole, options);
  EXPECT_EQ(shrunk.report.kind, whole.kind);
  EXPECT_LE(shrunk.runs, 300u);

  const Plan full = MakePlan(seed);
  const Plan small = Thin(full, shrunk.thinning);
  EXPECT_LE(small.faults.size(), 2u) << full.faults.size();
  EXPECT_LE(small.clients.size(), clients) << full.clients.size();
  EXPECT_LT(small.duration, full.duration / 2);
  if (small.operations) {
    EXPECT_LE(small.operations->size(), operations);
  }

  // What is printed is what was found, and says the same each time.
  const Result<Thinning> again = ParseThinning(ToString(shrunk.thinning));
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(*again, shrunk.thinning);
  const Story story = TellStory(seed, *again, options);
  EXPECT_EQ(story.report.violation, shrunk.report.violation);
  const Story twice = TellStory(seed, *again, options);
  EXPECT_EQ(ReadableTrace(story), ReadableTrace(twice));
  EXPECT_EQ(SequenceDiagram(story), SequenceDiagram(twice));
  EXPECT_EQ(story.lines.back().kind, StoryLine::Kind::kTrouble);
  // The core without the bug has no such story.
  EXPECT_EQ(TellStory(seed, *again, {}).report.violation, "");
}

INSTANTIATE_TEST_SUITE_P(Bugs, ShrinkTest,
                         testing::Values(Bound{PlantedBug::kMessageBeforeToken},
                                         Bound{PlantedBug::kApplyBeyondDurable},
                                         // Takes all runs that it may.
                                         Bound{PlantedBug::kReadWithoutBarrier, 4, 60},
                                         Bound{PlantedBug::kConflictKeyOffByOne, 3}));

TEST(Shrink, TakesNoMoreRunsThanItMay) {
  const SimulationOptions options = With(PlantedBug::kConflictKeyOffByOne);
  const std::uint64_t seed = FailingSeed(options.bug);
  const SimulationReport whole = RunSeed(seed, options);
  const Shrunk shrunk = Shrink(seed, {}, whole, options, 3);
  EXPECT_LE(shrunk.runs, 3u);
  EXPECT_EQ(shrunk.report.kind, whole.kind);
}

TEST(Thinning, ReadsBackWhatItWrote) {
  Thinning thinning;
  EXPECT_EQ(ToString(thinning), "");
  EXPECT_EQ(*ParseThinning(""), thinning);
  thinning.faults = {3, 17};
  thinning.clients.emplace();  // nobody
  thinning.operations = {{0, 4}, {2, 7}};
  thinning.lanes = 1;
  thinning.nodes = 3;
  thinning.duration_ms = 4200;
  thinning.any_operations = thinning.clean_links = thinning.steady_clocks = true;
  thinning.variation = 2;
  EXPECT_EQ(ToString(thinning),
            "faults=3,17/clients=/ops=0.4,2.7/lanes=1/nodes=3/ms=4200/any-operations/clean-links/"
            "steady-clocks/variation=2");
  EXPECT_EQ(*ParseThinning(ToString(thinning)), thinning);
}

TEST(Thinning, NamesThePartThatItDoesNotUnderstand) {
  for (const char* bad : {"faults=x", "faults=3,1", "ms=0", "ms=-1", "quick", "lanes", "ops=3",
                          "ops=3.x", "nodes=99999999999", "variation="}) {
    const Result<Thinning> thinning = ParseThinning(bad);
    ASSERT_FALSE(thinning.ok()) << bad;
    EXPECT_NE(thinning.status().message().find(bad), std::string::npos) << bad;
  }
}

TEST(Thinning, LeavesOutFaultsOfNodesThatAreGone) {
  Plan full = MakePlan(1);
  for (std::uint64_t seed = 2; full.nodes != 5; ++seed) full = MakePlan(seed);
  Thinning thinning;
  thinning.nodes = 3;
  const Plan thin = Thin(full, thinning);
  EXPECT_EQ(thin.nodes, 3u);
  EXPECT_LT(thin.faults.size(), full.faults.size());
  for (const Fault& fault : thin.faults) EXPECT_LT(fault.node, 3u);
}

// Operations that are left out do not change what the others are.
TEST(Thinning, OperationsStayWhatTheyAre) {
  Thinning few;
  few.clients = {0};
  few.lanes = 1;
  few.duration_ms = 5000;
  few.any_operations = true;
  few.faults.emplace();
  Thinning fewer = few;
  fewer.operations.emplace();
  for (std::uint32_t number = 1; number < 40; number += 2) {
    fewer.operations->push_back({0, number});
  }
  const auto begins = [](const Story& story) {
    std::multiset<std::string> asked;
    for (const StoryLine& line : story.lines) {
      // What is done, and to which key or range. Versions, levels and the numbers that make values
      // unique depend on what happened before.
      if (line.kind != StoryLine::Kind::kCall || line.client != 0) continue;
      std::size_t end = line.text.find(" log/");
      for (const char* const after : {",", " = ", " at version"}) {
        end = std::min(end, line.text.find(after));
      }
      asked.insert(line.text.substr(0, end));
    }
    return asked;
  };
  const auto all = begins(TellStory(1, few, {}));
  const auto some = begins(TellStory(1, fewer, {}));
  EXPECT_LT(some.size(), all.size());
  EXPECT_FALSE(some.empty());
  for (const std::string& text : some) {
    EXPECT_LE(some.count(text), all.count(text)) << "nothing of the whole does: " << text;
  }
}

// ---- The diagram

// Lines of a Mermaid sequence diagram, by what they are.
struct Drawn {
  std::set<std::string> participants;
  std::map<std::string, int> arrows;  // by their kind
  int notes = 0;
  std::string bad;  // a line that is none of these, or names somebody unknown
};

Drawn Parse(const std::string& diagram) {
  Drawn drawn;
  std::istringstream lines(diagram);
  std::string line;
  std::getline(lines, line);
  if (line != "sequenceDiagram") drawn.bad = line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    const std::string statement = line.substr(4, line.find(": ") - 4);
    if (line.find(';') != std::string::npos || line.find('#') != std::string::npos) {
      drawn.bad = line;
    } else if (first == "participant") {
      words >> first;
      drawn.participants.insert(first);
    } else if (statement.starts_with("Note over ")) {
      ++drawn.notes;
      if (!drawn.participants.contains(statement.substr(10, statement.find(',') - 10))) {
        drawn.bad = line;
      }
    } else {
      const std::string arrow = statement.find("-->>") == std::string::npos ? "->>" : "-->>";
      const std::size_t at = statement.find(arrow);
      if (at == std::string::npos || !drawn.participants.contains(statement.substr(0, at)) ||
          !drawn.participants.contains(statement.substr(at + arrow.size()))) {
        drawn.bad = line;
      }
      ++drawn.arrows[arrow];
    }
  }
  return drawn;
}

TEST(Diagram, ShowsNodesClientsMessagesAndTheViolation) {
  const SimulationOptions options = With(PlantedBug::kConflictKeyOffByOne);
  const std::uint64_t seed = FailingSeed(options.bug);
  const Shrunk shrunk = Shrink(seed, {}, RunSeed(seed, options), options);
  const Story story = TellStory(seed, shrunk.thinning, options);
  const std::string diagram = SequenceDiagram(story, 40);
  const Drawn drawn = Parse(diagram);
  EXPECT_EQ(drawn.bad, "");
  for (std::uint32_t n = 0; n < story.plan.nodes; ++n) {
    EXPECT_TRUE(drawn.participants.contains("n" + std::to_string(n)));
  }
  EXPECT_GT(drawn.participants.size(), story.plan.nodes) << "a client";
  EXPECT_GT(drawn.arrows.at("->>"), 0);
  EXPECT_GT(drawn.arrows.at("-->>"), 0);
  EXPECT_LE(drawn.notes + drawn.arrows.at("->>") + drawn.arrows.at("-->>"), 40);
  // The two commits that must not both succeed, and what is wrong, at the end.
  EXPECT_NE(diagram.find("commit, read at version"), std::string::npos);
  EXPECT_NE(diagram.find("done, version"), std::string::npos);
  EXPECT_GT(diagram.rfind("WRONG at"), diagram.rfind("->>"));
}

TEST(Diagram, IsBoundedHoweverLongTheStoryIs) {
  Thinning thinning;
  thinning.duration_ms = 20'000;
  thinning.any_operations = true;
  const Story story = TellStory(3, thinning, {});  // nothing goes wrong in it
  const Drawn drawn = Parse(SequenceDiagram(story, 25));
  EXPECT_EQ(drawn.bad, "");
  int events = drawn.notes;
  for (const auto& [arrow, count] : drawn.arrows) events += count;
  EXPECT_EQ(events, 25);
  EXPECT_EQ(story.report.violation, "");
  const std::string trace = ReadableTrace(story, 100);
  EXPECT_LE(std::count(trace.begin(), trace.end(), '\n'),
            102 + static_cast<long>(story.plan.faults.size()));
  EXPECT_NE(trace.find("lines are left out"), std::string::npos);
}

}  // namespace
}  // namespace cairn::sim
