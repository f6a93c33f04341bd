// Completion in the program itself. The files of the shells are made in shell_completion.cc.
#include "src/cli/completion.h"

#include <algorithm>

namespace cairn::cli {
namespace {

// Where the words lead: a command, the arguments it has so far, or an option that waits for a
// value.
struct Position {
  const CommandDef* command = nullptr;
  std::string group;
  std::vector<std::string> arguments;
  const OptionDef* waiting = nullptr;
  bool options_ended = false;
};

const OptionDef* OptionOf(const ProgramDef& program, const CommandDef* command,
                          std::string_view name) {
  if (command != nullptr) return FindOption(program, *command, name);
  for (const OptionDef& option : program.common) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

void Step(const ProgramDef& program, const std::string& word, Position* at) {
  if (at->waiting != nullptr) {
    at->waiting = nullptr;
    return;
  }
  if (!at->options_ended && word == "--") {
    at->options_ended = true;
    return;
  }
  if (!at->options_ended && word.starts_with("--")) {
    const OptionDef* option = OptionOf(program, at->command, word.substr(2));
    if (option != nullptr && option->kind != ValueKind::kFlag) at->waiting = option;
    return;
  }
  if (at->command != nullptr) {
    at->arguments.push_back(word);
    return;
  }
  at->command = FindCommand(program, at->group.empty() ? word : at->group + " " + word);
  if (at->command == nullptr && at->group.empty()) at->group = word;
}

void Keep(const std::vector<std::string>& words, std::string_view beginning, Candidates* found) {
  for (const std::string& word : words) {
    if (word.starts_with(beginning)) found->words.push_back(word);
  }
}

void OfKind(ValueKind kind, const std::vector<std::string>& choices, std::string_view beginning,
            Candidates* found) {
  Keep(choices, beginning, found);
  found->path = kind == ValueKind::kFile || kind == ValueKind::kFolder;
  found->bytes = kind == ValueKind::kBytes;
}

std::vector<std::string> CommandWords(const ProgramDef& program, const std::string& group) {
  std::vector<std::string> words;
  const std::string start = group.empty() ? group : group + " ";
  for (const CommandDef& command : program.commands) {
    if (!command.name.starts_with(start)) continue;
    const std::string rest = command.name.substr(start.size());
    if (rest.find(' ') == std::string::npos) words.push_back(rest);
  }
  for (const GroupDef& one : program.groups) {
    if (group.empty()) words.push_back(one.name);
  }
  return words;
}

}  // namespace

Candidates Complete(const ProgramDef& program, const std::vector<std::string>& before,
                    std::string_view beginning) {
  Position at;
  for (const std::string& word : before) Step(program, word, &at);
  Candidates found;
  if (at.waiting != nullptr) {
    OfKind(at.waiting->kind, at.waiting->choices, beginning, &found);
  } else if (beginning.starts_with("-") && !at.options_ended) {
    std::vector<std::string> names = {"--help"};
    if (at.command == nullptr) {
      names.emplace_back("--version");
      for (const OptionDef& option : program.common) names.push_back("--" + option.name);
    } else {
      for (const OptionDef& option : at.command->options) names.push_back("--" + option.name);
      for (const std::string& name : at.command->common) names.push_back("--" + name);
    }
    Keep(names, beginning, &found);
  } else if (at.command == nullptr) {
    Keep(CommandWords(program, at.group), beginning, &found);
  } else if (at.arguments.size() < at.command->arguments.size()) {
    const ArgumentDef& argument = at.command->arguments[at.arguments.size()];
    if (argument.kind == ValueKind::kCommand) {
      Keep(CommandWords(program, at.arguments.empty() ? "" : at.arguments.back()), beginning,
           &found);
    } else {
      OfKind(argument.kind, argument.choices, beginning, &found);
    }
  }
  std::sort(found.words.begin(), found.words.end());
  return found;
}

}  // namespace cairn::cli
