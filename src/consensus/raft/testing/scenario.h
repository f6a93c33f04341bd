// Recorded scenarios: a story of a group of Raft cores as text, commands and what came of them. The
// files stand in tests/scenarios/raft; docs/testing.md teaches the language.
//
//     # A comment. It tells the story.
//     cluster nodes=3 voters=3
//     elect 0
//       0 leads in epoch 1
//       ...
//
// Lines that begin with `#` and empty ones are kept; lines that begin with a blank are recorded
// output; every other line is a command, each explained where it is run (scenario.cc).
//
// Thread safety: RunScenario is a pure function of its argument.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_TESTING_SCENARIO_H_
#define CAIRN_SRC_CONSENSUS_RAFT_TESTING_SCENARIO_H_

#include <optional>
#include <string>

namespace cairn::consensus::raft {

struct ScenarioRun {
  std::string text;  // the file as it should read: comments, commands, and the output of this run
  // A promise that a core broke, or a command that makes no sense; names the line.
  std::optional<std::string> error;
};

ScenarioRun RunScenario(const std::string& text);

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_TESTING_SCENARIO_H_
