// The parser on a small table of its own, and the faults that a table can have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/cli/completion.h"
#include "src/cli/help.h"
#include "src/cli/man_page.h"
#include "src/cli/parse.h"
#include "src/cli/values.h"

namespace cairn::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ProgramDef& Tool() {
  static const ProgramDef program{
      .name = "tool",
      .version = "1",
      .summary = "Does things",
      .common = {{.name = "loud", .help = "Shouts", .excludes = {"soft"}},
                 {.name = "level",
                  .kind = ValueKind::kChoice,
                  .value_name = "LEVEL",
                  .help = "How",
                  .default_value = "low",
                  .environment = "TOOL_LEVEL",
                  .choices = {"low", "high"}},
                 {.name = "soft", .help = "Whispers"}},
      .groups = {{"pool", "Things of the pool"}},
      .commands = {{.name = "get",
                    .summary = "Gets a thing",
                    .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "Which"},
                                  {.name = "WAY",
                                   .kind = ValueKind::kChoice,
                                   .help = "How",
                                   .required = false,
                                   .choices = {"fast", "slow"}}},
                    .options = {{.name = "size",
                                 .kind = ValueKind::kSize,
                                 .value_name = "BYTES",
                                 .help = "How much",
                                 .default_value = "1KiB",
                                 .max = 4096},
                                {.name = "rate",
                                 .kind = ValueKind::kDecimal,
                                 .value_name = "R",
                                 .help = "How fast"},
                                {.name = "out",
                                 .kind = ValueKind::kFile,
                                 .value_name = "FILE",
                                 .help = "Where to"}},
                    .common = {"loud", "level", "soft"}},
                   {.name = "pool serve", .summary = "Serves", .common = {"loud"}},
                   {.name = "pool put",
                    .summary = "Puts a thing",
                    .arguments = {{.name = "FILE", .kind = ValueKind::kFile, .help = "What"}}}},
  };
  return program;
}

Invocation Parsed(const std::vector<std::string>& words) {
  auto outcome = Parse(Tool(), words);
  EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
  return std::get<Invocation>(*outcome);
}

std::string Refused(const std::vector<std::string>& words) {
  const auto outcome = Parse(Tool(), words);
  EXPECT_FALSE(outcome.ok());
  return outcome.ok() ? "" : outcome.status().message();
}

TEST(Parse, GivenValuesAndDefaults) {
  const Invocation in = Parsed({"--loud", "get", "k", "--size", "2KiB", "--rate", "0.5"});
  EXPECT_EQ(in.command().name, "get");
  EXPECT_EQ(in.Required("KEY"), "k");
  EXPECT_TRUE(in.Has("loud"));
  EXPECT_FALSE(in.Has("soft"));
  EXPECT_FALSE(in.Has("WAY"));
  EXPECT_EQ(in.Number("size"), 2048u);
  EXPECT_EQ(in.Decimal("rate"), 0.5);
  EXPECT_EQ(in.Text("level"), "low");
  EXPECT_FALSE(in.Has("level"));
  EXPECT_EQ(in.Text("out"), std::nullopt);
  EXPECT_EQ(Parsed({"get", "k"}).Number("size"), 1024u);
  EXPECT_FALSE(in.Takes("nonsense"));
}

TEST(Parse, WordsThatLookLikeSomethingElse) {
  EXPECT_EQ(Parsed({"get", "get"}).Required("KEY"), "get");
  EXPECT_EQ(Parsed({"get", "pool"}).Required("KEY"), "pool");
  EXPECT_EQ(Parsed({"get", "--", "--loud"}).Required("KEY"), "--loud");
  EXPECT_EQ(Parsed({"get", ""}).Required("KEY"), "");
  EXPECT_EQ(Parsed({"get", "[a,b]"}).Required("KEY"), "[a,b]");
  EXPECT_EQ(Parsed({"get", "-"}).Required("KEY"), "-");
  EXPECT_EQ(Parsed({"pool", "put", "serve"}).Required("FILE"), "serve");
}

TEST(Parse, TheLastOneCounts) {
  EXPECT_EQ(Parsed({"--level", "low", "get", "k", "--level", "high"}).Text("level"), "high");
  EXPECT_EQ(Parsed({"get", "k", "--size", "1", "--size", "2"}).Number("size"), 2u);
}

TEST(Parse, HelpAndVersion) {
  EXPECT_EQ(std::get<HelpRequest>(*Parse(Tool(), {"--help"})).command, nullptr);
  EXPECT_EQ(std::get<HelpRequest>(*Parse(Tool(), {"get", "-h"})).command, &Tool().commands[0]);
  EXPECT_EQ(std::get<HelpRequest>(*Parse(Tool(), {"pool", "-h"})).group, &Tool().groups[0]);
  EXPECT_TRUE(std::holds_alternative<VersionRequest>(*Parse(Tool(), {"--version"})));
}

