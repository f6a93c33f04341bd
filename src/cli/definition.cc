#include "src/cli/definition.h"

#include <algorithm>
#include <set>

namespace cairn::cli {
namespace {

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Gathers the faults of one command.
class Checker {
 public:
  Checker(const ProgramDef& program, std::vector<std::string>* faults)
      : program_(program), faults_(*faults) {}

  void Check(const CommandDef& command) {
    where_ = command.name;
    names_.clear();
    if (command.summary.empty()) Fault("has no summary");
    const std::size_t blank = command.name.find(' ');
    if (blank != std::string::npos) {
      const std::string group = command.name.substr(0, blank);
      if (std::none_of(program_.groups.begin(), program_.groups.end(),
                       [&](const GroupDef& one) { return one.name == group; })) {
        Fault("is of a group that does not exist");
      }
    }
    for (const std::string& name : command.common) {
      if (std::none_of(program_.common.begin(), program_.common.end(),
                       [&](const OptionDef& one) { return one.name == name; })) {
        Fault("takes an unknown common option: " + name);
      }
      Take(name);
    }
    bool optional_seen = false;
    for (const ArgumentDef& argument : command.arguments) {
      Take(argument.name);
      if (argument.help.empty()) Fault("explains not what it is: " + argument.name);
      if (argument.required && optional_seen) Fault("requires what comes behind an optional one");
      optional_seen = !argument.required;
      CheckChoices(argument.name, argument.kind, argument.choices, argument.default_value);
    }
    for (const OptionDef& option : command.options) Check(option);
    for (const OptionDef& option : command.options) {
      for (const std::string& other : option.excludes) {
        if (!names_.contains(other)) Fault("--" + option.name + " excludes the unknown " + other);
      }
    }
  }

  void Check(const OptionDef& option) {
    Take(option.name);
    if (option.help.empty()) Fault("explains not what it is: --" + option.name);
    if ((option.kind == ValueKind::kFlag) != option.value_name.empty()) {
      Fault("--" + option.name + ": a flag has no value, and all others name it");
    }
    CheckChoices("--" + option.name, option.kind, option.choices, option.default_value);
  }

  void Fault(const std::string& what) { faults_.push_back(where_ + ": " + what); }

 private:
  void Take(const std::string& name) {
    if (!names_.insert(name).second) Fault("has this name twice: " + name);
  }
  void CheckChoices(const std::string& name, ValueKind kind,
                    const std::vector<std::string>& choices, const std::string& chosen) {
    if ((kind == ValueKind::kChoice) == choices.empty()) Fault(name + ": choices are of kChoice");
    if (!choices.empty() && !chosen.empty() && !Contains(choices, chosen)) {
      Fault(name + ": the default is none of the choices");
    }
  }

  const ProgramDef& program_;
  std::vector<std::string>& faults_;
  std::string where_ = "common options";
  std::set<std::string> names_;
};

}  // namespace

const CommandDef* FindCommand(const ProgramDef& program, std::string_view name) {
  for (const CommandDef& command : program.commands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

const OptionDef* FindOption(const ProgramDef& program, const CommandDef& command,
                            std::string_view name) {
  for (const OptionDef& option : command.options) {
    if (option.name == name) return &option;
  }
  for (const OptionDef* option : CommonOptionsOf(program, command)) {
    if (option->name == name) return option;
  }
  return nullptr;
}

const ArgumentDef* FindArgument(const CommandDef& command, std::string_view name) {
  for (const ArgumentDef& argument : command.arguments) {
    if (argument.name == name) return &argument;
  }
  return nullptr;
}

std::vector<const OptionDef*> CommonOptionsOf(const ProgramDef& program,
                                              const CommandDef& command) {
  std::vector<const OptionDef*> options;
  for (const OptionDef& option : program.common) {
    if (Contains(command.common, option.name)) options.push_back(&option);
  }
  return options;
}

std::string Usage(const OptionDef& option) {
  std::string text = "--" + option.name;
  if (!option.value_name.empty()) text += " " + option.value_name;
  return text;
}

std::string Usage(const ArgumentDef& argument) {
  return argument.required ? argument.name : "[" + argument.name + "]";
}

std::string Usage(const ProgramDef& program, const CommandDef& command) {
  std::string text = program.name + " " + command.name;
  if (!command.options.empty() || !command.common.empty()) text += " [OPTIONS]";
  for (const ArgumentDef& argument : command.arguments) text += " " + Usage(argument);
  return text;
}

std::vector<std::string> Faults(const ProgramDef& program) {
  std::vector<std::string> faults;
  Checker checker(program, &faults);
  for (const OptionDef& option : program.common) checker.Check(option);
  std::set<std::string> names;
  for (const CommandDef& command : program.commands) {
    checker.Check(command);
    if (!names.insert(command.name).second) checker.Fault("is there twice");
  }
  return faults;
}

}  // namespace cairn::cli
