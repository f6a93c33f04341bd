#include "src/dump/dump_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace cairn::dump {
namespace {

using ::testing::HasSubstr;

std::vector<Pair> SomePairs() {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  return {{"", ""}, {"# no comment", "v"}, {"{", "tab\there"}, {all, all}, {"\xFF", "\n\r\n"}};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string Dump(Format format, const std::vector<Pair>& pairs) {
  Writer writer(format);
  std::string text = writer.Header(17);
  for (const Pair& pair : pairs) text += writer.Line(pair.key, pair.value);
  return text + writer.Footer();
}

Status ReadAll(const std::string& text, std::vector<Pair>* pairs) {
  Reader reader(std::nullopt);
  for (const std::string& line : Lines(text)) {
    CAIRN_ASSIGN_OR_RETURN(auto pair, reader.Take(line));
    if (pair.has_value()) pairs->push_back(*std::move(pair));
  }
  return reader.Finish();
}

TEST(DumpFormat, GivesBackAnyBytes) {
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    std::vector<Pair> pairs;
    const Status status = ReadAll(Dump(format, SomePairs()), &pairs);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(pairs, SomePairs());
  }
}

TEST(DumpFormat, SaysWhichFamilyAPairIsOf) {
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    Writer writer(format);
    std::string text = writer.Header(17, /*families=*/true);
    text += writer.Family("default");
    text += writer.Line("a", "1");
    text += writer.Family("b\n\xFF");
    text += writer.Line("a", "2");
    text += writer.Family("empty");
    text += writer.Footer();
    Reader reader(std::nullopt);
    std::vector<std::string> seen;
    for (const std::string& line : Lines(text)) {
      const auto pair = reader.Take(line);
      ASSERT_TRUE(pair.ok()) << pair.status().ToString();
      seen.push_back(reader.family().value_or("-") + ":" +
                     (pair->has_value() ? (*pair)->value : ""));
    }
    EXPECT_TRUE(reader.of_families());
    EXPECT_TRUE(reader.Finish().ok());
    EXPECT_THAT(seen, ::testing::ElementsAre("-:", "default:", "default:1", "b\n\xFF:", "b\n\xFF:2",
                                             "empty:", "empty:"));
  }
  // Of one family, such a line is a comment; of several, a pair needs one before it.
  std::vector<Pair> pairs;
  EXPECT_TRUE(ReadAll("# family x\na\tb\n", &pairs).ok());
  EXPECT_THAT(ReadAll("# cairn dump 2 version 1\na\tb\n", &pairs).message(),
              HasSubstr("before the first column family"));
  EXPECT_THAT(ReadAll("{\"cairn_dump\":2,\"version\":1}\n{\"key\":\"a\",\"value\":\"b\"}\n", &pairs)
                  .message(),
              HasSubstr("before the first column family"));
  EXPECT_THAT(ReadAll("# cairn dump 3 version 1\n", &pairs).message(), HasSubstr("1 and 2"));
}

TEST(DumpFormat, LooksAsSpecified) {
  EXPECT_THAT(Dump(Format::kText, {{"a", "b\n"}, {"#", "c"}}),
              ::testing::StartsWith("# cairn dump 1 version 17\na\tb\\x0a\n\\x23\tc\n"
                                    "# end count 2 checksum "));
  EXPECT_THAT(Dump(Format::kJsonLines, {{"a", "\xFF"}}),
              ::testing::StartsWith("{\"cairn_dump\":1,\"version\":17}\n"
                                    "{\"key\":\"a\",\"value_base64\":\"/w==\"}\n"
                                    "{\"end\":true,\"count\":1,\"checksum\":\""));
}

TEST(DumpFormat, NotesWhatItWasAskedFor) {
  const std::string scope = "family orders\tprefix \\x0a";
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    for (const bool families : {false, true}) {
      Writer writer(format);
      Reader reader(std::nullopt);
      std::string text = writer.Header(17, families, scope);
      text += writer.Footer();
      for (const std::string& line : Lines(text)) {
        ASSERT_TRUE(reader.Take(line).ok()) << line;
      }
      EXPECT_EQ(reader.scope(), scope);
      EXPECT_TRUE(reader.ended());
    }
  }
  // Elsewhere it is a comment as any other.
  Reader reader(std::nullopt);
  for (const char* line : {"# of x", "a\tb", "# of y"}) EXPECT_TRUE(reader.Take(line).ok());
  EXPECT_EQ(reader.scope(), std::nullopt);
}

