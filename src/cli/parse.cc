#include "src/cli/parse.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "src/base/check.h"
#include "src/cli/help.h"
#include "src/cli/values.h"

namespace cairn::cli {
namespace {

// The parser of CLI11 for one table, and where it puts what it finds. Values stay text.
class Parser {
 public:
  explicit Parser(const ProgramDef& program) : program_(program), app_("", program.name) {
    app_.set_help_flag("-h,--help");
    app_.add_flag("--version", version_);
    app_.require_subcommand(1);
    app_.fallthrough();  // what is added below inherits it
    for (const OptionDef& option : program.common) Add(app_, &common_, option);
    for (const GroupDef& group : program.groups) {
      CLI::App* app = app_.add_subcommand(group.name);
      app->require_subcommand(1);
      groups_[group.name] = {app, &group};
    }
    for (const CommandDef& command : program.commands) Add(command);
  }

  Result<ParseOutcome> Parse(std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    try {
      app_.parse(words);
    } catch (const CLI::CallForHelp&) {
      return ParseOutcome(Asked());
    } catch (const CLI::ParseError& error) {
      if (version_) return ParseOutcome(VersionRequest{});
      return Explain(error);
    }
    if (version_) return ParseOutcome(VersionRequest{});
    return Gather(*Asked().command);
  }

 private:
  struct Place {
    CLI::Option* option = nullptr;
    std::string text;
    bool flag = false;
  };
  using Places = std::map<std::string, std::unique_ptr<Place>>;

  static void Add(CLI::App& app, Places* places, const OptionDef& option) {
    auto place = std::make_unique<Place>();
    if (option.kind == ValueKind::kFlag) {
      place->option = app.add_flag("--" + option.name, place->flag);
    } else {
      place->option = app.add_option("--" + option.name, place->text);
    }
    place->option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (!option.environment.empty()) place->option->envname(option.environment);
    (*places)[option.name] = std::move(place);
  }

  void Add(const CommandDef& command) {
    const std::size_t blank = command.name.find(' ');
    CLI::App* parent = &app_;
    if (blank != std::string::npos) {
      const auto group = groups_.find(command.name.substr(0, blank));
      CAIRN_CHECK(group != groups_.end(), "no group for " + command.name);
      parent = group->second.first;
    }
    CLI::App* app =
        parent->add_subcommand(command.name.substr(blank == std::string::npos ? 0 : blank + 1));
    commands_.emplace_back(app, &command);
    Places& places = own_[&command];
    for (const ArgumentDef& argument : command.arguments) {
      auto place = std::make_unique<Place>();
      place->option = app->add_option(argument.name, place->text);
      if (argument.required) place->option->required();
      places[argument.name] = std::move(place);
    }
    for (const OptionDef& option : command.options) Add(*app, &places, option);
  }

  // The command, or the group, that the words named so far.
  [[nodiscard]] HelpRequest Asked() const {
    for (const auto& [app, command] : commands_) {
      if (app->parsed()) return {nullptr, command};
    }
    for (const auto& [name, group] : groups_) {
      if (group.first->parsed()) return {group.second, nullptr};
    }
    return {};
  }

  [[nodiscard]] Status Explain(const CLI::ParseError& error) const {
    const HelpRequest asked = Asked();
    const auto extra = app_.remaining(true);
    if (asked.command == nullptr) return UnknownCommand(asked.group, extra);
    std::string text = MissingValue(*asked.command, error).value_or(error.what());
    if (!extra.empty()) {
      text = "'" + extra.front() + "' was not expected";
      std::vector<std::string> known = {"--help"};
      for (const OptionDef& option : asked.command->options) known.push_back("--" + option.name);
      for (const std::string& name : asked.command->common) known.push_back("--" + name);
      const std::string nearest =
          extra.front().starts_with("-") ? Nearest(extra.front(), known) : std::string();
      if (!nearest.empty()) text += "; did you mean " + nearest + "?";
    }
    return InvalidArgumentError(text + "\nusage: " + Usage(program_, *asked.command));
  }

  // "--limit needs a value: --limit N", if that is what is wrong. CLI11 names the option first.
  [[nodiscard]] std::optional<std::string> MissingValue(const CommandDef& command,
                                                        const CLI::ParseError& error) const {
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return std::nullopt;
    const std::string_view what = error.what();
    const std::string_view name = what.substr(0, what.find(':'));
    if (!name.starts_with("--")) return std::nullopt;
    const OptionDef* option = FindOption(program_, command, name.substr(2));
    for (const OptionDef& one : program_.common) {
      if (option == nullptr && "--" + one.name == name) option = &one;
    }
    if (option == nullptr) return std::nullopt;
    return std::string(name) + " needs a value: " + Usage(*option) + " (" + option->help +
           Remarks(*option) + ")";
  }

