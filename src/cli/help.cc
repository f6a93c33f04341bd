#include "src/cli/help.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/cli/values.h"

namespace cairn::cli {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kWidestName = 28;

// Appends words at `indent`, broken at blanks; the first line goes on at `column`.
void Wrap(const std::string& words, std::size_t column, std::size_t indent, std::string* text) {
  std::size_t at = column;
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    const std::size_t length = end - begin;
    if (at > indent && at + 1 + length > kWidth) {
      *text += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (at > indent) {
      *text += ' ';
      ++at;
    }
    *text += words.substr(begin, length);
    at += length;
    begin = end + 1;
  }
  *text += '\n';
}

using Entries = std::vector<std::pair<std::string, std::string>>;

// A heading and two columns.
void List(const std::string& heading, const Entries& entries, std::string* text) {
  if (entries.empty()) return;
  std::size_t width = 0;
  for (const auto& [name, words] : entries) {
    if (name.size() <= kWidestName) width = std::max(width, name.size());
  }
  *text += "\n" + heading + ":\n";
  const std::size_t indent = width + 4;
  for (const auto& [name, words] : entries) {
    *text += "  " + name;
    if (name.size() > width) {
      *text += "\n" + std::string(indent, ' ');
    } else {
      *text += std::string(width - name.size() + 2, ' ');
    }
    Wrap(words, indent, indent, text);
  }
}

void Paragraphs(const std::vector<std::string>& paragraphs, std::string* text) {
  for (const std::string& paragraph : paragraphs) {
    *text += '\n';
    if (paragraph.starts_with(" ")) {
      *text += paragraph + "\n";
    } else {
      Wrap(paragraph, 0, 0, text);
    }
  }
}

std::string Bounds(ValueKind kind, std::uint64_t min, std::uint64_t max) {
  if (kind != ValueKind::kNumber && kind != ValueKind::kSize) return {};
  if (max != std::numeric_limits<std::uint64_t>::max()) {
    return ". " + std::to_string(min) + " to " + std::to_string(max);
  }
  return min > 0 ? ". At least " + std::to_string(min) : std::string();
}

std::string Choices(const std::vector<std::string>& choices) {
  return choices.empty() ? std::string() : ". One of " + OneOf(choices);
}

std::string Default(const std::string& value) {
  return value.empty() ? std::string() : ". Default: " + value;
}

Entries Options(const std::vector<const OptionDef*>& options) {
  Entries entries;
  for (const OptionDef* option : options) {
    entries.emplace_back(Usage(*option), option->help + Remarks(*option));
  }
  return entries;
}

void CommandList(const ProgramDef& program, const std::string& group, std::string* text) {
  Entries entries;
  for (const CommandDef& command : program.commands) {
    const bool in_group = command.name.find(' ') != std::string::npos;
    if (group.empty() ? in_group : !command.name.starts_with(group + " ")) continue;
    entries.emplace_back(command.name, command.summary);
  }
  for (const GroupDef& one : program.groups) {
    if (group.empty()) entries.emplace_back(one.name + " ...", one.summary);
  }
  List("Commands", entries, text);
}

std::string HelpOfProgram(const ProgramDef& program) {
  std::string text = "usage: " + program.name + " COMMAND [OPTIONS] [ARGUMENTS]\n";
  Paragraphs({program.summary + "."}, &text);
  CommandList(program, {}, &text);
  std::vector<const OptionDef*> common;
  for (const OptionDef& option : program.common) common.push_back(&option);
  Entries options = Options(common);
  options.emplace_back("--help, -h", "Explains the program, or the command that it stands behind");
  options.emplace_back("--version", "Shows the version");
  List("Options of several commands", options, &text);
  Paragraphs(program.description, &text);
  Entries codes;
  for (const ExitCodeDef& one : program.exit_codes) {
    codes.emplace_back(std::to_string(one.code), one.meaning);
  }
  List("Exit codes", codes, &text);
  text += "\n'" + program.name + " COMMAND --help' explains a command.\n";
  return text;
}

std::string HelpOfCommand(const ProgramDef& program, const CommandDef& command) {
  std::string text = "usage: " + Usage(program, command) + "\n";
  Paragraphs({command.summary + "."}, &text);
  Paragraphs(command.description, &text);
  Entries arguments;
  for (const ArgumentDef& argument : command.arguments) {
    arguments.emplace_back(argument.name, argument.help + Remarks(argument));
  }
  List("Arguments", arguments, &text);
  std::vector<const OptionDef*> own;
  for (const OptionDef& option : command.options) own.push_back(&option);
  List("Options", Options(own), &text);
  List("Common options", Options(CommonOptionsOf(program, command)), &text);
  if (!command.examples.empty()) text += "\nExamples:\n";
  for (const ExampleDef& example : command.examples) {
    text += "  # " + example.what + "\n  " + example.command + "\n";
  }
  return text;
}

}  // namespace

std::string Remarks(const OptionDef& option) {
  std::string text = Bounds(option.kind, option.min, option.max) + Choices(option.choices) +
                     Default(option.default_value);
  if (!option.environment.empty()) text += ". Variable: " + option.environment;
  return text;
}

std::string Remarks(const ArgumentDef& argument) {
  return Bounds(argument.kind, argument.min, argument.max) + Choices(argument.choices) +
         Default(argument.default_value);
}

std::string CommandListText(const ProgramDef& program) {
  std::string text;
  CommandList(program, {}, &text);
  return text.substr(1);  // without the empty line
}

std::string HelpText(const ProgramDef& program, const HelpRequest& request) {
  if (request.command != nullptr) return HelpOfCommand(program, *request.command);
  if (request.group == nullptr) return HelpOfProgram(program);
  std::string text = "usage: " + program.name + " " + request.group->name +
                     " COMMAND [OPTIONS] [ARGUMENTS]\n\n" + request.group->summary + ".\n";
  CommandList(program, request.group->name, &text);
  return text;
}

}  // namespace cairn::cli
