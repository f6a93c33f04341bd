// The one table of everything that `cairn` does.
//
// Thread safety: made once, then constant.
#ifndef CAIRN_APPS_CAIRN_COMMAND_TABLE_H_
#define CAIRN_APPS_CAIRN_COMMAND_TABLE_H_

#include "apps/cairn/commands.h"

namespace cairn::cli {

const ProgramDef& Program();

// Runs the command of an invocation of Program().
ExitCode Run(Context& context, const Invocation& in);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_COMMAND_TABLE_H_
