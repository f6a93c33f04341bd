// RemoteDram over UCX when processes are killed, stopped and brought back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cairn/remote_dram.h"
#include "src/base/sanitizers.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr const char* kSpecVariable = "CAIRN_TEST_DRAM_SPEC";
constexpr const char* kFdVariable = "CAIRN_TEST_DRAM_FD";
constexpr const char* kRoleVariable = "CAIRN_TEST_DRAM_ROLE";
// The role of a server that may open so many descriptors more: "poor 40".
constexpr std::string_view kPoor = "poor ";
constexpr std::size_t kLarge = 64 << 20;

std::unique_ptr<RemoteDram> Open(const std::string& spec) {
  auto store = RemoteDram::Open(spec);
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  return std::move(*store);
}

Deadline In(milliseconds time) { return steady_clock::now() + time; }

void LimitDescriptors(std::size_t more) {
  std::size_t open = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++open;
  }
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = open - 1 + more;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
}

// What a child process does: see Child.
TEST(DramChild, Runs) {
  const char* const spec = std::getenv(kSpecVariable);
  if (spec == nullptr) GTEST_SKIP() << "only other tests run this one";
  const auto store = Open(spec);
  const std::string address = store->listen_address() + "\n";
  const int fd = std::atoi(std::getenv(kFdVariable));
  const std::string role = std::getenv(kRoleVariable);
  if (role.rfind(kPoor, 0) == 0) LimitDescriptors(std::stoul(role.substr(kPoor.size())));
  ASSERT_EQ(::write(fd, address.data(), address.size()), static_cast<ssize_t>(address.size()));
  if (role == "writer") {
    const std::string value = Bytes(kLarge, 1);
    while (true) (void)Put(*store, "large", value);
  }
  while (true) ::pause();
}

