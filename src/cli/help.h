// --help, made of the table: plain text, at most 100 columns wide.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLI_HELP_H_
#define CAIRN_SRC_CLI_HELP_H_

#include <string>

#include "src/cli/definition.h"
#include "src/cli/parse.h"

namespace cairn::cli {

// The program with its commands, a group with its commands, or all about one command.
std::string HelpText(const ProgramDef& program, const HelpRequest& request);

// The commands and groups of a program alone, each with its summary.
std::string CommandListText(const ProgramDef& program);

// What help and manual say behind an option's words: its bounds, its choices, its default, its
// variable. Empty, or sentences that follow a full stop.
std::string Remarks(const OptionDef& option);
std::string Remarks(const ArgumentDef& argument);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_HELP_H_
