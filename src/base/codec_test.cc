#include "src/base/codec.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/clock.h"

namespace cairn {
namespace {

std::string EncodedVarint(std::uint64_t v) {
  std::string out;
  Encoder(&out).Varint(v);
  return out;
}

const std::vector<std::uint64_t>& InterestingNumbers() {
  static const std::vector<std::uint64_t> numbers = [] {
    std::vector<std::uint64_t> out = {0};
    for (int bit = 0; bit < 64; ++bit) {
      const std::uint64_t power = std::uint64_t{1} << bit;
      out.insert(out.end(), {power - 1, power, power + 1});
    }
    out.push_back(UINT64_MAX);
    return out;
  }();
  return numbers;
}

TEST(CodecTest, FixedNumbersAreLittleEndian) {
  std::string out;
  Encoder encoder(&out);
  encoder.U8(0xAB);
  encoder.Fixed32(0x01020304);
  encoder.Fixed64(0x0102030405060708);
  EXPECT_EQ(out, std::string("\xAB\4\3\2\1\x8\7\6\5\4\3\2\1", 13));
  Decoder decoder(out);
  EXPECT_EQ(decoder.U8(), 0xAB);
  EXPECT_EQ(decoder.Fixed32(), 0x01020304u);
  EXPECT_EQ(decoder.Fixed64(), 0x0102030405060708u);
  EXPECT_TRUE(decoder.AtEnd());
}

TEST(CodecTest, BigEndianBytesSortLikeNumbers) {
  std::string out;
  Encoder encoder(&out);
  encoder.BigEndian16(0x0102);
  encoder.BigEndian32(0x03040506);
  encoder.BigEndian64(0x0708090A0B0C0D0E);
  EXPECT_EQ(out, std::string("\1\2\3\4\5\6\7\x8\x9\xA\xB\xC\xD\xE", 14));
  Decoder decoder(out);
  EXPECT_EQ(decoder.BigEndian16(), 0x0102);
  EXPECT_EQ(decoder.BigEndian32(), 0x03040506u);
  EXPECT_EQ(decoder.BigEndian64(), 0x0708090A0B0C0D0Eu);
  EXPECT_TRUE(decoder.AtEnd());

  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t a = random.Next() >> random.Below(64);
    const std::uint64_t b = random.Next() >> random.Below(64);
    std::string encoded_a;
    std::string encoded_b;
    Encoder(&encoded_a).BigEndian64(a);
    Encoder(&encoded_b).BigEndian64(b);
    EXPECT_EQ(a < b, encoded_a < encoded_b);
  }
}

TEST(CodecTest, VarintsComeBackAndAreShort) {
  for (const std::uint64_t v : InterestingNumbers()) {
    const std::string bytes = EncodedVarint(v);
    const std::size_t bits = v == 0 ? 1 : 64 - static_cast<std::size_t>(__builtin_clzll(v));
    EXPECT_EQ(bytes.size(), (bits + 6) / 7) << v;
    Decoder decoder(bytes);
    EXPECT_EQ(decoder.Varint(), v);
    EXPECT_TRUE(decoder.AtEnd());
  }
}

TEST(CodecTest, SignedVarintsComeBackAndSmallOnesAreShort) {
  for (const std::uint64_t v : InterestingNumbers()) {
    for (const std::int64_t n : {static_cast<std::int64_t>(v), static_cast<std::int64_t>(~v)}) {
      std::string bytes;
      Encoder(&bytes).SignedVarint(n);
      if (n >= -64 && n < 64) {
        EXPECT_EQ(bytes.size(), 1u) << n;
      }
      Decoder decoder(bytes);
      EXPECT_EQ(decoder.SignedVarint(), n);
      EXPECT_TRUE(decoder.AtEnd());
    }
  }
}

TEST(CodecTest, VarintHasOneEncodingOnly) {
  const std::vector<std::string> wrong = {
      "",
      "\x80",                                       // cut
      std::string("\x80\x00", 2),                   // 0 in two bytes
      std::string("\xFF\x80\x00", 3),               // a zero last byte
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",   // 65 bits
      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"  // eleven bytes
  };
  for (const std::string& bytes : wrong) {
    Decoder decoder(bytes);
    EXPECT_EQ(decoder.Varint(), 0u);
    EXPECT_FALSE(decoder.ok()) << Printable(bytes);
  }
}

TEST(CodecTest, BytesAreViewsOfTheInput) {
  std::string out;
  Encoder encoder(&out);
  encoder.Bytes("");
  encoder.Bytes(std::string("a\0b", 3));
  encoder.Raw("raw");
  Decoder decoder(out);
  EXPECT_EQ(decoder.Bytes(), "");
  const std::string_view view = decoder.Bytes();
  EXPECT_EQ(view, std::string_view("a\0b", 3));
  EXPECT_EQ(view.data(), out.data() + 2);
  EXPECT_EQ(decoder.remaining(), 3u);
  EXPECT_FALSE(decoder.AtEnd());
  EXPECT_EQ(decoder.Rest(), "raw");
  EXPECT_TRUE(decoder.AtEnd());
}

TEST(CodecTest, LengthsBeyondTheInputFail) {
  for (const std::uint64_t length : {std::uint64_t{4}, std::uint64_t{1} << 40, UINT64_MAX}) {
    const std::string input = EncodedVarint(length) + "abc";
    Decoder bytes(input);
    EXPECT_EQ(bytes.Bytes(), "");
    EXPECT_FALSE(bytes.ok());
    Decoder raw("abc");
    EXPECT_EQ(raw.Raw(length), "");
    EXPECT_FALSE(raw.ok());
  }
}

TEST(CodecTest, FailureSticks) {
  Decoder decoder("\1\2\3");
  EXPECT_EQ(decoder.Fixed32(), 0u);
  EXPECT_FALSE(decoder.ok());
  EXPECT_EQ(decoder.U8(), 0);
  EXPECT_EQ(decoder.Rest(), "");
  EXPECT_FALSE(decoder.ok());
  EXPECT_FALSE(decoder.AtEnd());
}

TEST(CodecTest, CutInputNeverDecodes) {
  std::string out;
  Encoder encoder(&out);
  encoder.U8(1);
  encoder.Varint(300);
  encoder.Fixed32(5);
  encoder.Bytes("hello");
  encoder.BigEndian16(7);
  for (std::size_t size = 0; size < out.size(); ++size) {
    Decoder decoder(std::string_view(out).substr(0, size));
    decoder.U8();
    decoder.Varint();
    decoder.Fixed32();
    decoder.Bytes();
    decoder.BigEndian16();
    EXPECT_FALSE(decoder.ok()) << size;
  }
}

TEST(CodecTest, PrintableShowsBytesAndCuts) {
  EXPECT_EQ(Printable(std::string("a\0\xFF\\z", 5)), "a\\x00\\xff\\x5cz");
  EXPECT_EQ(Printable("abcdef", 3), "abc...(6 bytes)");
  EXPECT_EQ(Printable("abc", 3), "abc");
}

TEST(CodecTest, KeyAfterIsTheNextKey) {
  EXPECT_EQ(KeyAfter("ab"), std::string("ab\0", 3));
  EXPECT_LT(std::string("ab"), KeyAfter("ab"));
  EXPECT_LT(KeyAfter("ab"), std::string("ab\1", 3));
}

}  // namespace
}  // namespace cairn
