#include "src/text/bytes_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::text {
namespace {

using ::testing::HasSubstr;

std::string AllBytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  return bytes;
}

TEST(BytesText, EveryFormGivesBackWhatItShows) {
  for (const TextForm form : {TextForm::kEscaped, TextForm::kHex, TextForm::kBase64}) {
    for (const std::string& bytes : {std::string(), AllBytes(), std::string("h\xC3\xA4 \\ \" '"),
                                     std::string("\\x41"), std::string("\0", 1)}) {
      const auto again = FromText(ToText(bytes, form), form);
      ASSERT_TRUE(again.ok()) << ToText(bytes, form);
      EXPECT_EQ(*again, bytes);
      EXPECT_TRUE(IsUtf8(ToText(bytes, form)));
    }
  }
}

TEST(BytesText, ShowsTextAsItIsAndTheRestEscaped) {
  EXPECT_EQ(ToText("h\xC3\xA4llo", TextForm::kEscaped), "h\xC3\xA4llo");
  EXPECT_EQ(ToText(std::string("a\n\0\xFF", 4), TextForm::kEscaped), "a\\x0a\\x00\\xff");
  EXPECT_EQ(ToText("\xC2\x9B", TextForm::kEscaped), "\\xc2\\x9b");  // CSI, a control character
  EXPECT_EQ(ToText("\x01\xAB", TextForm::kHex), "01ab");
}

TEST(BytesText, SaysWhereTextIsWrong) {
  EXPECT_THAT(FromText("ab\\q", TextForm::kEscaped).status().message(), HasSubstr("character 3"));
  EXPECT_FALSE(FromText("\\", TextForm::kEscaped).ok());
  EXPECT_FALSE(FromText("\\x1", TextForm::kEscaped).ok());
  EXPECT_THAT(FromText("0g", TextForm::kHex).status().message(), HasSubstr("hexadecimal"));
  EXPECT_FALSE(FromText("012", TextForm::kHex).ok());
  EXPECT_FALSE(FromText("*", TextForm::kBase64).ok());
}

TEST(BytesText, KnowsUtf8) {
  EXPECT_TRUE(IsUtf8("\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "\xE2\x82", "\xC3"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace cairn::text
