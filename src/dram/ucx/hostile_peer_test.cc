// Peers that say what no peer of ours says: at the door, at UCX's port, over UCX, over shared
// memory. They are cut off, the log says so, and others are served meanwhile and afterwards. Frames
// are in the transport's conformance suite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/dram/frame.h"
#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/raw_peer_test_util.h"
#include "src/dram/ucx/raw_shm_peer_test_util.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram {
namespace {

using ::testing::HasSubstr;

const std::string kWrongToken(ucx::kTokenBytes, 't');

std::unique_ptr<Transport> MakeUcx(const UcxOptions& options = {}) {
  auto transport = MakeUcxTransport(options);
  EXPECT_TRUE(transport.ok()) << transport.status().ToString();
  return std::move(*transport);
}

TEST(HostilePeerTest, GarbageAtTheDoorIsTurnedAway) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  std::string long_hello = ucx::EncodeDoorMessage(ucx::DoorHello{});
  long_hello[6] = '\x7F';
  long_hello[7] = '\x7F';
  std::string other_version = ucx::EncodeDoorMessage(ucx::DoorHello{});
  other_version[4] = '\x09';
  const std::string turned_away = "a connection to " + server.address().ToString() + " is closed: ";
  TestClient neighbour(transport.get(), server.address());
  const auto log_of = [&](const std::string& bytes, bool answered) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(!ucx::KnockWith(server.address(), bytes).empty(), answered);
    EXPECT_TRUE(neighbour.Run("echo").ok());
    return testing::internal::GetCapturedStderr();
  };
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(9000, '\xFF'),
                                   long_hello, other_version}) {
    EXPECT_THAT(log_of(bytes, false), HasSubstr(turned_away));
  }
  // Garbage after a good hello.
  EXPECT_THAT(log_of(ucx::EncodeDoorMessage(ucx::DoorHello{}) + "xyz", true),
              HasSubstr(turned_away + "door: the byte "));
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

// Without the guard most of these end this process in an assertion of UCX.
TEST(HostilePeerTest, GarbageAtUcxsOwnPortIsHungUpOn) {
  UcxOptions options;
  options.shared_memory = false;
  options.network = Network::kUcx;
  const auto transport = MakeUcx(options);
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const Endpoint port{"127.0.0.1", ucx::UcxPortOf(server.address())};
  ASSERT_NE(port.port, 0);
  const std::string bits(4096, '\xFF');
  const std::string zeros(4096, '\0');
  // A length of 2^63, of one byte more than follows, of less, of more than UCX takes.
  std::string huge = zeros.substr(0, 64);
  huge[7] = '\x80';
  std::string short_of_one = zeros.substr(0, 64);
  short_of_one[0] = 49;
  std::string too_much = zeros.substr(0, 64);
  too_much[0] = 47;
  std::string too_long(2064 + 1, '\0');
  too_long[0] = 1;
  too_long[1] = 8;
  const std::vector<std::vector<std::string>> attacks = {
      {bits},
      {zeros},
      {huge},
      {short_of_one},
      {too_much},
      {too_long},
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"\x16\x03\x01\x02"},
      {bits.substr(0, 8), bits},
      {zeros.substr(0, 8), zeros},
      std::vector<std::string>(40, "\xFF"),
      std::vector<std::string>(40, std::string(1, '\0')),
  };
  testing::internal::CaptureStderr();
  TestClient neighbour(transport.get(), server.address());
  std::vector<std::unique_ptr<ucx::UcxPortKnock>> knocks;
  for (const auto& pieces : attacks) {
    knocks.push_back(std::make_unique<ucx::UcxPortKnock>(port, pieces));
    EXPECT_TRUE(neighbour.Run("echo", Buffer::Copy(PatternBytes(1 << 20, 1))).ok());
  }
  for (std::size_t i = 0; i < knocks.size(); ++i) EXPECT_TRUE(knocks[i]->IsHungUpOn()) << i;
  EXPECT_TRUE(neighbour.Run("echo").ok());
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("at UCX's port " + std::to_string(port.port) +
                     ", the first of them 127.0.0.1: what it sent is none of UCX's messages"),
            std::string::npos)
      << log;
}

