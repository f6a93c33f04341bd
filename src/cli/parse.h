// From the words of a command line to what was asked, by a table (definition.h).
//
// Options stand anywhere, common ones before the command too; "--" ends them. The last one counts
// if an option is given twice. Every value is checked against its kind, so that the accessors of an
// Invocation can't fail: asking one for a name that the command does not have is a bug, and aborts.
//
// Thread safety: pure functions and plain values.
#ifndef CAIRN_SRC_CLI_PARSE_H_
#define CAIRN_SRC_CLI_PARSE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/cli/definition.h"

namespace cairn::cli {

// A command with the values it was given. Refers to the table, which must outlive it.
class Invocation {
 public:
  Invocation(const ProgramDef& program, const CommandDef& command,
             std::map<std::string, std::string> given)
      : program_(&program), command_(&command), given_(std::move(given)) {}

  [[nodiscard]] const CommandDef& command() const { return *command_; }

  // Does the command take it at all? For code that serves several commands.
  [[nodiscard]] bool Takes(std::string_view name) const;
  // Was it given, on the command line or by the environment? For a flag: is it set?
  [[nodiscard]] bool Has(std::string_view name) const;
  // What was given, else the default; nothing if there is neither.
  [[nodiscard]] std::optional<std::string> Text(std::string_view name) const;
  // The same of what always has a value: required, or with a default.
  [[nodiscard]] std::string Required(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint64_t> Number(std::string_view name) const;  // kNumber, kSize
  [[nodiscard]] std::optional<double> Decimal(std::string_view name) const;

 private:
  const ProgramDef* program_;
  const CommandDef* command_;
  std::map<std::string, std::string> given_;
};

// --help: of the program (both null), of a group, or of a command.
struct HelpRequest {
  const GroupDef* group = nullptr;
  const CommandDef* command = nullptr;
};
struct VersionRequest {};

using ParseOutcome = std::variant<Invocation, HelpRequest, VersionRequest>;

// kInvalidArgument says what is wrong with which word, and what would do.
Result<ParseOutcome> Parse(const ProgramDef& program, const std::vector<std::string>& words);

// "64", "16KiB", "8GiB" as a number of bytes. kInvalidArgument that quotes it.
Result<std::uint64_t> ParseSize(std::string_view text);

}  // namespace cairn::cli

#endif  // CAIRN_SRC_CLI_PARSE_H_
