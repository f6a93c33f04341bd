#include "src/dram/ucx/ucx_transport.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "src/base/sanitizers.h"
#include "src/base/testing/process_usage.h"
#include "src/dram/testing/transport_conformance.h"
#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/raw_peer_test_util.h"

namespace cairn::dram {
namespace {

std::unique_ptr<Transport> MakeUcx(const UcxOptions& options = {}) {
  auto transport = MakeUcxTransport(options);
  EXPECT_TRUE(transport.ok()) << transport.status().ToString();
  return std::move(*transport);
}

class UcxHarness final : public TransportHarness {
 public:
  explicit UcxHarness(const UcxOptions& options) : options_(options) {}
  std::unique_ptr<Transport> Make() override { return MakeUcx(options_); }
  bool SendRaw(const Endpoint& address, const std::string& bytes) override {
    EXPECT_TRUE(ucx::RawPeer(bytes, "").Run(address));
    return true;
  }

 private:
  const UcxOptions options_;
};

const bool kRegistered = [] {
  RegisterTransportConformance("SharedMemoryConformance",
                               [] { return std::make_unique<UcxHarness>(UcxOptions{}); });
  RegisterTransportConformance("TcpConformance", [] {
    UcxOptions options;
    options.shared_memory = false;
    return std::make_unique<UcxHarness>(options);
  });
  return true;
}();

TEST(UcxTransportTest, SuiteIsRegistered) { EXPECT_TRUE(kRegistered); }

TEST(UcxTransportTest, AWaitingCallerMayDrive) {
  UcxOptions busy;
  busy.busy_poll = true;
  const auto server_transport = MakeUcx();
  const auto transport = MakeUcx(busy);
  TestServer server(server_transport.get(), {"127.0.0.1", 0});
  TestClient client(transport.get(), server.address());
  for (const std::size_t size : {10, 1 << 20}) {
    auto ongoing = client.Start("echo", Buffer::Copy(PatternBytes(size, 1)));
    while (ongoing.done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      (void)transport->Poll();
    }
    EXPECT_TRUE(ongoing.done.get().ok());
  }
}

// The server of the next test, in a process of its own: says its port and serves until it is
// killed.
TEST(UcxChild, Serves) {
  const char* const fd = std::getenv("CAIRN_TEST_UCX_CHILD_FD");
  if (fd == nullptr) GTEST_SKIP() << "only another test runs this one";
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const std::uint16_t port = server.address().port;
  ASSERT_EQ(::write(std::atoi(fd), &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
  while (true) ::pause();
}

TEST(UcxTransportTest, AServerKilledWithCallsInFlight) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const std::string fd = std::to_string(fds[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("CAIRN_TEST_UCX_CHILD_FD", fd.c_str(), 1);
    ::execl("/proc/self/exe", "ucx_child", "--gtest_filter=UcxChild.Serves", nullptr);
    ::_exit(1);
  }
  std::uint16_t port = 0;
  ASSERT_EQ(::read(fds[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
  const auto transport = MakeUcx();
  TestClient client(transport.get(), {"127.0.0.1", port});
  ASSERT_TRUE(client.Run("echo").ok());
  WatchedBuffer payload = Watch(PatternBytes(64 << 20, 1));
  auto held = client.Start("hold");
  auto kept = client.Start("keep", std::move(payload.buffer));
  auto moving = client.Start("echo", Buffer::Copy(PatternBytes(64 << 20, 2)));
  ASSERT_TRUE(client.Run("echo").ok());
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(TestClient::Wait(std::move(held)).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(TestClient::Wait(std::move(kept)).status().code(), StatusCode::kUnavailable);
  (void)TestClient::Wait(std::move(moving));
  EXPECT_TRUE(Arrives(payload.released));
  EXPECT_EQ(client.WaitClosed().code(), StatusCode::kUnavailable);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(fds[0]);
  ::close(fds[1]);
}

// libucs takes these signals when it is loaded, before main.
TEST(UcxTransportTest, TheProcessKeepsItsSignals) {
  const auto transport = MakeUcx();
  for (const int signal : {SIGHUP, SIGILL, SIGBUS, SIGFPE, SIGSEGV}) {
    if (kSanitized && signal != SIGHUP) continue;
    struct sigaction action {};
    ASSERT_EQ(::sigaction(signal, nullptr, &action), 0);
    EXPECT_TRUE(action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) << signal;
  }
}

TEST(UcxTransportTest, GarbageAtTheDoorIsTurnedAway) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  std::string long_hello = ucx::EncodeDoorMessage(ucx::DoorHello{});
  long_hello[6] = '\x7F';
  long_hello[7] = '\x7F';
  std::string other_version = ucx::EncodeDoorMessage(ucx::DoorHello{});
  other_version[4] = '\x09';
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(9000, '\xFF'),
                                   long_hello, other_version}) {
    EXPECT_EQ(ucx::KnockWith(server.address(), bytes), "");
  }
  // Garbage after a good hello.
  EXPECT_NE(ucx::KnockWith(server.address(), ucx::EncodeDoorMessage(ucx::DoorHello{}) + "xyz"), "");
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

// Without the guard most of these end this process in an assertion of UCX.
TEST(UcxTransportTest, GarbageAtUcxsOwnPortIsHungUpOn) {
  UcxOptions options;
  options.shared_memory = false;
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
TEST(UcxTransportTest, SilenceAtUcxsOwnPortIsHungUpOn) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const Endpoint port{"127.0.0.1", ucx::UcxPortOf(server.address())};
  EXPECT_TRUE(ucx::UcxPortKnock(port, {}).IsHungUpOn());
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

TEST(UcxTransportTest, AWrongTokenIsCutOff) {
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  EXPECT_TRUE(ucx::RawPeer("x", std::string(ucx::kTokenBytes, 't')).Run(server.address()));
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
  EXPECT_TRUE(server.Headers() == std::vector<std::string>{"echo"});
}

// Over shared memory, or over TCP.
class UcxConnectionsTest : public testing::TestWithParam<bool> {
 protected:
  static UcxOptions Options() {
    UcxOptions options;
    options.shared_memory = GetParam();
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, UcxConnectionsTest, testing::Bool(), [](const auto& way) {
  return std::string(way.param ? "SharedMemory" : "Tcp");
});

// CAIRN_TEST_CONNECTIONS=10000 for the long run of docs/testing.md, over TCP too.
TEST_P(UcxConnectionsTest, ComingAndGoingLeaksNothing) {
  const char* const given = std::getenv("CAIRN_TEST_CONNECTIONS");
  const std::size_t rounds = given != nullptr ? std::strtoull(given, nullptr, 10)
                             : kSanitized     ? 20
                             : GetParam()     ? 10'000
                                              : 750;
  const auto transport = MakeUcx(Options());
  TestServer server(transport.get(), {"127.0.0.1", 0});
  std::size_t gone = 0;
  const auto come_and_go = [&](std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
      ASSERT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok()) << i;
    }
    gone += times;
    ASSERT_TRUE(server.WaitForDisconnects(gone));
  };
  // What is kept for reuse is there afterwards.
  come_and_go(rounds / 3);
  const std::size_t descriptors = OpenDescriptors();
  const std::uint64_t resident = ResidentBytes();
  come_and_go(rounds);
  // What is being closed is not a leak; hundreds would be.
  EXPECT_LE(OpenDescriptors(), descriptors + 20);
  const std::uint64_t grown = std::max(ResidentBytes(), resident) - resident;
  std::cout << "resident bytes a connection: " << grown / rounds << "\n";
  // Once a pool of UCX's, or an arena, may grow; each time it may not.
  EXPECT_LE(grown, kSanitized ? rounds << 20 : rounds * 512U + (1U << 20));
}

TEST_P(UcxConnectionsTest, AThousandClientsAtOnce) {
  const std::size_t count = kSanitized ? 100 : 1000;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  // Each has up to four descriptors on each side, and both sides are this process.
  if (files.rlim_max < 8 * count + 200) GTEST_SKIP() << "the limit of open files is too low";
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  const auto server_transport = MakeUcx(Options());
  const auto transport = MakeUcx(Options());
  TestServer server(server_transport.get(), {"127.0.0.1", 0});
  std::vector<std::unique_ptr<TestClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<TestClient>(transport.get(), server.address()));
    ASSERT_TRUE(clients.back()->Run("echo").ok()) << i;
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(clients[i]->Run("echo").ok()) << i;
    }
  }
}

}  // namespace
}  // namespace cairn::dram
