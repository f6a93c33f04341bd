#include "src/dram/shm/segment.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>

namespace cairn::dram::shm {
namespace {

class SegmentTest : public testing::Test {
 protected:
  void SetUp() override {
    auto segment = Segment::Create(&fd_);
    ASSERT_TRUE(segment.ok()) << segment.status().ToString();
    segment_ = std::move(*segment);
  }
  void TearDown() override { ::close(fd_); }

  Direction& way() { return segment_->layout().to_server; }
  int fd_ = -1;
  std::unique_ptr<Segment> segment_;
};

std::string Take(RingReader& reader) {
  const auto message = reader.Next();
  EXPECT_TRUE(message.ok()) << message.status().ToString();
  if (!message->has_value()) return "nothing";
  std::string bytes((*message)->bytes);
  (void)reader.Pop();
  return bytes;
}

TEST_F(SegmentTest, MessagesComeInOrderThroughAnotherMapping) {
  const auto other = Segment::Map(fd_);
  ASSERT_TRUE(other.ok()) << other.status().ToString();
  RingWriter writer(&way());
  RingReader reader(&(*other)->layout().to_server);
  EXPECT_EQ(Take(reader), "nothing");
  EXPECT_TRUE(writer.Write(7, {"one", "two+a"}));
  EXPECT_TRUE(writer.Write(8, {"12345678"}));
  EXPECT_EQ((*reader.Next())->kind, 7U);
  EXPECT_EQ(Take(reader), "onetwo+a");
  EXPECT_EQ(Take(reader), "12345678");
  EXPECT_EQ(Take(reader), "nothing");
}

TEST_F(SegmentTest, ManyMessagesOfAllSizesBetweenThreads) {
  constexpr int kMessages = 20'000;
  std::thread writing([this] {
    RingWriter writer(&way());
    for (int i = 0; i < kMessages; ++i) {
      const std::string bytes(8 * (static_cast<std::size_t>(i) * 37 % 2000), static_cast<char>(i));
      while (!writer.Write(static_cast<std::uint32_t>(i % 7 + 1), {bytes})) {
        std::this_thread::yield();
      }
    }
  });
  RingReader reader(&way());
  for (int i = 0; i < kMessages;) {
    const auto message = reader.Next();
    ASSERT_TRUE(message.ok()) << message.status().ToString();
    if (!message->has_value()) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ((*message)->kind, static_cast<std::uint32_t>(i % 7 + 1));
    ASSERT_EQ((*message)->bytes.size(), 8 * (static_cast<std::size_t>(i) * 37 % 2000));
    ASSERT_EQ((*message)->bytes.find_first_not_of(static_cast<char>(i)), std::string::npos);
    (void)reader.Pop();
    ++i;
  }
  writing.join();
}

TEST_F(SegmentTest, AFullRingTakesNothingUntilSomethingWasRead) {
  RingWriter writer(&way());
  RingReader reader(&way());
  const std::string bytes(8000, 'x');
  int written = 0;
  while (writer.Write(1, {bytes})) ++written;
  EXPECT_EQ(written, 8);
  EXPECT_EQ(Take(reader), bytes);
  EXPECT_TRUE(writer.Write(1, {bytes}));
  EXPECT_FALSE(writer.Write(1, {bytes}));
  // The writer waits now, and is to be rung once.
  ASSERT_TRUE(reader.Next()->has_value());
  EXPECT_TRUE(reader.Pop());
  ASSERT_TRUE(reader.Next()->has_value());
  EXPECT_FALSE(reader.Pop());
}

TEST_F(SegmentTest, ASleeperIsRungOnce) {
  RingWriter writer(&way());
  RingReader reader(&way());
  EXPECT_FALSE(writer.MustRing());
  EXPECT_TRUE(reader.FallAsleep());
  ASSERT_TRUE(writer.Write(1, {"message!"}));
  EXPECT_TRUE(writer.MustRing());
  EXPECT_FALSE(writer.MustRing());
  // With something to read nobody falls asleep.
  EXPECT_FALSE(reader.FallAsleep());
  EXPECT_FALSE(writer.MustRing());
}

TEST_F(SegmentTest, NonsenseInTheRingIsNoticed) {
  const auto bad = [this](std::uint64_t written, std::uint32_t size, std::uint32_t kind) {
    way().written.store(written);
    const std::uint32_t head[] = {size, kind};
    std::memcpy(way().bytes.data(), head, sizeof(head));
    RingReader reader(&way());
    return reader.Next().status().code() == StatusCode::kCorruption;
  };
  EXPECT_TRUE(bad(kRingBytes + 8, 8, 1));
  EXPECT_TRUE(bad(7, 8, 1));
  EXPECT_TRUE(bad(~std::uint64_t{0}, 8, 1));
  EXPECT_TRUE(bad(16, 0, 1));
  EXPECT_TRUE(bad(16, 12, 1));
  EXPECT_TRUE(bad(16, 24, 1));
  EXPECT_TRUE(bad(kRingBytes, kMaxMessageBytes + 8, 1));
  EXPECT_FALSE(bad(16, 16, 1));
  // A reader that claims what was never written leaves no room.
  way().read.store(8);
  RingWriter writer(&way());
  EXPECT_FALSE(writer.Write(1, {"x"}));
}

TEST_F(SegmentTest, WhatCouldBeCutShortIsNotMapped) {
  const int open = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(::ftruncate(open, sizeof(Layout)), 0);
  EXPECT_EQ(Segment::Map(open).status().code(), StatusCode::kCorruption);
  ::close(open);
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  EXPECT_FALSE(Segment::Map(fds[0]).ok());
  ::close(fds[0]);
  ::close(fds[1]);
}

}  // namespace
}  // namespace cairn::dram::shm
