// help, version, completion and man: what the table of commands says, for people, for shells and
// for man. The build runs the last two to make the files that are installed.
#include <fstream>
#include <iostream>

#include "apps/cairn/command_table.h"
#include "apps/cairn/context.h"
#include "src/cli/completion.h"
#include "src/cli/help.h"
#include "src/cli/man_page.h"

namespace cairn::cli {
namespace {

ExitCode RunCompletion(Context&, const Invocation& in) {
  const std::string shell = in.Required("SHELL");
  std::cout << (shell == "bash"  ? BashCompletion(Program())
                : shell == "zsh" ? ZshCompletion(Program())
                                 : FishCompletion(Program()))
            << std::flush;
  return kSuccess;
}

ExitCode RunHelp(Context& context, const Invocation& in) {
  const auto text = HelpFor(Program(), in);
  if (!text.ok()) return context.Fail(UsageFailure(text.status()));
  std::cout << *text << std::flush;
  return kSuccess;
}

ExitCode RunVersion(Context& context, const Invocation&) {
  if (context.options().json) {
    Context::Print({{"version", Program().version}});
  } else {
    std::cout << "cairn " << Program().version << std::endl;
  }
  return kSuccess;
}

bool WritePage(const std::string& folder, const CommandDef* command) {
  std::ofstream file(folder + "/" + ManPageName(Program(), command) + ".1");
  file << ManPage(Program(), command);
  file.close();
  return file.good();
}

ExitCode RunMan(Context& context, const Invocation& in) {
  if (const auto folder = in.Text("all")) {
    bool written = WritePage(*folder, nullptr);
    for (const CommandDef& command : Program().commands) {
      written = WritePage(*folder, &command) && written;
    }
    return written ? kSuccess
                   : context.Fail({kRefused, "IO_ERROR",
                                   "cannot write to the folder '" + *folder + "'; does it exist?"});
  }
  const CommandDef* command = nullptr;
  if (const auto name = in.Text("COMMAND")) {
    command = FindCommand(Program(), *name);
    if (command == nullptr) {
      return context.Fail(UsageFailure("there is no command '" + *name + "'"));
    }
  }
  std::cout << ManPage(Program(), command) << std::flush;
  return kSuccess;
}

CommandDef VersionDef() {
  return {.name = "version",
          .summary = "Shows the version of this program",
          .common = {"json"},
          .examples = {{"cairn version", "Which version is this?"}}};
}

CommandDef CompletionDef() {
  return {.name = "completion",
          .summary = "Writes the completion file of a shell",
          .description = {"Installed packages bring these files along. Without one, let the shell "
                          "read it when it starts."},
          .arguments = {{.name = "SHELL",
                         .kind = ValueKind::kChoice,
                         .help = "The shell",
                         .choices = {"bash", "zsh", "fish"}}},
          .examples = {{"source <(cairn completion bash)", "Complete in this bash from now on"},
                       {"cairn completion fish > ~/.config/fish/completions/cairn.fish",
                        "Complete in every fish"}}};
}

CommandDef ManDef() {
  return {.name = "man",
          .summary = "Writes a manual page",
          .arguments = {{.name = "COMMAND",
                         .kind = ValueKind::kText,
                         .help = "A command; one of two words stands in quotes. Unless given, the "
                                 "page of the program",
                         .required = false}},
          .options = {{.name = "all",
                       .kind = ValueKind::kFolder,
                       .value_name = "FOLDER",
                       .help = "Writes every page to this folder instead",
                       .excludes = {"COMMAND"}}},
          .examples = {{"cairn man get | man -l -", "Read the page of get"}}};
}

}  // namespace

CommandDef HelpDef() {
  return {.name = "help",
          .summary = "Lists the commands, or explains one",
          .arguments = {{.name = "COMMAND",
                         .kind = ValueKind::kCommand,
                         .help = "The command",
                         .required = false},
                        {.name = "WORD",
                         .kind = ValueKind::kCommand,
                         .help = "Its second word",
                         .required = false}},
          .examples = {{"cairn help", "Which commands are there?"},
                       {"cairn help cluster add", "Explain one"}}};
}

Result<std::string> HelpFor(const ProgramDef& program, const Invocation& in) {
  HelpRequest request;
  const std::string name = in.Text("COMMAND").value_or("") +
                           (in.Has("WORD") ? " " + in.Required("WORD") : std::string());
  if (name.empty()) return HelpText(program, request);
  request.command = FindCommand(program, name);
  for (const GroupDef& group : program.groups) {
    if (group.name == name) request.group = &group;
  }
  if (request.command != nullptr || request.group != nullptr) return HelpText(program, request);
  return InvalidArgumentError("there is no command '" + name + "'; 'help' lists them");
}

std::vector<Command> MetaCommands() {
  return {{HelpDef(), RunHelp},
          {VersionDef(), RunVersion},
          {CompletionDef(), RunCompletion},
          {ManDef(), RunMan}};
}

}  // namespace cairn::cli