// A process with a RemoteDram of its own, which serves, or writes a large value over and over. It
// has opened its store when this is made.
class Child {
 public:
  explicit Child(const std::string& spec, const std::string& role = "server") {
    int fds[2];
    EXPECT_EQ(::pipe(fds), 0);
    const std::string fd = std::to_string(fds[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setenv(kSpecVariable, spec.c_str(), 1);
      ::setenv(kFdVariable, fd.c_str(), 1);
      ::setenv(kRoleVariable, role.c_str(), 1);
      ::execl("/proc/self/exe", "dram_child", "--gtest_filter=DramChild.Runs", nullptr);
      ::_exit(1);
    }
    ::close(fds[1]);
    for (char c = 0; ::read(fds[0], &c, 1) == 1 && c != '\n';) address_ += c;
    ::close(fds[0]);
  }
  ~Child() {
    if (pid_ > 0) Kill();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] const std::string& address() const { return address_; }
  // Processor time of all its threads so far.
  [[nodiscard]] std::chrono::nanoseconds CpuTime() const {
    clockid_t clock{};
    timespec time{};
    EXPECT_EQ(::clock_getcpuclockid(pid_, &clock), 0);
    EXPECT_EQ(::clock_gettime(clock, &time), 0);
    return seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
  void Signal(int number) const { EXPECT_EQ(::kill(pid_, number), 0); }
  void Kill() {
    Signal(SIGKILL);
    EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

// Over shared memory, or over TCP.
class RemoteDramFaultTest : public testing::TestWithParam<bool> {
 protected:
  static std::string ServerSpec(const std::string& address) {
    return R"({"capacity_bytes": "256MiB", "listen_addr": ")" + address + "\"}";
  }
  static std::string Client(const std::string& address) {
    return R"({"shared_memory": )" + std::string(GetParam() ? "true" : "false") +
           R"(, "remote_addr": ")" + address + "\"}";
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramFaultTest, testing::Bool(), [](const auto& way) {
  return std::string(way.param ? "SharedMemory" : "Tcp");
});

// Writes until it works.
Result<milliseconds> UntilWritten(RemoteDram& store, milliseconds limit) {
  const auto start = steady_clock::now();
  for (;;) {
    const auto written = store.Write("k", Buffer::Copy("v"), {{}, In(limit)}).Get();
    const auto taken = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
    if (written.ok()) return taken;
    if (taken > limit) return written.status();
  }
}

TEST_P(RemoteDramFaultTest, AServerKilledWithOperationsInFlightAndItsReturn) {
  Child server(ServerSpec("127.0.0.1:0"));
  const std::string address = server.address();
  const auto client = Open(Client(address));
  ASSERT_TRUE(Put(*client, "k", "v").ok());
  // Stopped, it leaves everything unanswered.
  server.Signal(SIGSTOP);
  std::string lent = Bytes(kLarge, 1);
  auto write = client->Write("large", Buffer::Borrow(lent), {{}, In(seconds(20))});
  auto read = client->Read("k", {{}, {}, {}, In(seconds(20))});
  auto list = client->List({{}, 0, In(seconds(20))});
  EXPECT_FALSE(read.WaitFor(milliseconds(50)));
  const auto killed = steady_clock::now();
  server.Kill();
  const auto written = write.Get();
  EXPECT_EQ(written.status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(written.status().maybe_applied());
  // Whoever has it back may do with it what he likes.
  lent.assign(lent.size(), 'x');
  EXPECT_EQ(read.Get().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(list.Get().status().code(), StatusCode::kUnavailable);
  EXPECT_LT(steady_clock::now() - killed, seconds(kSanitized ? 20 : 5));

  const Child again(ServerSpec(address));
  ASSERT_EQ(again.address(), address);
  const auto taken = UntilWritten(*client, seconds(20));
  ASSERT_TRUE(taken.ok()) << taken.status().ToString();
  EXPECT_LT(*taken, milliseconds(kSanitized ? 20'000 : 1'000));
}

TEST_P(RemoteDramFaultTest, AStoppedServerWakesUpAndHasCorruptedNothing) {
  const Child server(ServerSpec("127.0.0.1:0"));
  const auto client = Open(Client(server.address()));
  const std::string before = Bytes(kLarge, 1);
  ASSERT_TRUE(Put(*client, "large", before).ok());
  const Buffer kept = client->Read("large").Get().value().value;
  const std::string during = Bytes(kLarge, 2);
  std::string lent = during;
  server.Signal(SIGSTOP);
  const auto start = steady_clock::now();
  const auto write =
      client->Write("large", Buffer::Borrow(lent), {{}, In(milliseconds(300))}).Get();
  EXPECT_FALSE(write.ok());
  lent.assign(lent.size(), 'x');
  const auto read = client->Read("large", {{}, {}, {}, In(milliseconds(300))}).Get();
  EXPECT_FALSE(read.ok());
  EXPECT_LT(steady_clock::now() - start, seconds(kSanitized ? 30 : 5));
  server.Signal(SIGCONT);
  const auto taken = UntilWritten(*client, seconds(30));
  ASSERT_TRUE(taken.ok()) << taken.status().ToString();
  // What was lent was never seen after it was given back.
  const std::string after = Value(*client, "large");
  EXPECT_TRUE(after == before || after == during);
  EXPECT_TRUE(kept.view() == before);
}

std::uint64_t UsedBytes(const RemoteDram& server) {
  const ServerStat stat = server.LocalStat().value();
  for (const auto& [name, value] : stat.figures) {
    if (name == "used_bytes") return value;
  }
  return 0;
}

TEST_P(RemoteDramFaultTest, AClientKilledWhileItWritesLeavesNothingBehind) {
  const auto server = Open(ServerSpec("127.0.0.1:0"));
  ASSERT_TRUE(Put(*server, "large", std::string(kLarge, 'o')).ok());
  const std::uint64_t used = UsedBytes(*server);
  for (int round = 0; round < 3; ++round) {
    Child writer(Client(server->listen_address()), "writer");
    // Its second value takes room beside the first while it comes in.
    const auto limit = steady_clock::now() + seconds(60);
    while (UsedBytes(*server) <= used && steady_clock::now() < limit) std::this_thread::yield();
    EXPECT_GT(UsedBytes(*server), used);
    writer.Kill();
    while (UsedBytes(*server) != used && steady_clock::now() < limit) std::this_thread::yield();
    EXPECT_EQ(UsedBytes(*server), used);
    const std::string value = Value(*server, "large");
    EXPECT_TRUE(value == std::string(kLarge, 'o') || value == Bytes(kLarge, 1));
  }
}

// Passes a time in which nothing happens.
void WaitFor(milliseconds time) {
  const Promise<int> never;
  (void)Promise<int>(never).GetFuture().WaitFor(time);
}

// Those who find no place are turned away; those who have one go on, and nobody spins. Which
// descriptor is the first that is missing depends on how many there are.
TEST_P(RemoteDramFaultTest, AServerShortOfDescriptorsServesThoseItHas) {
  for (const std::string more : {"40", "41", "42"}) {
    const Child server(ServerSpec("127.0.0.1:0"), std::string(kPoor) + more);
    const auto first = Open(Client(server.address()));
    ASSERT_TRUE(Put(*first, "k", "v").ok());
    std::vector<std::unique_ptr<RemoteDram>> others;
    Status refused;
    while (refused.ok() && others.size() < 40) {
      others.push_back(Open(Client(server.address())));
      refused =
          others.back()->Write("k", Buffer::Copy("v"), {{}, In(milliseconds(400))}).Get().status();
    }
    EXPECT_GE(others.size(), 2u);
    EXPECT_THAT(refused.code(), testing::AnyOf(StatusCode::kUnavailable, StatusCode::kTimeout));
    const auto before = server.CpuTime();
    WaitFor(milliseconds(200));
    EXPECT_LT(server.CpuTime() - before, milliseconds(kSanitized ? 150 : 50));
    const std::string large = Bytes(1 << 20, 7);
    EXPECT_TRUE(Put(*first, "large", large).ok());
    EXPECT_TRUE(Value(*first, "large") == large);
    others.clear();
    const auto late = Open(Client(server.address()));
    const auto taken = UntilWritten(*late, seconds(20));
    EXPECT_TRUE(taken.ok()) << taken.status().ToString();
  }
}

// A server and clients that nobody uses cost next to nothing.
TEST_P(RemoteDramFaultTest, NobodyWorksAtRest) {
  const auto server = Open(ServerSpec("127.0.0.1:0"));
  std::vector<std::unique_ptr<RemoteDram>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(Open(Client(server->listen_address())));
    ASSERT_TRUE(Put(*clients.back(), "k", "v").ok());
  }
  const auto cpu = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  // What the last operations left behind is not rest.
  WaitFor(milliseconds(200));
  const auto before = cpu();
  WaitFor(seconds(1));
  // bench/dram measures a server alone, on a quiet machine, with a bound of 1 %.
  EXPECT_LT(cpu() - before, milliseconds(kSanitized ? 200 : 30));
}

}  // namespace
}  // namespace cairn::dram
