// Completion files of shells, made of the table. Each needs nothing but its shell: not the
// bash-completion package, not the program itself.
//
// They complete commands, options, choices, and paths where a path is expected.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLI_COMPLETION_H_
#define CAIRN_SRC_CLI_COMPLETION_H_

#include <string>
#include <string_view>
#include <vector>

#include "src/cli/definition.h"

namespace cairn::cli {

std::string BashCompletion(const ProgramDef& program);
std::string ZshCompletion(const ProgramDef& program);
std::string FishCompletion(const ProgramDef& program);

// What may stand at a place, for an interactive shell of our own (and the twin of what the files
// above do): the words of a line up to the one that is being typed, and the beginning of that one.
// Sorted.
struct Candidates {
  std::vector<std::string> words;  // that go on from `beginning`
  bool path = false;               // a path is expected here
  bool bytes = false;              // a key is expected here
};
Candidates Complete(const ProgramDef& program, const std::vector<std::string>& before,
                    std::string_view beginning);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_COMPLETION_H_
