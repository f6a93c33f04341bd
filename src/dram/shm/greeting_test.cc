#include "src/dram/shm/greeting.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace cairn::dram::shm {
namespace {

TEST(GreetingTest, ComesThroughAsItWas) {
  const Greeting greeting{std::string(kGreetingTokenBytes, 't'), {0x1234, 0x5678}};
  const std::string message = EncodeGreeting(greeting);
  const auto decoded = DecodeGreeting(message);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->token, greeting.token);
  EXPECT_EQ(decoded->probe.address, 0x1234U);
  EXPECT_EQ(decoded->probe.number, 0x5678U);
  EXPECT_FALSE(DecodeGreeting(message.substr(1)).ok());
  EXPECT_FALSE(DecodeGreeting("x" + message.substr(1)).ok());
  std::string version = message;
  version[4] = 9;
  EXPECT_FALSE(DecodeGreeting(version).ok());
}

TEST(GreetingTest, DescriptorsComeAlong) {
  const std::string name = "cairn-greeting-test-" + std::to_string(::getpid());
  const int listener = ListenLocally(name).value();
  const int client = ConnectLocally(name).value();
  const int server = ::accept(listener, nullptr, nullptr);
  ASSERT_GE(server, 0);
  EXPECT_FALSE(ListenLocally(name).ok());
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  ASSERT_TRUE(SendLocally(client, "hello", {fds[0], fds[1], fds[0]}));
  GreetingFds got = kNoFds;
  EXPECT_EQ(ReceiveLocally(server, &got), "hello");
  for (const int fd : got) EXPECT_EQ(::close(fd), 0);
  EXPECT_EQ(ReceiveLocally(server, &got), "");
  EXPECT_EQ(got, kNoFds);
  for (const int fd : {fds[0], fds[1], listener, client, server}) ::close(fd);
  EXPECT_FALSE(ConnectLocally(name).ok());
}

TEST(PeerProcessTest, ReadsTheOtherProcess) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
  // Made before the fork, so that both have the same number at the same place.
  const Probe probe = Probe::OfThisProcess();
  // Enough for two threads, and no whole number of parts.
  std::string much((1 << 20) + 777, 0);
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>(i * 7 + i / 4096);
  const auto address = reinterpret_cast<std::uintptr_t>(much.data());
  // A socket pair names the process that made it: the child reads its parent.
  const pid_t child = ::fork();
  if (child == 0) {
    const auto parent = PeerProcess::AtSocket(fds[1]);
    if (!parent.ok()) ::_exit(2);
    if (!(*parent)->Check(probe).ok()) ::_exit(3);
    Probe wrong = probe;
    wrong.number += 1;
    if ((*parent)->Check(wrong).ok()) ::_exit(4);
    char byte = 0;
    if ((*parent)->Read(8, &byte, 1, nullptr).ok()) ::_exit(5);
    CopyTeam team;
    std::string read(much.size(), 0);
    if (!(*parent)->Read(address, read.data(), read.size(), &team).ok() || read != much) ::_exit(6);
    if ((*parent)->Read(8, read.data(), read.size(), &team).ok()) ::_exit(7);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::close(fds[0]);
  ::close(fds[1]);
}

}  // namespace
}  // namespace cairn::dram::shm
