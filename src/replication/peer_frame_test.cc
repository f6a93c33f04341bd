#include "src/replication/peer_frame.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn::replication {
namespace {

const FrameHeader kHeader{FrameKind::kForwardRequest, GroupId(3), 77, IncarnationId(99)};

TEST(PeerFrameTest, WhatIsEncodedDecodes) {
  for (const std::string& body : {std::string(), std::string("abc"), std::string(100'000, 'x')}) {
    const std::string bytes = EncodeFrame(kHeader, body);
    const auto frame = DecodeFrame(bytes);
    ASSERT_TRUE(frame.ok()) << frame.status().ToString();
    EXPECT_EQ(frame->header.kind, kHeader.kind);
    EXPECT_EQ(frame->header.group, kHeader.group);
    EXPECT_EQ(frame->header.cluster, kHeader.cluster);
    EXPECT_EQ(frame->header.incarnation, kHeader.incarnation);
    EXPECT_EQ(frame->body, body);
  }
}

TEST(PeerFrameTest, EveryChangedBitAndEveryCutIsNoticed) {
  const std::string bytes = EncodeFrame(kHeader, "some body");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_FALSE(DecodeFrame(changed).ok());
    }
    EXPECT_FALSE(DecodeFrame(bytes.substr(0, i)).ok());
  }
  EXPECT_FALSE(DecodeFrame(bytes + "x").ok());
}

}  // namespace
}  // namespace cairn::replication
