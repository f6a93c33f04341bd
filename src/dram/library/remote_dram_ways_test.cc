// Which way a client and a server on one host take, and that the store works over TCP where they
// can't share memory: a kernel that refuses to read the other's memory or to make a memory file, a
// peer of another user or process namespace.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "cairn/remote_dram.h"
#include "src/base/testing/spawn.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

constexpr const char* kLimitVariable = "CAIRN_TEST_DRAM_LIMIT";
constexpr const char* kFdVariable = "CAIRN_TEST_DRAM_WAYS_FD";
constexpr const char* kServer = R"({"capacity_bytes": "64MiB", "listen_addr": "127.0.0.1:0"})";

std::unique_ptr<RemoteDram> Open(const std::string& spec) {
  auto store = RemoteDram::Open(spec);
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  return store.ok() ? std::move(*store) : nullptr;
}

std::string ClientOf(const std::string& address, const std::string& more = "") {
  return R"({"remote_addr": ")" + address + "\"" + more + "}";
}

// Uses the store, and gives the server's figure of connections over shared memory.
std::uint64_t UseAndCount(RemoteDram& store) {
  const std::string large = Bytes(3 << 20, 1);
  EXPECT_TRUE(Put(store, "small", "value").ok());
  EXPECT_TRUE(Put(store, "large", large).ok());
  EXPECT_EQ(Value(store, "small"), "value");
  EXPECT_TRUE(Value(store, "large") == large);
  const auto stats = store.Stat().Get();
  EXPECT_TRUE(stats.ok()) << stats.status().ToString();
  if (!stats.ok() || stats->size() != 1) return ~std::uint64_t{0};
  std::uint64_t connections = 0;
  std::uint64_t shared = ~std::uint64_t{0};
  for (const auto& [name, figure] : stats->front().figures) {
    if (name == "connections") connections = figure;
    if (name == "shared_memory_connections") shared = figure;
  }
  EXPECT_EQ(connections, 1u);
  return shared;
}

// From now on the calling thread, and those it starts, get EPERM for one system call.
bool Forbid(long call) {
  const auto number = static_cast<unsigned>(call);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offsetof(seccomp_data, nr))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{4, rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Opens a store on a thread, and so with an engine, that may not make the system call. Null if the
// kernel knows no such filters.
std::unique_ptr<RemoteDram> OpenWithout(long call, const std::string& spec) {
  std::unique_ptr<RemoteDram> store;
  std::thread([&] {
    if (Forbid(call)) store = Open(spec);
  }).join();
  return store;
}

TEST(RemoteDramWaysTest, ProcessesOfOneHostShareMemory) {
  const auto server = Open(kServer);
  const auto client = Open(ClientOf(server->listen_address()));
  EXPECT_EQ(UseAndCount(*client), 1u);
}

TEST(RemoteDramWaysTest, ASpecThatWantsNoSharedMemoryHasNone) {
  const auto server = Open(kServer);
  const auto client = Open(ClientOf(server->listen_address(), R"(, "shared_memory": false)"));
  EXPECT_EQ(UseAndCount(*client), 0u);
}

// What one side leaves out the other can't have, and says so.
TEST(RemoteDramWaysTest, TransportsThatDoNotMeet) {
  const std::string only = R"({"listen_addr": "127.0.0.1:0", "shared_memory": false, )";
  const auto tcp_server = Open(only + R"("transport": "tcp"})");
  const auto ucx_server = Open(only + R"("transport": "ucx"})");
  for (const auto& [server, way, other] :
       {std::tuple(tcp_server.get(), "tcp", "ucx"), std::tuple(ucx_server.get(), "ucx", "tcp")}) {
    const auto transport = [](const std::string& name) {
      return R"(, "transport": ")" + name + "\"";
    };
    EXPECT_EQ(UseAndCount(*Open(ClientOf(server->listen_address()))), 0u);
    EXPECT_EQ(UseAndCount(*Open(ClientOf(server->listen_address(), transport(way)))), 0u);
    const auto client = Open(ClientOf(server->listen_address(), transport(other)));
    EXPECT_THAT(Put(*client, "k", "v").status().message(),
                testing::HasSubstr(R"(leave out "transport" on one of both sides)"));
  }
}

// A server that was started alone takes everybody, but sees when they will not find each other's
// values.
TEST(RemoteDramWaysTest, ClientsThatSpellTheServersDifferently) {
  const auto a = Open(kServer);
  const auto b = Open(kServer);
  const auto port = [](const RemoteDram& server) {
    const std::string address = server.listen_address();
    return address.substr(address.rfind(':'));
  };
  const auto put_as = [&](const std::string& host) {
    testing::internal::CaptureStderr();
    const auto client =
        Open(R"({"remote_addrs": [")" + host + port(*a) + R"(", ")" + host + port(*b) + R"("]})");
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Put(*client, std::to_string(i), "v").ok());
    return testing::internal::GetCapturedStderr();
  };
  const std::string warning = "route keys differently, and don't find what the others wrote";
  EXPECT_THAT(put_as("127.0.0.1"), testing::Not(testing::HasSubstr(warning)));
  EXPECT_THAT(put_as("127.0.0.1"), testing::Not(testing::HasSubstr(warning)));
  EXPECT_THAT(put_as("localhost"), testing::HasSubstr(warning));
}