TEST(Parse, SaysWhatIsWrongAndWhatWouldDo) {
  EXPECT_THAT(Refused({}), HasSubstr("expected a command"));
  EXPECT_THAT(Refused({"gte", "k"}), HasSubstr("unknown command 'gte'; did you mean 'get'?"));
  EXPECT_THAT(Refused({"pool"}), HasSubstr("'tool pool --help'"));
  EXPECT_THAT(Refused({"pool", "srve"}), HasSubstr("did you mean 'pool serve'?"));
  EXPECT_THAT(Refused({"get"}), HasSubstr("usage: tool get [OPTIONS] KEY [WAY]"));
  EXPECT_THAT(Refused({"get", "k", "--sise", "1"}), HasSubstr("did you mean --size?"));
  EXPECT_THAT(Refused({"get", "k", "--size"}), HasSubstr("--size needs a value: --size "));
  EXPECT_THAT(Refused({"get", "k", "fast", "more"}), HasSubstr("'more' was not expected"));
  EXPECT_THAT(Refused({"get", "k", "--size"}), HasSubstr("--size"));
  EXPECT_THAT(Refused({"get", "k", "--size", "1MiB"}), HasSubstr("0 to 4096"));
  EXPECT_THAT(Refused({"get", "k", "--size", "1x"}), HasSubstr("'1x' is not a size"));
  EXPECT_THAT(Refused({"get", "k", "--rate", "-1"}), HasSubstr("0 or more"));
  EXPECT_THAT(Refused({"get", "k", "quick"}), HasSubstr("WAY: 'quick' is not one of fast or slow"));
  EXPECT_THAT(Refused({"get", "k", "--out", ""}), HasSubstr("path"));
  EXPECT_THAT(Refused({"get", "k", "--loud", "--soft"}), HasSubstr("exclude each other"));
  EXPECT_THAT(Refused({"--soft", "pool", "serve"}), HasSubstr("does not take --soft"));
}

TEST(Parse, Sizes) {
  EXPECT_EQ(*ParseSize("8GiB"), std::uint64_t{8} << 30);
  EXPECT_EQ(*ParseSize("0"), 0u);
  for (const char* bad :
       {"", "KiB", "1kb", "1.5MiB", "-1", "20000000TiB", "18446744073709551616"}) {
    EXPECT_FALSE(ParseSize(bad).ok()) << bad;
  }
}

TEST(Complete, WhatMayStandThere) {
  EXPECT_THAT(Complete(Tool(), {}, "").words, ElementsAre("get", "pool"));
  EXPECT_THAT(Complete(Tool(), {"pool"}, "").words, ElementsAre("put", "serve"));
  EXPECT_THAT(Complete(Tool(), {"--level"}, "").words, ElementsAre("high", "low"));
  EXPECT_THAT(Complete(Tool(), {"--level", "low"}, "g").words, ElementsAre("get"));
  EXPECT_TRUE(Complete(Tool(), {"get"}, "").bytes);
  EXPECT_THAT(Complete(Tool(), {"get", "k"}, "").words, ElementsAre("fast", "slow"));
  EXPECT_THAT(Complete(Tool(), {"get"}, "--s").words, ElementsAre("--size", "--soft"));
  EXPECT_TRUE(Complete(Tool(), {"pool", "put"}, "").path);
  EXPECT_TRUE(Complete(Tool(), {"get", "--out"}, "").path);
  EXPECT_THAT(Complete(Tool(), {"get", "--"}, "--s").words, IsEmpty());
  EXPECT_THAT(Complete(Tool(), {"nonsense", "x"}, "").words, IsEmpty());
}

TEST(Complete, WordsOfCommands) {
  ProgramDef program = Tool();
  const CommandDef help{
      .name = "explain",
      .summary = "Explains",
      .arguments = {
          {.name = "COMMAND", .kind = ValueKind::kCommand, .help = "Which"},
          {.name = "WORD", .kind = ValueKind::kCommand, .help = "Of it", .required = false}}};
  program.commands.push_back(help);
  EXPECT_THAT(Complete(program, {"explain"}, "").words, ElementsAre("explain", "get", "pool"));
  EXPECT_THAT(Complete(program, {"explain", "--loud"}, "p").words, ElementsAre("pool"));
  EXPECT_THAT(Complete(program, {"explain", "pool"}, "s").words, ElementsAre("serve"));
  EXPECT_THAT(Complete(program, {"explain", "get"}, "").words, IsEmpty());
  EXPECT_THAT(Complete(program, {"explain", "pool", "put"}, "").words, IsEmpty());
}

TEST(Texts, SpecialCharactersStayWhatTheyAre) {
  ProgramDef program = Tool();
  program.commands[0].summary = ".It's a \\ [thing]: it's";
  EXPECT_THAT(ManPage(program, &program.commands[0]), HasSubstr("\n\\&.It's a \\e [thing]"));
  EXPECT_THAT(FishCompletion(program), HasSubstr("'.It\\'s a \\\\ [thing]: it\\'s'"));
  EXPECT_THAT(ZshCompletion(program), HasSubstr("It'\\''s"));
  EXPECT_THAT(BashCompletion(program), HasSubstr("complete -F _tool tool"));
}

TEST(Table, FaultsAreFound) {
  EXPECT_THAT(Faults(Tool()), IsEmpty());
  const auto broken = [](auto change) {
    ProgramDef program = Tool();
    change(program);
    return Faults(program);
  };
  EXPECT_THAT(broken([](ProgramDef& p) { p.commands[1].name = "get"; }),
              Contains(HasSubstr("is there twice")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.groups.clear(); }), Contains(HasSubstr("of a group")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.commands[0].summary = ""; }),
              Contains(HasSubstr("no summary")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.commands[0].options[0].help = ""; }),
              Contains(HasSubstr("--size")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.commands[0].options[0].name = "rate"; }),
              Contains(HasSubstr("twice: rate")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.commands[0].common.emplace_back("no"); }),
              Contains(HasSubstr("unknown common option")));
  EXPECT_THAT(broken([](ProgramDef& p) {
                p.commands[0].arguments[0].required = false,
                p.commands[0].arguments[1].required = true;
              }),
              Contains(HasSubstr("behind an optional")));
  EXPECT_THAT(broken([](ProgramDef& p) { p.common[1].default_value = "middle"; }),
              Contains(HasSubstr("none of the choices")));
}

}  // namespace
}  // namespace cairn::cli
