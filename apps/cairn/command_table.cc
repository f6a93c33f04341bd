#include "apps/cairn/command_table.h"

#include <iterator>

#include "apps/cairn/context.h"
#include "src/base/check.h"

namespace cairn::cli {
namespace {

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = [] {
    std::vector<Command> all;
    for (std::vector<Command> some :
         {PointCommands(), DeleteCommands(), RangeCommands(), TxnCommands(), BulkCommands(),
          FamilyCommands(), AdminCommands(), ClusterCommands(), MemberCommands(), VerifyCommands(),
          BackupCommands(), BenchCommands(), DramCommands(), ConfigCommands(), ShellCommands(),
          MetaCommands()}) {
      all.insert(all.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
    }
    return all;
  }();
  return commands;
}

std::vector<OptionDef> CommonOptionDefs() {
  return {
      {.name = "endpoints",
       .kind = ValueKind::kEndpoints,
       .value_name = "HOST:PORT,...",
       .help = "Nodes: HOST:PORT of their Thrift services, or grpc://HOST:PORT of their gRPC ones. "
               "Of several, writes go to the leader, and reads to the first that answers",
       .default_value = "127.0.0.1:9090",
       .environment = "CAIRN_ENDPOINTS"},
      {.name = "timeout-ms",
       .kind = ValueKind::kNumber,
       .value_name = "N",
       .help = "How long to wait for a node",
       .default_value = "5000",
       .min = 1,
       .max = 86'400'000},
      {.name = "json", .help = "One JSON document on standard output, errors included"},
      {.name = "column-family",
       .kind = ValueKind::kText,
       .value_name = "NAME",
       .help = "Column family of the keys"},
      {.name = "read-level",
       .kind = ValueKind::kChoice,
       .value_name = "LEVEL",
       .help = "What reads promise; unless given, as the node is configured",
       .choices = {"local", "leader", "read_index"}},
      {.name = "hex", .help = "Keys and values are given and shown in hex", .excludes = {"base64"}},
      {.name = "base64", .help = "Keys and values are given and shown in base64"},
  };
}

ProgramDef MakeProgram() {
  ProgramDef program{
      .name = "cairn",
      .version = CAIRN_VERSION,
      .summary = "Reads, writes and watches over a Cairn node",
      .description =
          {"Keys and values are any bytes. On the command line and in what is shown, \\\\ is a "
           "backslash, \\n, \\t, \\r and \\0 are as in C, and \\xNN is any byte; everything else "
           "stands for itself. --hex and --base64 choose another form. Names of column families "
           "always "
           "have these escapes.",
           "Options may stand before or behind the command. A word that starts with - and is no "
           "option stands behind --."},
      .common = CommonOptionDefs(),
      .groups = {{"family", "Column families, each with keys of its own"},
                 {"config", "A node's configuration file (docs/configuration.md)"},
                 {"cluster", "The members of a cluster (docs/operations.md)"},
                 {"dram", "Values in the memory of other processes (docs/remote-dram.md)"}},
      .exit_codes = {{kSuccess, "Done"},
                     {kKeyNotFound, "get: there is no such key"},
                     {kUsage, "Wrong options, arguments or input"},
                     {kRefused, "The node answered with an error, or what was asked failed"},
                     {kUnreachable,
                      "No node can be reached or serve; the message says if a write may have been "
                      "applied"},
                     {kTimedOut,
                      "No answer in time; the message says if a write may have been applied"}},
  };
  for (const Command& command : Commands()) program.commands.push_back(command.definition);
  return program;
}

}  // namespace

const ProgramDef& Program() {
  static const ProgramDef program = MakeProgram();
  return program;
}

ExitCode Run(Context& context, const Invocation& in) {
  for (const Command& command : Commands()) {
    if (command.definition.name != in.command().name) continue;
    if (const auto failure = context.Configure(in)) return context.Fail(*failure);
    return command.run(context, in);
  }
  CAIRN_CHECK(false, "no code for " + in.command().name);
}

}  // namespace cairn::cli
