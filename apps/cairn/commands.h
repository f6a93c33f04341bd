// The commands of `cairn`: what each takes (a CommandDef, from which parser, help, manual and
// completion are made) and what runs it. A file of commands offers them as a list, which
// command_table.cc puts into the one table.
//
// What a command has to say goes to standard output, as text or as one JSON document; why it failed
// goes to standard error, or with --json into the document: {"error": {"code", "message"}}.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_COMMANDS_H_
#define CAIRN_APPS_CAIRN_COMMANDS_H_

#include <string>
#include <vector>

#include "src/cli/definition.h"
#include "src/cli/parse.h"

namespace cairn::cli {

class Context;

// Exit codes: part of the interface (docs/command_line.md).
enum ExitCode : int {
  kSuccess = 0,
  kKeyNotFound = 1,  // get: there is no such key
  kUsage = 2,        // wrong flags or arguments
  kRefused = 3,      // the node answered with an error
  kUnreachable = 4,  // no node can be reached or serve
  kTimedOut = 5,     // no answer in time
};

struct Command {
  CommandDef definition;
  ExitCode (*run)(Context& context, const Invocation& in);
};

std::vector<Command> PointCommands();    // get, put
std::vector<Command> DeleteCommands();   // delete
std::vector<Command> RangeCommands();    // range
std::vector<Command> TxnCommands();      // txn
std::vector<Command> BulkCommands();     // dump, load
std::vector<Command> FamilyCommands();   // family list, create, drop
std::vector<Command> AdminCommands();    // status
std::vector<Command> ClusterCommands();  // cluster status
std::vector<Command> BenchCommands();    // bench
std::vector<Command> ShellCommands();    // shell
std::vector<Command> MemberCommands();   // cluster members, add, promote, remove, ...
std::vector<Command> VerifyCommands();   // cluster verify
std::vector<Command> BackupCommands();   // backup, restore, cluster recover
std::vector<Command> ConfigCommands();   // config check, show, default
std::vector<Command> MetaCommands();     // help, version, completion, man
std::vector<Command> DramCommands();     // dram serve, put, get, delete, list, stat, route, bench

// Names of common options, for CommandDef::common: those of every command that asks a node, and
// those of the ones that read and show keys or values.
inline const std::vector<std::string> kNodeOptions = {"endpoints", "timeout-ms", "json"};
inline const std::vector<std::string> kWriteOptions = {"endpoints",     "timeout-ms", "json",
                                                       "column-family", "hex",        "base64"};
inline const std::vector<std::string> kReadOptions = {
    "endpoints", "timeout-ms", "json", "column-family", "read-level", "hex", "base64"};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_COMMANDS_H_
