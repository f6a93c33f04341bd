#include "src/dram/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/dram/transport.h"

namespace cairn::dram {
namespace {

using ::testing::HasSubstr;

std::string Encoded(const Frame& frame) {
  std::string bytes;
  AppendFrame(frame, &bytes);
  return bytes;
}

TEST(FrameTest, RoundTrip) {
  const std::string bytes = Encoded({FrameKind::kRequest, 7, 1 << 20, "header"}) + "payload";
  const auto frame = DecodeFrame(bytes);
  ASSERT_TRUE(frame.ok()) << frame.status().ToString();
  EXPECT_EQ(frame->kind, FrameKind::kRequest);
  EXPECT_EQ(frame->call_id, 7u);
  EXPECT_EQ(frame->payload_size, 1u << 20);
  EXPECT_EQ(frame->header, "header");
}

TEST(FrameTest, TheBytesAreAsSpecified) {
  const std::string bytes = Encoded({FrameKind::kAnswer, 0x0102, 3, "hh"});
  EXPECT_EQ(bytes, std::string("CDRM\x01\x02\x02\x00\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0hh", 26));
}

TEST(FrameTest, EveryCutAndEveryBrokenFieldIsRefused) {
  const std::string good = Encoded({FrameKind::kRequest, 1, 10, "header"});
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(DecodeFrame(good.substr(0, n)).ok()) << n;
  }
  const auto broken = [&](std::size_t at, char byte) {
    std::string bytes = good;
    bytes[at] = byte;
    return DecodeFrame(bytes).status().message();
  };
  EXPECT_THAT(broken(0, 'X'), HasSubstr("magic"));
  EXPECT_THAT(broken(4, 2), HasSubstr("version"));
  EXPECT_THAT(broken(5, 0), HasSubstr("kind"));
  EXPECT_THAT(broken(5, 6), HasSubstr("kind"));
  EXPECT_THAT(broken(5, 3), HasSubstr("heartbeat"));
  EXPECT_THAT(broken(5, 4), HasSubstr("without one"));
  EXPECT_THAT(broken(7, 0x7F), HasSubstr("header size"));
  EXPECT_THAT(broken(8, 0), HasSubstr("call id"));
  EXPECT_THAT(broken(23, 1), HasSubstr("payload size"));
}

}  // namespace
}  // namespace cairn::dram
