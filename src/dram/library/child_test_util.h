// Processes with a RemoteDram of their own, to be killed and stopped, and what tests of them share.
// The program must hold the test DramChild.Runs.
//
// Thread safety: a Child belongs to one thread; functions are for any.
#ifndef CAIRN_SRC_DRAM_LIBRARY_CHILD_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_LIBRARY_CHILD_TEST_UTIL_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/remote_dram.h"
#include "src/base/sanitizers.h"
#include "src/base/testing/spawn.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {

constexpr const char* kSpecVariable = "CAIRN_TEST_DRAM_SPEC";
constexpr const char* kFdVariable = "CAIRN_TEST_DRAM_FD";
constexpr const char* kRoleVariable = "CAIRN_TEST_DRAM_ROLE";
// What writers and readers write and read, as "large".
constexpr std::size_t kLarge = kSanitized ? 16 << 20 : 64 << 20;
// How a reader ends that read what nobody wrote.
constexpr int kTorn = 7;

inline std::unique_ptr<RemoteDram> Open(const std::string& spec) {
  auto store = RemoteDram::Open(spec);
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  return std::move(*store);
}

// A client that is connected.
inline std::unique_ptr<RemoteDram> OpenClient(const std::string& spec) {
  auto client = Open(spec);
  AwaitPeers(*client);
  return client;
}

inline Deadline In(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

inline std::string ServerSpec(const std::string& address = "127.0.0.1:0",
                              std::size_t capacity_bytes = 256 << 20) {
  return R"({"capacity_bytes": )" + std::to_string(capacity_bytes) + R"(, "listen_addr": ")" +
         address + "\"}";
}
// How a client reaches a server.
using Way = std::string;
inline const std::vector<Way> kWays = {"SharedMemory", "Tcp", "Ucx"};
inline std::string ClientSpec(const std::string& address, const Way& way) {
  return R"({"shared_memory": )" + std::string(way == "SharedMemory" ? "true" : "false") +
         (way == "Ucx" ? R"(, "transport": "ucx")" : "") + R"(, "remote_addr": ")" + address +
         "\"}";
}

// A figure of this process's own server.
inline std::uint64_t Figure(const RemoteDram& server, std::string_view figure) {
  const ServerStat stat = server.LocalStat().value();
  for (const auto& [name, value] : stat.figures) {
    if (name == figure) return value;
  }
  ADD_FAILURE() << "no figure " << figure;
  return 0;
}

inline std::uint64_t UsedBytes(const RemoteDram& server) { return Figure(server, "used_bytes"); }

// Passes a time in which nothing happens.
inline void WaitFor(std::chrono::milliseconds time) {
  const Promise<int> never;
  (void)Promise<int>(never).GetFuture().WaitFor(time);
}

// Until `condition` holds. False if it does not within a minute.
template <class Condition>
bool Await(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    WaitFor(std::chrono::milliseconds(2));
  }
  return true;
}

// Writes until it works.
inline Result<std::chrono::milliseconds> UntilWritten(RemoteDram& store,
                                                      std::chrono::milliseconds limit) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto written = store.Write("k", Buffer::Copy("v"), {{}, In(limit)}).Get();
    const auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    if (written.ok()) return taken;
    if (taken > limit) return written.status();
  }
}

// A process with a RemoteDram of its own, which serves, or writes or reads a large value over and
// over. It has opened its store when this is made.
class Child {
 public:
  explicit Child(const std::string& spec, const std::string& role = "server") {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    pid_ = SpawnThisProgram(
        {"dram_child", "--gtest_filter=DramChild.Runs"},
        {{kSpecVariable, spec}, {kFdVariable, std::to_string(fds[1])}, {kRoleVariable, role}},
        fds[1]);
    EXPECT_GT(pid_, 0);
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
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Processor time of all its threads so far.
  [[nodiscard]] std::chrono::nanoseconds CpuTime() const {
    clockid_t clock{};
    timespec time{};
    EXPECT_EQ(::clock_getcpuclockid(pid_, &clock), 0);
    EXPECT_EQ(::clock_gettime(clock, &time), 0);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
  // SIGSTOP: returns when all of its threads have stopped, which one that is in the kernel does
  // late.
  void Signal(int number) const {
    EXPECT_EQ(::kill(pid_, number), 0);
    if (number != SIGSTOP) return;
    siginfo_t stopped{};
    const int events = WSTOPPED | WEXITED | WNOWAIT;
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &stopped, events), 0);
  }
  // It has not ended by itself.
  [[nodiscard]] bool Runs() const {
    siginfo_t ended{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    return ended.si_pid == 0;
  }
  void Kill() {
    Signal(SIGKILL);
    EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_LIBRARY_CHILD_TEST_UTIL_H_
