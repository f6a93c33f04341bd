// The story of a failure for people: a readable trace, and a Mermaid sequence diagram of the part
// that matters (https://mermaid.js.org/syntax/sequenceDiagram.html).
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SIM_STORY_H_
#define CAIRN_SIM_STORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/simulation.h"
#include "sim/story_line.h"
#include "sim/thinning.h"

namespace cairn::sim {

struct Story {
  std::uint64_t seed = 0;
  Thinning thinning;
  Plan plan;  // the seed's, thinned
  SimulationReport report;
  std::vector<StoryLine> lines;  // all of them, routine too, in the order of time
};

// Runs the plan and listens. What came after the violation had shown is left out (nothing is, if
// there is none); the violation is the last line.
Story TellStory(std::uint64_t seed, const Thinning& thinning, const SimulationOptions& options);

// The command that runs it again: "cairn-sim --seed 3 --only faults=/ms=900 --trace".
std::string ReplayCommand(const Story& story, const SimulationOptions& options);

// The trace, without what is routine. Longer ones keep the last `most_lines` lines and the faults
// before them, and say how much is left out.
std::string ReadableTrace(const Story& story, std::size_t most_lines = 250);

// The diagram, of at most `most_events` arrows and notes: the violation, the operations that it
// names, faults, what mentions its keys, slots, versions and epochs, elections, and of the rest
// what happened last.
std::string SequenceDiagram(const Story& story, std::size_t most_events = 60);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_STORY_H_
