// The completion files of bash, zsh and fish. Each is plain text with one branch a command.
#include <algorithm>
#include <map>

#include "src/cli/completion.h"

namespace cairn::cli {
namespace {

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// In single quotes, for bash and zsh.
std::string Quote(const std::string& text) { return "'" + Replace(text, "'", "'\\''") + "'"; }
// In single quotes, for fish.
std::string FishQuote(const std::string& text) {
  return "'" + Replace(Replace(text, "\\", "\\\\"), "'", "\\'") + "'";
}

// Names of commands, or of the commands of a group without its name.
std::vector<const CommandDef*> CommandsOf(const ProgramDef& program, const std::string& group) {
  std::vector<const CommandDef*> commands;
  for (const CommandDef& command : program.commands) {
    const std::size_t blank = command.name.find(' ');
    const std::string own = blank == std::string::npos ? "" : command.name.substr(0, blank);
    if (own == group) commands.push_back(&command);
  }
  return commands;
}

std::string LastWord(const std::string& name) { return name.substr(name.find(' ') + 1); }

std::vector<const OptionDef*> AllOptionsOf(const ProgramDef& program, const CommandDef& command) {
  std::vector<const OptionDef*> options;
  for (const OptionDef& option : command.options) options.push_back(&option);
  for (const OptionDef* option : CommonOptionsOf(program, command)) options.push_back(option);
  return options;
}

std::vector<std::string> TopWords(const ProgramDef& program) {
  std::vector<std::string> words;
  for (const CommandDef* command : CommandsOf(program, "")) words.push_back(command->name);
  for (const GroupDef& group : program.groups) words.push_back(group.name);
  return words;
}

// The words that an argument may be. Of a command's name that is the first one: what may follow
// depends on it.
std::vector<std::string> ChoicesOf(const ProgramDef& program, const CommandDef& command,
                                   std::size_t index) {
  const ArgumentDef& argument = command.arguments[index];
  if (argument.kind != ValueKind::kCommand) return argument.choices;
  return index == 0 ? TopWords(program) : std::vector<std::string>();
}

// ---- bash

// What completes a value: choices, paths, or nothing.
std::string BashValue(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) return "words=" + Quote(Join(choices));
  if (kind == ValueKind::kFile) return "paths=-f";
  if (kind == ValueKind::kFolder) return "paths=-d";
  return "words=";
}

void BashCommand(const ProgramDef& program, const CommandDef& command, std::string* text) {
  std::vector<std::string> flags = {"--help"};
  std::string values;
  for (const OptionDef* option : AllOptionsOf(program, command)) {
    flags.push_back("--" + option->name);
    if (option->kind == ValueKind::kFlag) continue;
    values +=
        "        --" + option->name + ") " + BashValue(option->kind, option->choices) + " ;;\n";
  }
  std::string arguments;
  for (std::size_t i = 0; i < command.arguments.size(); ++i) {
    arguments += "        " + std::to_string(i) + ") " +
                 BashValue(command.arguments[i].kind, ChoicesOf(program, command, i)) + " ;;\n";
  }
  *text += "    " + Quote(command.name) + ")\n      options=" + Quote(Join(flags)) + "\n";
  if (!values.empty()) *text += "      case $waiting in\n" + values + "      esac\n";
  if (!arguments.empty()) {
    *text += "      [ -n \"$waiting\" ] || case $count in\n" + arguments + "      esac\n";
  }
  *text += "      ;;\n";
}

// The options of the program that take a value, as a pattern.
std::string BashValued(const ProgramDef& program) {
  std::vector<std::string> names;
  for (const OptionDef& option : program.common) {
    if (option.kind != ValueKind::kFlag) names.push_back("--" + option.name);
  }
  for (const CommandDef& command : program.commands) {
    for (const OptionDef& option : command.options) {
      if (option.kind != ValueKind::kFlag) names.push_back("--" + option.name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "|") + name;
  return text.empty() ? "--" : text;
}

// ---- zsh

std::string ZshText(const std::string& text) {
  return Replace(Replace(Replace(text, "\\", "\\\\"), "[", "\\["), "]", "\\]");
}

std::string ZshAction(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) return "(" + Join(choices) + ")";
  if (kind == ValueKind::kFile) return "_files";
  if (kind == ValueKind::kFolder) return "_files -/";
  return "( )";
}

std::string ZshOption(const OptionDef& option) {
  std::string spec = "--" + option.name + "[" + ZshText(option.help) + "]";
  if (option.kind != ValueKind::kFlag) {
    spec +=
        ":" + Replace(option.value_name, ":", "\\:") + ":" + ZshAction(option.kind, option.choices);
  }
  return Quote(spec);
}

void ZshDescribe(const std::string& what,
                 const std::vector<std::pair<std::string, std::string>>& all,
                 const std::string& margin, std::string* text) {
  *text += margin + "local -a words_of=(\n";
  for (const auto& [word, summary] : all) {
    *text += margin + "  " + Quote(word + ":" + summary) + "\n";
  }
  *text += margin + ")\n" + margin + "_describe " + Quote(what) + " words_of\n";
}

// ---- fish

std::string FishValue(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) return " -a " + FishQuote(Join(choices));
  if (kind == ValueKind::kFile) return " -F";
  if (kind == ValueKind::kFolder) return " -a '(__fish_complete_directories)'";
  return {};
}

void FishOption(const std::string& program, const std::string& condition, const OptionDef& option,
                std::string* text) {
  *text += "complete -c " + program + " -n " + FishQuote(condition) + " -l " + option.name;
  const bool file = option.kind == ValueKind::kFile;
  if (option.kind != ValueKind::kFlag) {
    *text += (file ? " -r" : " -x") + FishValue(option.kind, option.choices);
  }
  *text += " -d " + FishQuote(option.help) + "\n";
}

// True if the words so far are of this command.
std::string FishSeen(const std::string& program, const std::string& name) {
  return "__" + program + "_at " + name;
}

}  // namespace