  [[nodiscard]] Status UnknownCommand(const GroupDef* group,
                                      const std::vector<std::string>& extra) const {
    const std::string start = group == nullptr ? std::string() : group->name + " ";
    const std::string list = program_.help_word.empty()
                                 ? program_.name + " " + start + "--help"
                                 : program_.help_word + (group == nullptr ? "" : " " + group->name);
    const std::string see = "; '" + list + "' lists the commands";
    if (extra.empty()) return InvalidArgumentError("expected a command" + see);
    std::vector<std::string> known;
    for (const CommandDef& command : program_.commands) {
      if (command.name.starts_with(start)) known.push_back(command.name.substr(start.size()));
    }
    for (const GroupDef& one : program_.groups) {
      if (group == nullptr) known.push_back(one.name);
    }
    const std::string nearest = Nearest(extra.front(), known);
    return InvalidArgumentError(
        "unknown command '" + start + extra.front() + "'" +
        (nearest.empty() ? "" : "; did you mean '" + start + nearest + "'?") + see);
  }

  // What was given, checked.
  [[nodiscard]] Result<ParseOutcome> Gather(const CommandDef& command) const {
    std::map<std::string, std::string> given;
    const Places& own = own_.at(&command);
    for (const ArgumentDef& argument : command.arguments) {
      const Place& place = *own.at(argument.name);
      if (place.option->count() == 0) continue;
      CAIRN_RETURN_IF_ERROR(CheckValue(argument.name, argument.kind, argument.choices, argument.min,
                                       argument.max, place.text));
      given[argument.name] = place.text;
    }
    for (const OptionDef& option : command.options) {
      CAIRN_RETURN_IF_ERROR(Take(option, *own.at(option.name), &given));
    }
    for (const OptionDef& option : program_.common) {
      const Place& place = *common_.at(option.name);
      if (FindOption(program_, command, option.name) == &option) {
        CAIRN_RETURN_IF_ERROR(Take(option, place, &given));
      } else if (place.option->count() > 0 && !FromEnvironment(option)) {
        return InvalidArgumentError("'" + program_.name + " " + command.name +
                                    "' does not take --" + option.name);
      }
    }
    CAIRN_RETURN_IF_ERROR(CheckExcludes(command, given));
    return ParseOutcome(Invocation(program_, command, std::move(given)));
  }

  // CLI11 counts a value of the environment like one of the command line, when there is none.
  static bool FromEnvironment(const OptionDef& option) {
    return !option.environment.empty() && std::getenv(option.environment.c_str()) != nullptr;
  }

  static Status Take(const OptionDef& option, const Place& place,
                     std::map<std::string, std::string>* given) {
    if (option.kind == ValueKind::kFlag) {
      if (place.flag) (*given)[option.name] = "";
      return Status::Ok();
    }
    if (place.option->count() == 0) return Status::Ok();
    CAIRN_RETURN_IF_ERROR(CheckValue("--" + option.name, option.kind, option.choices, option.min,
                                     option.max, place.text));
    (*given)[option.name] = place.text;
    return Status::Ok();
  }

  [[nodiscard]] Status CheckExcludes(const CommandDef& command,
                                     const std::map<std::string, std::string>& given) const {
    for (const auto& [name, value] : given) {
      const OptionDef* option = FindOption(program_, command, name);
      if (option == nullptr) continue;
      for (const std::string& other : option->excludes) {
        if (!given.contains(other)) continue;
        const bool is_option = FindOption(program_, command, other) != nullptr;
        return InvalidArgumentError("--" + name + " and " + (is_option ? "--" : "") + other +
                                    " exclude each other");
      }
    }
    return Status::Ok();
  }

  const ProgramDef& program_;
  CLI::App app_;
  bool version_ = false;
  Places common_;
  std::map<std::string, std::pair<CLI::App*, const GroupDef*>> groups_;
  std::deque<std::pair<CLI::App*, const CommandDef*>> commands_;
  std::map<const CommandDef*, Places> own_;
};

}  // namespace

Result<ParseOutcome> Parse(const ProgramDef& program, const std::vector<std::string>& words) {
  return Parser(program).Parse(words);
}

bool Invocation::Takes(std::string_view name) const {
  return FindArgument(*command_, name) != nullptr ||
         FindOption(*program_, *command_, name) != nullptr;
}

bool Invocation::Has(std::string_view name) const {
  CAIRN_CHECK(Takes(name), command_->name + " does not take " + std::string(name));
  return given_.contains(std::string(name));
}

std::optional<std::string> Invocation::Text(std::string_view name) const {
  if (Has(name)) return given_.at(std::string(name));
  const ArgumentDef* argument = FindArgument(*command_, name);
  const std::string& chosen = argument != nullptr
                                  ? argument->default_value
                                  : FindOption(*program_, *command_, name)->default_value;
  if (chosen.empty()) return std::nullopt;
  return chosen;
}

std::string Invocation::Required(std::string_view name) const {
  auto text = Text(name);
  CAIRN_CHECK(text.has_value(), command_->name + ": there may be no " + std::string(name));
  return *std::move(text);
}

std::optional<std::uint64_t> Invocation::Number(std::string_view name) const {
  const auto text = Text(name);
  if (!text.has_value()) return std::nullopt;
  const auto number = ParseSize(*text);  // checked when it was parsed; a size is also a number
  CAIRN_CHECK(number.ok(), command_->name + ": " + std::string(name) + " is no number");
  return *number;
}

std::optional<double> Invocation::Decimal(std::string_view name) const {
  const auto text = Text(name);
  if (!text.has_value()) return std::nullopt;
  const auto number = ParseDecimal(*text);
  CAIRN_CHECK(number.ok(), command_->name + ": " + std::string(name) + " is no number");
  return *number;
}

}  // namespace cairn::cli
