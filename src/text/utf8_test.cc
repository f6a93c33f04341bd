#include "src/text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn::text {
namespace {

TEST(Utf8Test, TellsTextFromOtherBytes) {
  for (const std::string good :
       {"", "plain", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xE2\x82\xACz"}) {
    EXPECT_TRUE(IsUtf8(good)) << testing::PrintToString(good);
  }
  EXPECT_TRUE(IsUtf8(std::string("a\0b", 3)));
  for (const std::string bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2z", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "ok\xFE"}) {
    EXPECT_FALSE(IsUtf8(bad)) << testing::PrintToString(bad);
  }
}

}  // namespace
}  // namespace cairn::text
