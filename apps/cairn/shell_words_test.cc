#include "apps/cairn/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ShellWords, Quotes) {
  EXPECT_THAT(*SplitWords("put k  v\t1"), ElementsAre("put", "k", "v", "1"));
  EXPECT_THAT(*SplitWords(R"(put "a key" 'it is "so"')"),
              ElementsAre("put", "a key", "it is \"so\""));
  EXPECT_THAT(*SplitWords(R"(put "say \"yes\" \x00" a"b c"d)"),
              ElementsAre("put", R"(say "yes" \x00)", "ab cd"));
  EXPECT_THAT(*SplitWords(R"(put '\"' "")"), ElementsAre("put", "\\\"", ""));
  EXPECT_THAT(*SplitWords("  "), IsEmpty());
  for (const char* open : {"\"a", "'a", "a \"b\\\"", "a'"}) {
    EXPECT_FALSE(SplitWords(open).ok()) << open;
  }
}

TEST(ShellWords, Comments) {
  EXPECT_THAT(*SplitWords("# all of it 'is skipped"), IsEmpty());
  EXPECT_THAT(*SplitWords("get k # the rest"), ElementsAre("get", "k"));
  EXPECT_THAT(*SplitWords("get k#1"), ElementsAre("get", "k#1"));
}

TEST(ShellWords, PartsOfALine) {
  const PartialLine inside = SplitPartialLine("get \"a b\" --ra");
  EXPECT_THAT(inside.before, ElementsAre("get", "a b"));
  EXPECT_EQ(inside.beginning, "--ra");
  EXPECT_FALSE(inside.quoted);
  const PartialLine behind = SplitPartialLine("get ");
  EXPECT_THAT(behind.before, ElementsAre("get"));
  EXPECT_EQ(behind.beginning, "");
  EXPECT_TRUE(SplitPartialLine("get \"a").quoted);
  EXPECT_TRUE(SplitPartialLine("get \"a\"b").quoted);
  EXPECT_TRUE(SplitPartialLine("get # a").quoted);
}

}  // namespace
}  // namespace cairn::cli