std::string BashCompletion(const ProgramDef& program) {
  std::string text = "# bash completion of " + program.name +
                     ". Made of the table of commands; changes here are lost.\n_" + program.name +
                     R"(() {
  local current=${COMP_WORDS[COMP_CWORD]} command= group= waiting= word options= words= paths=
  local -i count=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [ -n "$waiting" ]; then waiting=; continue; fi
    case $word in
      )" + BashValued(program) +
                     R"() waiting=$word ;;
      -*) ;;
      *)
        if [ -n "$command" ]; then count+=1
        elif [ -n "$group" ]; then command="$group $word"
        else
          case $word in
)";
  for (const GroupDef& group : program.groups) {
    text += "            " + group.name + ") group=$word ;;\n";
  }
  text += R"(            *) command=$word ;;
          esac
        fi
        ;;
    esac
  done
  case $command in
)";
  std::vector<std::string> common = {"--help", "--version"};
  std::string values;
  for (const OptionDef& option : program.common) {
    common.push_back("--" + option.name);
    if (option.kind == ValueKind::kFlag) continue;
    values += "        --" + option.name + ") " + BashValue(option.kind, option.choices) + " ;;\n";
  }
  text += "    '')\n      options=" + Quote(Join(common)) + "\n      case $group in\n";
  for (const GroupDef& group : program.groups) {
    std::vector<std::string> words;
    for (const CommandDef* command : CommandsOf(program, group.name)) {
      words.push_back(LastWord(command->name));
    }
    text += "        " + group.name + ") words=" + Quote(Join(words)) + " ;;\n";
  }
  text += "        *) words=" + Quote(Join(TopWords(program))) + " ;;\n      esac\n";
  text += "      case $waiting in\n" + values + "      esac\n      ;;\n";
  for (const CommandDef& command : program.commands) BashCommand(program, command, &text);
  text += R"(  esac
  if [ -z "$waiting" ] && [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [ -n "$paths" ]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\n'
    COMPREPLY=($(compgen $paths -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -F _)" +
          program.name + " " + program.name + "\n";
  return text;
}

std::string ZshCompletion(const ProgramDef& program) {
  std::string text = "#compdef " + program.name +
                     "\n# Made of the table of commands; changes here are lost.\n_" + program.name +
                     "() {\n  local curcontext=$curcontext state line\n  local -a common=(\n";
  for (const OptionDef& option : program.common) text += "    " + ZshOption(option) + "\n";
  text +=
      "  )\n  _arguments -C $common '(- *)--help[Explains]' '(- *)--version[Shows the version]' "
      "'1: :->command' '*:: :->arguments' && return\n"
      "  case $state in\n  command)\n";
  std::vector<std::pair<std::string, std::string>> top;
  for (const CommandDef* command : CommandsOf(program, "")) {
    top.emplace_back(command->name, command->summary);
  }
  for (const GroupDef& group : program.groups) top.emplace_back(group.name, group.summary);
  ZshDescribe("command", top, "    ", &text);
  text += "    ;;\n  arguments)\n    local of=$words[1]\n";
  for (const GroupDef& group : program.groups) {
    text += "    if [[ $of == " + group.name + " ]]; then\n      if (( CURRENT == 2 )); then\n";
    std::vector<std::pair<std::string, std::string>> words;
    for (const CommandDef* command : CommandsOf(program, group.name)) {
      words.emplace_back(LastWord(command->name), command->summary);
    }
    ZshDescribe(group.name, words, "        ", &text);
    text +=
        "        return\n      fi\n      of=\"$of $words[2]\"\n      shift words\n"
        "      (( CURRENT-- ))\n    fi\n";
  }
  text += "    case $of in\n";
  for (const CommandDef& command : program.commands) {
    text += "    " + Quote(command.name) + ")\n      _arguments '--help[Explains the command]'";
    for (const OptionDef* option : AllOptionsOf(program, command)) {
      text += " \\\n        " + ZshOption(*option);
    }
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
      const ArgumentDef& argument = command.arguments[i];
      text += " \\\n        " +
              Quote(std::to_string(i + 1) + (argument.required ? ":" : "::") + argument.name + ":" +
                    ZshAction(argument.kind, ChoicesOf(program, command, i)));
    }
    text += "\n      ;;\n";
  }
  text += "    esac\n    ;;\n  esac\n}\n_" + program.name + " \"$@\"\n";
  return text;
}

