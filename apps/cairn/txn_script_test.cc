#include "apps/cairn/txn_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace cairn::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<std::vector<TxnStep>> Parse(const std::string& text) {
  std::istringstream in(text);
  return ParseTxnScript(in, TextForm::kEscaped);
}

TEST(TxnScript, VersionstampsConflictsAndFamilies) {
  std::istringstream in(
      "range a \"\"\nset-versionstamped-key log/ v\nset-versionstamped-value last \"\"\n"
      "conflict-key k\nconflict-range a b\nin orders\n");
  const auto steps = ParseTxnScript(in, TextForm::kEscaped);
  ASSERT_TRUE(steps.ok()) << steps.status().ToString();
  const std::vector<TxnStep> expected = {RangeStep{"a", ""},           StampStep{"log/", "v", true},
                                         StampStep{"last", "", false}, ConflictKeyStep{"k"},
                                         ConflictRangeStep{"a", "b"},  InStep{"orders"}};
  EXPECT_EQ(*steps, expected);
  for (const char* wrong : {"range a", "set-versionstamped-key k", "conflict-key",
                            "conflict-range a", "in", "in a b", "nonsense"}) {
    std::istringstream line(wrong);
    EXPECT_FALSE(ParseTxnScript(line, TextForm::kEscaped).ok()) << wrong;
  }
}

TEST(TxnScript, NamesOfFamiliesHaveEscapesWhateverFormKeysHave) {
  const std::string script = "in a\\\\b\\n\\xff\nin \"two words\"\n";
  for (const TextForm form : {TextForm::kEscaped, TextForm::kHex, TextForm::kBase64}) {
    std::istringstream in(script);
    const auto steps = ParseTxnScript(in, form);
    ASSERT_TRUE(steps.ok()) << steps.status().ToString();
    EXPECT_THAT(*steps, ElementsAre(TxnStep(InStep{"a\\b\n\xff"}), TxnStep(InStep{"two words"})));
  }
  EXPECT_THAT(Parse("in a\\q\n").status().message(), HasSubstr("line 1: "));
}

TEST(TxnScript, ReadsEveryStep) {
  const auto steps = Parse(
      "# a comment\n\n  get a\nset b \"two words \\\" \\x00\"\ndelete \"c d\"\nadd n -3\n"
      "exec echo  \"hi\"\nexec-once false\ncommit\nthis is never read\n");
  ASSERT_TRUE(steps.ok()) << steps.status().ToString();
  EXPECT_THAT(
      *steps,
      ElementsAre(TxnStep(GetStep{"a"}), TxnStep(SetStep{"b", std::string("two words \" \0", 13)}),
                  TxnStep(DeleteStep{"c d"}), TxnStep(AddStep{"n", -3}),
                  TxnStep(ExecStep{"echo  \"hi\"", false}), TxnStep(ExecStep{"false", true})));
}

TEST(TxnScript, NamesTheLineThatIsWrong) {
  EXPECT_THAT(Parse("get a\nput b c\n").status().message(),
              HasSubstr("line 2: unknown step 'put'"));
  EXPECT_THAT(Parse("get\n").status().message(), HasSubstr("line 1: expected: get KEY"));
  EXPECT_THAT(Parse("set a b c\n").status().message(), HasSubstr("expected: set KEY VALUE"));
  EXPECT_THAT(Parse("set a \"b\n").status().message(), HasSubstr("quote"));
  EXPECT_THAT(Parse("set a \"b\\\"\n").status().message(), HasSubstr("quote"));
  EXPECT_THAT(Parse("add a x\n").status().message(), HasSubstr("whole number"));
  EXPECT_THAT(Parse("exec\n").status().message(), HasSubstr("exec COMMAND"));
  EXPECT_THAT(Parse("commit now\n").status().message(), HasSubstr("commit stands alone"));
}

}  // namespace
}  // namespace cairn::cli
