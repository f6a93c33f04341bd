// The one table of everything that `cairn` does.
//
// Thread safety: made once, then constant.
#ifndef CAIRN_APPS_CAIRN_COMMAND_TABLE_H_
#define CAIRN_APPS_CAIRN_COMMAND_TABLE_H_

#include "apps/cairn/commands.h"

namespace cairn::cli {

const ProgramDef& Program();

// The command `help`, and what it says: the program, or the command that COMMAND and WORD name.
CommandDef HelpDef();
Result<std::string> HelpFor(const ProgramDef& program, const Invocation& in);

// Runs the command of an invocation of Program().
ExitCode Run(Context& context, const Invocation& in);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_COMMAND_TABLE_H_
