// Manual pages (section 1, the man macros of roff), made of the table: one of the program, and one
// a command, named "cairn-get" or "cairn-dram-serve".
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CLI_MAN_PAGE_H_
#define CAIRN_SRC_CLI_MAN_PAGE_H_

#include <string>

#include "src/cli/definition.h"

namespace cairn::cli {

// "cairn", "cairn-get": without ".1". `command` null: the program.
std::string ManPageName(const ProgramDef& program, const CommandDef* command);
// The page's text.
std::string ManPage(const ProgramDef& program, const CommandDef* command);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_MAN_PAGE_H_
