#include "src/transport/asio/hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "src/base/clock.h"
#include "src/transport/asio/frames.h"

namespace cairn::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PeerIdentity kOne{NodeId(1), IncarnationId(0xA1), 0xC1};
const PeerIdentity kTwo{NodeId(2), IncarnationId(0xA2), 0xC1};

TEST(HelloTest, WhatIsSaidIsHeard) {
  const Hello hello{kOne, NodeId(2), Lane::kBulk};
  const Result<Hello> heard = Hello::Decode(hello.Encode());
  ASSERT_TRUE(heard.ok()) << heard.status().ToString();
  EXPECT_EQ(*heard, hello);
  const HelloAnswer answer{kTwo, "go away"};
  const Result<HelloAnswer> answered = HelloAnswer::Decode(answer.Encode());
  ASSERT_TRUE(answered.ok()) << answered.status().ToString();
  EXPECT_EQ(*answered, answer);
}

TEST(HelloTest, EveryChangedOrMissingByteIsRefused) {
  const std::string bytes = Hello{kOne, NodeId(2), Lane::kConsensus}.Encode();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_FALSE(Hello::Decode(changed).ok()) << "byte " << i;
    EXPECT_FALSE(Hello::Decode(bytes.substr(0, i)).ok()) << "length " << i;
  }
  EXPECT_FALSE(Hello::Decode(bytes + "x").ok());
}

TEST(HelloTest, AnotherVersionIsNamed) {
  std::string bytes = Hello{kOne, NodeId(2), Lane::kConsensus}.Encode();
  bytes[4] = 9;
  EXPECT_THAT(Hello::Decode(bytes).status().message(),
              HasSubstr("version 9 of the peers' protocol, this node version 2"));
}

TEST(HelloTest, StrangersAreTold) {
  EXPECT_TRUE(CheckHello(kTwo, Hello{kOne, NodeId(2), Lane::kConsensus}).ok());
  EXPECT_THAT(CheckHello(kTwo, Hello{kOne, NodeId(3), Lane::kConsensus}).message(),
              HasSubstr("node 1 means to reach node 3, and this is node 2"));
  PeerIdentity twin = kTwo;
  twin.incarnation = IncarnationId(0xB2);
  EXPECT_THAT(CheckHello(kTwo, Hello{twin, NodeId(2), Lane::kConsensus}).message(),
              HasSubstr("another node calls itself node 2"));
  PeerIdentity foreign = kOne;
  foreign.cluster = 0xC9;
  EXPECT_THAT(CheckHello(kTwo, Hello{foreign, NodeId(2), Lane::kConsensus}).message(),
              HasSubstr("belongs to cluster 00000000000000c9"));
  foreign.cluster = 0;  // Not formed yet.
  EXPECT_TRUE(CheckHello(kTwo, Hello{foreign, NodeId(2), Lane::kConsensus}).ok());
}

TEST(HelloTest, TheOneWhoAnswersMustBeTheOneDialled) {
  EXPECT_TRUE(CheckAnswer(kOne, NodeId(2), HelloAnswer{kTwo, ""}).ok());
  EXPECT_THAT(CheckAnswer(kOne, NodeId(3), HelloAnswer{kTwo, ""}).message(),
              HasSubstr("it says that it is node 2, not node 3"));
  EXPECT_THAT(CheckAnswer(kOne, NodeId(2), HelloAnswer{kTwo, "no room"}).message(),
              HasSubstr("it turned this node away: no room"));
}

TEST(FramesTest, HoweverTheStreamIsCut) {
  const std::vector<std::string> frames = {"a", "", std::string(300, 'b'), "c", ""};
  std::string stream;
  for (const std::string& frame : frames) stream += FrameHeader(frame.size()) + frame;
  SeededRandom random(7);
  for (int round = 0; round < 200; ++round) {
    FrameReader reader(1000);
    std::vector<std::string> read;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t size = 1 + random.Below(round % 2 == 0 ? 5 : 400);
      const std::string_view piece = std::string_view(stream).substr(at, size);
      ASSERT_TRUE(
          reader.Feed(piece, [&](std::string frame) { read.push_back(std::move(frame)); }).ok());
      at += piece.size();
    }
    // An empty frame is whole when its header is.
    EXPECT_EQ(read, frames) << "round " << round;
  }
}

TEST(FramesTest, AnAnnouncementAboveTheBoundEndsTheStream) {
  FrameReader reader(10);
  std::vector<std::string> read;
  const auto take = [&](std::string frame) { read.push_back(std::move(frame)); };
  EXPECT_TRUE(reader.Feed(FrameHeader(10) + "0123456789", take).ok());
  const Status refused = reader.Feed(FrameHeader(11), take);
  EXPECT_THAT(refused.message(), HasSubstr("a frame of 11 bytes is announced; the limit is 10"));
  EXPECT_THAT(read, ElementsAre("0123456789"));
}

}  // namespace
}  // namespace cairn::transport