TEST(RemoteDramWaysTest, AClientThatMayNotReadTheServer) {
  const auto server = Open(kServer);
  const auto client = OpenWithout(SYS_process_vm_readv, ClientOf(server->listen_address()));
  if (client == nullptr) GTEST_SKIP() << "no filters of system calls";
  EXPECT_EQ(UseAndCount(*client), 0u);
}

TEST(RemoteDramWaysTest, AServerThatMayNotReadItsClients) {
  const auto server = OpenWithout(SYS_process_vm_readv, kServer);
  if (server == nullptr) GTEST_SKIP() << "no filters of system calls";
  const auto client = Open(ClientOf(server->listen_address()));
  EXPECT_EQ(UseAndCount(*client), 0u);
}

TEST(RemoteDramWaysTest, AClientWithoutMemoryFiles) {
  const auto server = Open(kServer);
  const auto client = OpenWithout(SYS_memfd_create, ClientOf(server->listen_address()));
  if (client == nullptr) GTEST_SKIP() << "no filters of system calls";
  EXPECT_EQ(UseAndCount(*client), 0u);
}

// A server in a process of its own; see AServer.
TEST(DramWaysChild, Serves) {
  const char* const limit = std::getenv(kLimitVariable);
  if (limit == nullptr) GTEST_SKIP() << "only other tests run this one";
  if (std::string(limit) == "user") {
    ASSERT_EQ(::setuid(65534), 0);
  }
  if (std::string(limit) == "processes") {
    ASSERT_EQ(::unshare(CLONE_NEWPID), 0);
    const pid_t inner = ::fork();
    ASSERT_GE(inner, 0);
    if (inner > 0) {
      while (true) ::pause();
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  const auto store = Open(kServer);
  const std::string address = store->listen_address() + "\n";
  const int fd = std::atoi(std::getenv(kFdVariable));
  ASSERT_EQ(::write(fd, address.data(), address.size()), static_cast<ssize_t>(address.size()));
  while (true) ::pause();
}

class AServer {
 public:
  explicit AServer(const std::string& limit) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    pid_ =
        SpawnThisProgram({"dram_child", "--gtest_filter=DramWaysChild.Serves"},
                         {{kLimitVariable, limit}, {kFdVariable, std::to_string(fds[1])}}, fds[1]);
    EXPECT_GT(pid_, 0);
    ::close(fds[1]);
    for (char c = 0; ::read(fds[0], &c, 1) == 1 && c != '\n';) address_ += c;
    ::close(fds[0]);
  }
  ~AServer() {
    EXPECT_EQ(::kill(pid_, SIGKILL), 0);
    EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
  }
  AServer(const AServer&) = delete;
  AServer& operator=(const AServer&) = delete;
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

TEST(RemoteDramWaysTest, AProcessOfTheSameUser) {
  const AServer server("none");
  ASSERT_NE(server.address(), "");
  EXPECT_EQ(UseAndCount(*Open(ClientOf(server.address()))), 1u);
}

TEST(RemoteDramWaysTest, AProcessOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const AServer server("user");
  ASSERT_NE(server.address(), "");
  EXPECT_EQ(UseAndCount(*Open(ClientOf(server.address()))), 0u);
}

TEST(RemoteDramWaysTest, AProcessOfAnotherProcessNamespace) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes namespaces";
  const AServer server("processes");
  ASSERT_NE(server.address(), "");
  EXPECT_EQ(UseAndCount(*Open(ClientOf(server.address()))), 0u);
}

// A pin is dropped where its owner's code may call the store.
TEST(RemoteDramWaysTest, PinsAreDroppedOutsideOfLocks) {
  const auto server = Open(kServer);
  for (const char* const way :
       {"", R"(, "shared_memory": false)", R"(, "shared_memory": false, "transport": "ucx")"}) {
    const auto client = Open(ClientOf(server->listen_address(), way));
    for (const std::size_t size : {100, 10'000, 32 << 10, 100'000}) {
      const std::string bytes = Bytes(size, 2);
      std::size_t peers = 0;
      auto written = client->Write(
          "pinned", Buffer(bytes.data(), bytes.size(),
                           std::shared_ptr<const void>(bytes.data(), [&](const void*) {
                             peers = client->Peers().size();
                           })));
      ASSERT_TRUE(written.Get().ok());
      EXPECT_EQ(peers, 1u) << size;
      EXPECT_TRUE(Value(*client, "pinned") == bytes);
    }
  }
}

}  // namespace
}  // namespace cairn::dram
