// Connections over shared memory, TCP and UCX between processes: one that ends with its server,
// many that come and go, a thousand at once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/sanitizers.h"
#include "src/base/testing/process_usage.h"
#include "src/base/testing/spawn.h"
#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram {
namespace {

constexpr const char* kFdVariable = "CAIRN_TEST_UCX_CHILD_FD";
constexpr const char* kPortVariable = "CAIRN_TEST_UCX_CHILD_PORT";
constexpr const char* kCountVariable = "CAIRN_TEST_UCX_CHILD_COUNT";
constexpr const char* kWayVariable = "CAIRN_TEST_UCX_CHILD_WAY";

// "SharedMemory", "Tcp" or "Ucx".
std::unique_ptr<Transport> MakeUcx(const std::string& way = "SharedMemory") {
  UcxOptions options;
  options.shared_memory = way == "SharedMemory";
  options.network = way == "Ucx" ? Network::kUcx : Network::kAny;
  auto transport = MakeUcxTransport(options);
  EXPECT_TRUE(transport.ok()) << transport.status().ToString();
  return std::move(*transport);
}

// A process that runs one of the tests below that are named UcxChild.
class ChildProcess {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;
  explicit ChildProcess(const std::string& test, const Variables& variables, int kept_fd = -1)
      : pid_(SpawnThisProgram({"ucx_child", "--gtest_filter=UcxChild." + test}, variables,
                              kept_fd)) {
    EXPECT_GT(pid_, 0);
  }
  ~ChildProcess() {
    if (pid_ > 0) Kill();
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void Kill() {
    EXPECT_EQ(::kill(pid_, SIGKILL), 0);
    (void)Wait();
  }
  // Its exit code; -1 if a signal ended it.
  int Wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_;
};

// Says its port and serves until it is killed.
TEST(UcxChild, Serves) {
  const char* const fd = std::getenv(kFdVariable);
  if (fd == nullptr) GTEST_SKIP() << "only another test runs this one";
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  const std::uint16_t port = server.address().port;
  ASSERT_EQ(::write(std::atoi(fd), &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
  while (true) ::pause();
}

// A server in a process of its own.
class ServerProcess {
 public:
  ServerProcess() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    process_ = std::make_unique<ChildProcess>(
        "Serves", ChildProcess::Variables{{kFdVariable, std::to_string(fds[1])}}, fds[1]);
    ::close(fds[1]);
    std::uint16_t port = 0;
    EXPECT_EQ(::read(fds[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    address_ = {"127.0.0.1", port};
    ::close(fds[0]);
  }
  [[nodiscard]] const Endpoint& address() const { return address_; }
  ChildProcess& process() { return *process_; }

 private:
  std::unique_ptr<ChildProcess> process_;
  Endpoint address_;
};

TEST(UcxTransportTest, AServerKilledWithCallsInFlight) {
  ServerProcess server;
  const auto transport = MakeUcx();
  TestClient client(transport.get(), server.address());
  ASSERT_TRUE(client.Run("echo").ok());
  WatchedBuffer payload = Watch(PatternBytes(64 << 20, 1));
  auto held = client.Start("hold");
  auto kept = client.Start("keep", std::move(payload.buffer));
  auto moving = client.Start("echo", Buffer::Copy(PatternBytes(64 << 20, 2)));
  ASSERT_TRUE(client.Run("echo").ok());
  server.process().Kill();
  EXPECT_EQ(TestClient::Wait(std::move(held)).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(TestClient::Wait(std::move(kept)).status().code(), StatusCode::kUnavailable);
  (void)TestClient::Wait(std::move(moving));
  EXPECT_TRUE(Arrives(payload.released));
  EXPECT_EQ(client.WaitClosed().code(), StatusCode::kUnavailable);
}

class UcxConnectionsTest : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Ways, UcxConnectionsTest, testing::Values("SharedMemory", "Tcp", "Ucx"),
                         [](const auto& way) { return way.param; });

// What a process held before, to be found again after.
class Usage {
 public:
  explicit Usage(pid_t pid)
      : pid_(pid),
        descriptors_(OpenDescriptors(pid)),
        threads_(ThreadCount(pid)),
        resident_(ResidentBytes(pid)) {}
  // What is being closed is no leak: that it ends is waited for.
  void ExpectNoMore(const std::string& whose, std::size_t connections) const {
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    std::size_t open = OpenDescriptors(pid_);
    std::size_t threads = ThreadCount(pid_);
    while ((open > descriptors_ || threads > threads_) &&
           std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
      open = OpenDescriptors(pid_);
      threads = ThreadCount(pid_);
    }
    EXPECT_LE(open, descriptors_) << whose;
    EXPECT_LE(threads, threads_) << whose;
    const std::uint64_t grown = std::max(ResidentBytes(pid_), resident_) - resident_;
    std::cout << "resident bytes a connection, " << whose << ": " << grown / connections << "\n";
    // Once a pool of UCX's, or an arena, may grow; each time it may not.
    EXPECT_LE(grown, kSanitized ? connections << 20 : connections * 512U + (1U << 20)) << whose;
  }

 private:
  const pid_t pid_;
  const std::size_t descriptors_;
  const std::size_t threads_;
  const std::uint64_t resident_;
};

// 10,000, or over UCX as many as ten seconds allow, 750 at least. CAIRN_TEST_CONNECTIONS=10000 for
// the long run of docs/testing.md, which has no such bound.
TEST_P(UcxConnectionsTest, ComingAndGoingLeaksNothing) {
  const char* const given = std::getenv("CAIRN_TEST_CONNECTIONS");
  const std::size_t rounds = given != nullptr ? std::strtoull(given, nullptr, 10)
                             : kSanitized     ? 20
                                              : 10'000;
  const bool bounded = given == nullptr && GetParam() == "Ucx";
  ServerProcess server;
  const auto transport = MakeUcx(GetParam());
  const auto come_and_go = [&](std::size_t times, std::size_t at_least) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::size_t done = 0;
    while (done < times &&
           (done < at_least || !bounded || std::chrono::steady_clock::now() < limit)) {
      EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok()) << done;
      if (testing::Test::HasFailure()) break;
      ++done;
    }
    return done;
  };
  const std::size_t before = OpenDescriptors();
  // What is kept for reuse is there afterwards.
  (void)come_and_go(bounded ? 250 : rounds / 3, 250);
  const Usage client_side(0);
  const Usage server_side(server.process().pid());
  const std::size_t done = come_and_go(rounds, 750);
  ASSERT_FALSE(testing::Test::HasFailure());
  std::cout << done << " connections\n";
  client_side.ExpectNoMore("client", done);
  server_side.ExpectNoMore("server", done);
  // UCX keeps a descriptor or two from its first connection on.
  EXPECT_LE(OpenDescriptors(), before + 4);
}

// One of those who come together in the test below.
TEST(UcxChild, ComesWithOthers) {
  const char* const port = std::getenv(kPortVariable);
  if (port == nullptr) GTEST_SKIP() << "only another test runs this one";
  const std::size_t count = std::strtoull(std::getenv(kCountVariable), nullptr, 10);
  const auto transport = MakeUcx(std::getenv(kWayVariable));
  const Endpoint address{"127.0.0.1", static_cast<std::uint16_t>(std::atoi(port))};
  std::vector<std::unique_ptr<TestClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<TestClient>(transport.get(), address));
    ASSERT_TRUE(clients.back()->Run("echo").ok()) << i;
  }
  // The server answers none of these before it has all of all processes.
  std::vector<TestClient::Ongoing> held;
  for (const auto& client : clients) held.push_back(client->Start("hold"));
  for (auto& call : held) {
    const auto answer = TestClient::Wait(std::move(call));
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->header, "released");
  }
  // Everybody at once, with more than fits into a message.
  std::vector<TestClient::Ongoing> moving;
  for (std::size_t i = 0; i < count; ++i) {
    moving.push_back(clients[i]->Start("echo", Buffer::Copy(PatternBytes(100'000, i))));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto answer = TestClient::Wait(std::move(moving[i]));
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_TRUE(answer->payload.view() == PatternBytes(100'000, i)) << i;
  }
}

// Of ten processes. All of them are connected at the same time, and wait for an answer at the same
// time.
TEST_P(UcxConnectionsTest, AThousandClientsAtOnce) {
  constexpr std::size_t kProcesses = 10;
  const std::size_t each = kSanitized ? 10 : 100;
  const std::size_t count = kProcesses * each;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  // A client takes up to six here.
  if (files.rlim_max < 6 * count + 200) GTEST_SKIP() << "the limit of open files is too low";
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  const auto transport = MakeUcx();
  TestServer server(transport.get(), {"127.0.0.1", 0});
  std::vector<std::unique_ptr<ChildProcess>> processes;
  for (std::size_t i = 0; i < kProcesses; ++i) {
    processes.push_back(std::make_unique<ChildProcess>(
        "ComesWithOthers",
        ChildProcess::Variables{{kPortVariable, std::to_string(server.address().port)},
                                {kCountVariable, std::to_string(each)},
                                {kWayVariable, GetParam()}}));
  }
  // Of each client an echo that was answered, and a request that waits.
  EXPECT_TRUE(server.WaitForRequests(2 * count));
  EXPECT_EQ(server.connections(), count);
  server.ReleaseHeld();
  for (const auto& process : processes) EXPECT_EQ(process->Wait(), 0);
  EXPECT_TRUE(server.WaitForDisconnects(count));
  EXPECT_EQ(server.connections(), 0U);
  EXPECT_EQ(server.Headers().size(), 3 * count);
}

}  // namespace
}  // namespace cairn::dram
