// The words of a line of the shell: between blanks, or in quotes, which may hold blanks. In double
// quotes \" is a quote; any other backslash stays, for the command to read (src/text). In single
// quotes everything stands for itself. A # where a word could begin starts a comment.
//
// Thread safety: pure functions.
#ifndef CAIRN_APPS_CAIRN_SHELL_WORDS_H_
#define CAIRN_APPS_CAIRN_SHELL_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"

namespace cairn::cli {

// kInvalidArgument: a quote is not closed.
Result<std::vector<std::string>> SplitWords(std::string_view line);

// A line that is being typed: its finished words, and the beginning of the next one.
struct PartialLine {
  std::vector<std::string> before;
  std::string beginning;
  bool quoted = false;  // the beginning stands in a quote
};
PartialLine SplitPartialLine(std::string_view line);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_SHELL_WORDS_H_