// One that says nothing holds its descriptor for five seconds, no more.
TEST(HostilePeerTest, StrangersWhoSayNothingAreHungUpOn) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const Endpoint port{"127.0.0.1", ucx::UcxPortOf(server.address())};
  testing::internal::CaptureStderr();
  // So do one that shows a wrong token over shared memory, and one that says hello at the door and
  // no more. All at once, as each waits for that long.
  auto stranger = std::async(std::launch::async, [&server] {
    return ucx::RawPeer("x", kWrongToken, ucx::Way::kSharedMemory).Run(server.address());
  });
  const ucx::UcxPortKnock silent(port, {});
  const ucx::DoorKnock at_the_door(server.address());
  EXPECT_TRUE(silent.IsHungUpOn());
  EXPECT_TRUE(at_the_door.IsHungUpOn());
  EXPECT_TRUE(stranger.get());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("cuts off a client that has no token of ours"));
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

TEST(HostilePeerTest, AWrongTokenIsCutOff) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  for (const ucx::Way way : {ucx::Way::kTcp, ucx::Way::kUcx}) {
    testing::internal::CaptureStderr();
    ucx::RawPeer stranger("x", kWrongToken, way);
    EXPECT_TRUE(stranger.Run(server.address()));
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                HasSubstr("cuts off a client that has no token of ours"));
  }
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
  EXPECT_TRUE(server.Headers() == std::vector<std::string>{"echo"});
}

// What no link of ours would ever write into the segment.
TEST(HostilePeerTest, WhatMakesNoSenseInSharedMemoryEndsTheConnection) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  TestClient neighbour(transport.get(), server.address());
  ASSERT_TRUE(neighbour.Run("echo").ok());
  const auto frame = [](std::uint32_t frame_bytes, std::uint32_t slot, std::uint64_t address,
                        std::uint64_t payload_bytes) {
    std::string bytes = ucx::BytesOfAll(frame_bytes, slot, address);
    AppendFrame({FrameKind::kRequest, 1, payload_bytes, "echo"}, &bytes);
    return bytes;
  };
  const std::uint32_t size = kFrameFixedBytes + 4;
  using Peer = ucx::RawShmPeer;
  const std::pair<const char*, std::function<void(Peer&)>> attacks[] = {
      {"a message of kind 99", [](Peer& peer) { peer.Write(99, "x"); }},
      {"a frame of 8 bytes", [](Peer& peer) { peer.Write(1, "xxxx"); }},
      {"a frame of 4096 bytes", [&](Peer& peer) { peer.Write(1, frame(4096, 0, 0, 0)); }},
      {"offered at 32", [&](Peer& peer) { peer.Write(2, frame(size, 32, 0, 1 << 20)); }},
      // The server may read this process, which has nothing there; nor was anything offered.
      {"taken a payload back", [&](Peer& peer) { peer.Write(2, frame(size, 0, 16, 1 << 20)); }},
      {"gives up a client",
       [&](Peer& peer) {
         peer.Offer(0);
         peer.Write(2, frame(size, 0, 16, 1 << 20));
       }},
      {"a transfer that was never offered is done",
       [](Peer& peer) { peer.Write(3, ucx::BytesOfAll(std::uint32_t{0})); }},
      {"it attached twice", [](Peer& peer) { peer.Write(4, "tttttttttttttttt"); }},
      {"is closed: ", [](Peer& peer) { peer.SayWritten(std::uint64_t{1} << 40); }},
      {"is closed: ", [](Peer& peer) { peer.SayWritten(4); }},
      {"is closed: ", [](Peer& peer) { peer.SayWritten(64); }},
  };
  for (const auto& [words, attack] : attacks) {
    testing::internal::CaptureStderr();
    Peer peer(server.address());
    ASSERT_TRUE(peer.attached());
    attack(peer);
    EXPECT_TRUE(peer.IsHungUpOn()) << words;
    EXPECT_TRUE(neighbour.Run("echo", Buffer::Copy(PatternBytes(100'000, 1))).ok());
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(words));
  }
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

TEST(HostilePeerTest, GarbageAtTheUnixSocketIsTurnedAway) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const ucx::DoorKnock door(server.address());
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(37, '\xFF'),
                                   std::string(100'000, '\0')}) {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(ucx::IsHungUpOnLocally(door.welcome().local_name, bytes));
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("it greets without descriptors"));
  }
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

}  // namespace
}  // namespace cairn::dram
