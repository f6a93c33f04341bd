// The table of commands, and that everything made of it agrees: parser, help, manual, completion,
// and docs/command_line.md. The completion files run in their shells in tests/cluster.
#include "apps/cairn/command_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "src/cli/completion.h"
#include "src/cli/help.h"
#include "src/cli/man_page.h"

namespace cairn::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A value that the option or argument takes.
template <class Def>
std::string ValueFor(const Def& def) {
  switch (def.kind) {
    case ValueKind::kChoice:
      return def.choices.back();
    case ValueKind::kNumber:
    case ValueKind::kSize:
      return std::to_string(def.min);
    case ValueKind::kEndpoints:
      return "localhost:1";
    default:
      return "7";
  }
}

std::vector<std::string> Split(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

// The command's name and what it requires.
std::vector<std::string> Least(const CommandDef& command) {
  std::vector<std::string> words = Split(command.name);
  for (const ArgumentDef& argument : command.arguments) {
    if (argument.required) words.push_back(ValueFor(argument));
  }
  return words;
}

std::vector<OptionDef> OptionsOf(const CommandDef& command) {
  std::vector<OptionDef> options = command.options;
  for (const OptionDef* option : CommonOptionsOf(Program(), command)) options.push_back(*option);
  return options;
}

void ExpectParsed(const std::vector<std::string>& words, const std::string& name,
                  const std::string& value) {
  const auto outcome = Parse(Program(), words);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  const auto& in = std::get<Invocation>(*outcome);
  EXPECT_TRUE(in.Has(name)) << name;
  if (!value.empty()) {
    EXPECT_EQ(in.Text(name), value);
  }
}

TEST(CommandTable, IsWellMade) { EXPECT_THAT(Faults(Program()), IsEmpty()); }

TEST(CommandTable, TheParserTakesAllThatTheTableSays) {
  for (const CommandDef& command : Program().commands) {
    const std::vector<std::string> least = Least(command);
    ASSERT_TRUE(Parse(Program(), least).ok()) << command.name;
    for (const OptionDef& option : OptionsOf(command)) {
      std::vector<std::string> words = least;
      words.push_back("--" + option.name);
      const std::string value = option.kind == ValueKind::kFlag ? "" : ValueFor(option);
      if (!value.empty()) words.push_back(value);
      ExpectParsed(words, option.name, value);
    }
    std::vector<std::string> words = Split(command.name);
    for (const ArgumentDef& argument : command.arguments) words.push_back(ValueFor(argument));
    for (const ArgumentDef& argument : command.arguments) {
      ExpectParsed(words, argument.name, ValueFor(argument));
    }
    words.emplace_back("too-much");
    EXPECT_FALSE(Parse(Program(), words).ok()) << command.name;
    if (least.size() > Split(command.name).size()) {
      EXPECT_FALSE(Parse(Program(), Split(command.name)).ok()) << command.name;
    }
  }
}

TEST(CommandTable, CommonOptionsStandBeforeTheCommandTooIfItTakesThem) {
  for (const CommandDef& command : Program().commands) {
    for (const OptionDef& option : Program().common) {
      std::vector<std::string> words = {"--" + option.name};
      if (option.kind != ValueKind::kFlag) words.push_back(ValueFor(option));
      for (const std::string& word : Least(command)) words.push_back(word);
      const bool takes = FindOption(Program(), command, option.name) != nullptr;
      EXPECT_EQ(Parse(Program(), words).ok(), takes) << command.name << " --" << option.name;
    }
  }
}

TEST(CommandTable, TheHelpTellsAll) {
  const std::string whole = HelpText(Program(), {});
  for (const CommandDef& command : Program().commands) {
    const std::string text = HelpText(Program(), {nullptr, &command});
    EXPECT_THAT(text, HasSubstr(Usage(Program(), command)));
    for (const OptionDef& option : OptionsOf(command)) EXPECT_THAT(text, HasSubstr(Usage(option)));
    for (const ArgumentDef& one : command.arguments) EXPECT_THAT(text, HasSubstr(one.name));
    if (command.name.find(' ') == std::string::npos) {
      EXPECT_THAT(whole, HasSubstr(command.summary));
    }
    const auto asked = Parse(Program(), Split(command.name + " --help"));
    ASSERT_TRUE(asked.ok());
    EXPECT_EQ(std::get<HelpRequest>(*asked).command, &command);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
  for (const GroupDef& group : Program().groups) {
    EXPECT_THAT(whole, HasSubstr(group.summary));
    const auto asked = Parse(Program(), {group.name, "--help"});
    ASSERT_TRUE(asked.ok());
    EXPECT_EQ(std::get<HelpRequest>(*asked).group, &group);
  }
}

// Text as the manual holds it.
std::string InRoff(std::string text) {
  std::string roff;
  for (const char c : text) roff += c == '-' ? "\\-" : std::string(1, c);
  return roff;
}

TEST(CommandTable, TheManualTellsAll) {
  const std::string whole = ManPage(Program(), nullptr);
  for (const CommandDef& command : Program().commands) {
    const std::string page = ManPage(Program(), &command);
    EXPECT_THAT(whole, HasSubstr(InRoff(ManPageName(Program(), &command))));
    for (const OptionDef& option : OptionsOf(command)) {
      EXPECT_THAT(page, HasSubstr(InRoff("--" + option.name)));
    }
    for (const ArgumentDef& argument : command.arguments) {
      EXPECT_THAT(page, HasSubstr(".TP\n\\fI" + argument.name));
    }
  }
}

TEST(CommandTable, CompletionOffersAll) {
  for (const CommandDef& command : Program().commands) {
    std::vector<std::string> before = Split(command.name);
    const std::string last = before.back();
    before.pop_back();
    EXPECT_THAT(Complete(Program(), before, last.substr(0, 1)).words, ::testing::Contains(last));
    before.push_back(last);
    std::vector<std::string> options = {"--help"};
    for (const OptionDef& option : OptionsOf(command)) options.push_back("--" + option.name);
    EXPECT_THAT(Complete(Program(), before, "-").words,
                ::testing::UnorderedElementsAreArray(options));
    for (const OptionDef& option : OptionsOf(command)) {
      if (option.choices.empty()) continue;
      before.push_back("--" + option.name);
      EXPECT_THAT(Complete(Program(), before, "").words,
                  ::testing::UnorderedElementsAreArray(option.choices));
      before.pop_back();
    }
  }
}

TEST(CommandTable, TheDocumentTellsAll) {
  std::ifstream file(CAIRN_SOURCE_DIR "/docs/command_line.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto told = [&](const std::string& words) {
    EXPECT_NE(text.find(words), std::string::npos) << "docs/command_line.md lacks " << words;
  };
  for (const CommandDef& command : Program().commands) {
    told("cairn " + command.name);
    for (const OptionDef& option : OptionsOf(command)) told("`--" + option.name);
  }
  for (const ExitCodeDef& code : Program().exit_codes) {
    told("| " + std::to_string(code.code) + " |");
  }
}

}  // namespace
}  // namespace cairn::cli