std::string FishCompletion(const ProgramDef& program) {
  const std::string& name = program.name;
  std::string groups;
  for (const GroupDef& group : program.groups) groups += " " + group.name;
  std::string valued = Replace(BashValued(program), "|", " ");
  // __NAME_at WORDS: are the words of the line, without options, these, and arguments behind them?
  std::string text = "# fish completion of " + name +
                     ". Made of the table of commands; changes here are lost.\n"
                     "function __" +
                     name +
                     "_words\n"
                     "  set -l skip 0\n"
                     "  set -l found\n"
                     "  for word in (commandline -opc)[2..-1]\n"
                     "    if test $skip = 1\n"
                     "      set skip 0\n"
                     "    else if contains -- $word " +
                     valued +
                     "\n"
                     "      set skip 1\n"
                     "    else if not string match -q -- '-*' $word\n"
                     "      set -a found $word\n"
                     "    end\n"
                     "  end\n"
                     "  string join \\n -- $found\n"
                     "end\n"
                     "function __" +
                     name +
                     "_at\n"
                     "  set -l words (__" +
                     name +
                     "_words)\n"
                     "  set -l wanted $argv\n"
                     "  test (count $words) -ge (count $wanted); or return 1\n"
                     "  for i in (seq (count $wanted))\n"
                     "    test $words[$i] = $wanted[$i]; or return 1\n"
                     "  end\n"
                     "end\n"
                     "function __" +
                     name +
                     "_argument\n"
                     "  set -l words (__" +
                     name +
                     "_words)\n"
                     "  __" +
                     name +
                     "_at $argv[2..-1]; "
                     "and test (count $words) = (math (count $argv) - 1 + $argv[1])\n"
                     "end\n"
                     "function __" +
                     name +
                     "_first\n"
                     "  test (count (__" +
                     name +
                     "_words)) = 0\n"
                     "end\n"
                     "complete -c " +
                     name + " -f\n";
  const std::string first = "__" + name + "_first";
  for (const OptionDef& option : program.common) FishOption(name, first, option, &text);
  text += "complete -c " + name + " -n " + first + " -l version -d 'Shows the version'\n";
  text += "complete -c " + name + " -s h -l help -d 'Explains'\n";
  for (const GroupDef& group : program.groups) {
    text += "complete -c " + name + " -n " + first + " -a " + group.name + " -d " +
            FishQuote(group.summary) + "\n";
  }
  for (const CommandDef& command : program.commands) {
    const std::size_t blank = command.name.find(' ');
    const std::string before = blank == std::string::npos
                                   ? first
                                   : "__" + name + "_argument 0 " + command.name.substr(0, blank);
    text += "complete -c " + name + " -n " + FishQuote(before) + " -a " + LastWord(command.name) +
            " -d " + FishQuote(command.summary) + "\n";
    for (const OptionDef* option : AllOptionsOf(program, command)) {
      FishOption(name, FishSeen(name, command.name), *option, &text);
    }
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
      const std::string value =
          FishValue(command.arguments[i].kind, ChoicesOf(program, command, i));
      if (value.empty()) continue;
      text += "complete -c " + name + " -n " +
              FishQuote("__" + name + "_argument " + std::to_string(i) + " " + command.name) +
              value + "\n";
    }
  }
  return text;
}

}  // namespace cairn::cli
