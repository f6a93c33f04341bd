// What a command line consists of, as plain data: commands, their arguments and options, and the
// words that explain them. One such table is the only place where a program says what it takes; the
// parser (parse.h), the help (help.h), the man pages (man_page.h) and the completion of shells
// (completion.h) are all made of it, so they can't disagree.
//
//   ProgramDef program{.name = "tool", .commands = {{.name = "get", .summary = "Shows a key",
//   ...}}}; auto outcome = Parse(program, {"get", "k", "--raw"});
//
// Names. Arguments are written in upper case (KEY), options without their dashes (at-version); both
// are unique within a command, together with the common options. A command of a group has a name of
// two words ("dram serve"), and the group stands in ProgramDef::groups.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_CLI_DEFINITION_H_
#define CAIRN_SRC_CLI_DEFINITION_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace cairn::cli {

// What may stand in an argument or behind an option. The parser refuses what does not fit.
enum class ValueKind : std::uint8_t {
  kFlag,       // nothing: the option stands alone
  kText,       // anything
  kBytes,      // a key or a value: anything, in the form that the command line reads bytes in
  kNumber,     // a whole number, `min` to `max`
  kSize,       // a number of bytes, `min` to `max`; KiB, MiB, GiB and TiB are understood
  kDecimal,    // a number that is not negative
  kChoice,     // one of `choices`
  kFile,       // a path; "-" is standard input or output where that makes sense
  kFolder,     // a path
  kEndpoints,  // host:port,...
  kCommand,    // a word of a command's name, behind those before it
};

struct OptionDef {
  std::string name;
  ValueKind kind = ValueKind::kFlag;
  std::string value_name = {};     // "N"; empty for a flag
  std::string help = {};           // one sentence or two, without the full stop
  std::string default_value = {};  // taken when the option is not given; shown by help
  std::string environment = {};    // a variable that stands in for the option
  std::vector<std::string> choices = {};
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::string> excludes = {};  // options or arguments that can't stand beside it
};

struct ArgumentDef {
  std::string name;
  ValueKind kind = ValueKind::kText;
  std::string help = {};
  bool required = true;  // optional arguments come last
  std::string default_value = {};
  std::vector<std::string> choices = {};
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
};

struct ExampleDef {
  std::string command;  // as it is typed
  std::string what;     // what it does
};

struct CommandDef {
  std::string name;
  std::string summary;                        // a few words, upper case first, no full stop
  std::vector<std::string> description = {};  // paragraphs; a line that starts with a blank is kept
  std::vector<ArgumentDef> arguments = {};
  std::vector<OptionDef> options = {};
  std::vector<std::string> common = {};  // the common options that it takes, by name
  std::vector<ExampleDef> examples = {};
};

struct GroupDef {
  std::string name;
  std::string summary;
};

struct ExitCodeDef {
  int code = 0;
  std::string meaning;
};

struct ProgramDef {
  std::string name;
  std::string version;
  std::string summary;
  std::vector<std::string> description = {};
  std::vector<OptionDef> common = {};  // options of several commands; stand before or after them
  std::vector<GroupDef> groups = {};
  std::vector<CommandDef> commands = {};
  std::vector<ExitCodeDef> exit_codes = {};
  std::string help_word = {};  // what lists the commands, if it is not "NAME --help"
};

// The command of that name; null if there is none.
const CommandDef* FindCommand(const ProgramDef& program, std::string_view name);
// The command's own option or a common one that it takes; null if it does not take it.
const OptionDef* FindOption(const ProgramDef& program, const CommandDef& command,
                            std::string_view name);
const ArgumentDef* FindArgument(const CommandDef& command, std::string_view name);
// The common options that the command takes, in the order of the table.
std::vector<const OptionDef*> CommonOptionsOf(const ProgramDef& program, const CommandDef& command);

// "--limit N", "--raw".
std::string Usage(const OptionDef& option);
// "KEY", "[END]".
std::string Usage(const ArgumentDef& argument);
// "cairn get [OPTIONS] KEY".
std::string Usage(const ProgramDef& program, const CommandDef& command);

// What is wrong with a table: a name twice, an unknown common option, a required argument behind an
// optional one, a missing help text. Empty if it is well made; a test asks.
std::vector<std::string> Faults(const ProgramDef& program);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_DEFINITION_H_