TEST(DumpFormat, AnyCutIsNoticed) {
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    std::vector<std::string> lines = Lines(Dump(format, {{"a", "1"}, {"b", "2"}, {"c", "3"}}));
    for (std::size_t keep = 1; keep < lines.size(); ++keep) {
      std::string text;
      for (std::size_t i = 0; i < keep; ++i) text += lines[i] + "\n";
      std::vector<Pair> pairs;
      EXPECT_EQ(ReadAll(text, &pairs).code(), StatusCode::kCorruption) << text;
    }
    lines.erase(lines.begin() + 2);
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    std::vector<Pair> pairs;
    EXPECT_THAT(ReadAll(text, &pairs).message(), HasSubstr("counts 3"));
  }
}

TEST(DumpFormat, AChangedByteIsNoticed) {
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    std::string text = Dump(format, {{"key", "value"}});
    text[text.find("value", text.find('\n')) + 1] = 'o';
    std::vector<Pair> pairs;
    const Status status = ReadAll(text, &pairs);
    EXPECT_FALSE(status.ok()) << text;
  }
}

TEST(DumpFormat, ADumpThatGoesOnEndsAsOneInOnePiece) {
  for (const Format format : {Format::kText, Format::kJsonLines}) {
    const std::string whole = Dump(format, SomePairs());
    const std::vector<std::string> lines = Lines(whole);
    Writer writer(format);
    std::string text;
    for (std::size_t i = 0; i < 3; ++i) {
      writer.Adopt(lines[i], i > 0);
      text += lines[i] + "\n";
    }
    for (std::size_t i = 2; i < SomePairs().size(); ++i) {
      text += writer.Line(SomePairs()[i].key, SomePairs()[i].value);
    }
    EXPECT_EQ(text + writer.Footer(), whole);
  }
}

TEST(DumpFormat, HandWrittenFilesNeedNoHeader) {
  std::vector<Pair> pairs;
  EXPECT_TRUE(ReadAll("# fruit\n\na\tred\r\nb\tgreen\\n\n", &pairs).ok());
  EXPECT_EQ(pairs, (std::vector<Pair>{{"a", "red"}, {"b", "green\n"}}));
  pairs.clear();
  EXPECT_TRUE(ReadAll("{\"value\":\"1\",\"key_base64\":\"YQ==\",\"note\":2}\n", &pairs).ok());
  EXPECT_EQ(pairs, (std::vector<Pair>{{"a", "1"}}));
}

TEST(DumpFormat, SaysWhatIsWrong) {
  for (const char* bad : {"no tab\n", "a\tb\tc\n", "a\t\\q\n", "{\"key\":1}\n", "{\n", "{}\n",
                          "{\"key\":\"a\",\"value_base64\":\"*\"}\n", "# cairn dump 2 version 1\n",
                          "# cairn dump 1 version x\n", "a\tb\n# cairn dump 1 version 1\n",
                          "# end count x checksum y\n", "{\"end\":true}\n"}) {
    std::vector<Pair> pairs;
    EXPECT_FALSE(ReadAll(bad, &pairs).ok()) << bad;
  }
  std::vector<Pair> pairs;
  EXPECT_THAT(ReadAll(Dump(Format::kText, {}) + "a\tb\n", &pairs).message(), HasSubstr("behind"));
}

TEST(DumpFormat, RandomBytesNeverBreakIt) {
  std::mt19937_64 random(5);
  constexpr std::string_view kBytes = "{}\":#\\x0\t, endcoukyvalb1";
  for (int i = 0; i < 2000; ++i) {
    std::string line(random() % 40, '\0');
    for (char& byte : line) byte = kBytes[random() % kBytes.size()];
    Reader reader(std::nullopt);
    const auto taken = reader.Take(line);
    EXPECT_EQ(reader.count(), taken.ok() && taken->has_value() ? 1u : 0u);
  }
}

}  // namespace
}  // namespace cairn::dump
