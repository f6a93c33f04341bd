// RemoteDram over UCX: the store contract as a client and as one of three nodes, and what happens
// when a server is killed, stopped or comes back.
#include "cairn/remote_dram.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "src/dram/pool/testing/store_conformance.h"

namespace cairn::dram {
namespace {

// "127.0.0.1:port" of a port that nobody has. Below those that the kernel gives to whoever asks for
// any, so that it is still free when it is listened on.
std::string FreeAddress() {
  static std::uint16_t next = static_cast<std::uint16_t>(20'000 + ::getpid() * 617 % 12'000);
  for (;;) {
    next = next >= 32'000 ? 20'000 : next + 1;
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(next);
    const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    ::close(fd);
    if (bound == 0) return "127.0.0.1:" + std::to_string(next);
  }
}

std::unique_ptr<RemoteDram> Open(const std::string& spec) {
  auto store = RemoteDram::Open(spec);
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  return std::move(*store);
}

// A client that is connected.
std::unique_ptr<RemoteDram> OpenClient(const std::string& spec) {
  auto client = Open(spec);
  AwaitPeers(*client);
  return client;
}

class Harness final : public StoreHarness {
 public:
  // A server and its client, or three nodes.
  explicit Harness(bool pool, const std::string& way = "") {
    const auto with = [&](std::string spec) { return spec.insert(spec.find('{') + 1, way); };
    if (pool) {
      std::vector<std::string> nodes;
      for (int i = 0; i < 3; ++i) nodes.push_back(FreeAddress());
      for (int i = 2; i >= 0; --i) stores_.push_back(Open(with(NodeSpec(nodes[i], nodes))));
      // UCX 1.13 can fall over its own feet when many connections in the making are given up at
      // once in one process (docs/adr/0011-ucx.md), as these would be that end as soon as they
      // begin.
      for (const auto& store : stores_) AwaitPeers(*store);
    } else {
      stores_.push_back(Open(with(NodeSpec("127.0.0.1:0", {}))));
      stores_.push_back(
          OpenClient(with(R"({"remote_addr": ")" + stores_[0]->listen_address() + "\"}")));
    }
  }
  ~Harness() override {
    while (!stores_.empty()) stores_.pop_back();
  }
  RemoteDram& store() override { return *stores_.back(); }

 private:
  std::vector<std::unique_ptr<RemoteDram>> stores_;
};

const bool kRegistered = [] {
  RegisterStoreConformance("ShmClientConformance", [] { return std::make_unique<Harness>(false); });
  static const std::string tcp = R"("shared_memory": false, "transport": "tcp", )";
  static const std::string ucx = R"("shared_memory": false, "transport": "ucx", )";
  RegisterStoreConformance("TcpClientConformance",
                           [] { return std::make_unique<Harness>(false, tcp); });
  RegisterStoreConformance("TcpPoolConformance",
                           [] { return std::make_unique<Harness>(true, tcp); });
  RegisterStoreConformance("UcxClientConformance",
                           [] { return std::make_unique<Harness>(false, ucx); });
  RegisterStoreConformance("UcxPoolConformance",
                           [] { return std::make_unique<Harness>(true, ucx); });
  RegisterStoreConformance("ShmPoolConformance", [] { return std::make_unique<Harness>(true); });
  return true;
}();

TEST(RemoteDramTest, SuitesAreRegistered) { EXPECT_TRUE(kRegistered); }

TEST(RemoteDramTest, AWaitingCallerMayDrive) {
  const auto server = Open(NodeSpec("127.0.0.1:0", {}));
  const auto client =
      OpenClient(R"({"busy_poll": true, "remote_addr": ")" + server->listen_address() + "\"}");
  const std::string value = Bytes(1 << 20, 1);
  auto written = client->Write("k", Buffer::Borrow(value));
  while (!written.ready()) (void)client->Poll();
  ASSERT_TRUE(written.Get().ok());
  auto read = client->Read("k");
  while (!read.ready()) (void)client->Poll();
  EXPECT_TRUE(read.Get().value().value.view() == value);
}

// Threads that wait in Get do the progress thread's work in turns; whoever leaves must not strand
// the others.
TEST(RemoteDramTest, ManyThreadsWaitOnOneClient) {
  const auto server = Open(NodeSpec("127.0.0.1:0", {}));
  const auto client = OpenClient(R"({"remote_addr": ")" + server->listen_address() + "\"}");
  for (const int threads : {1, 2, 5, 1}) {
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&client, t] {
        const std::string key = "k" + std::to_string(t);
        for (int i = 0; i < 200; ++i) {
          const std::string value = Bytes(i % 50 == 0 ? 100'000 : 100, t * 1000 + i);
          ASSERT_TRUE(client->Write(key, Buffer::Borrow(value)).Get().ok());
          ASSERT_EQ(client->Read(key).Get().value().value.view(), value);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
  }
}

// After a thread has waited, the results of calls that nobody waits for come all the same.
TEST(RemoteDramTest, CallbacksComeAfterSomebodyWaited) {
  const auto server = Open(NodeSpec("127.0.0.1:0", {}));
  const auto client = OpenClient(R"({"remote_addr": ")" + server->listen_address() + "\"}");
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Put(*client, "k", "v").ok());
    std::promise<Status> seen;
    auto future = seen.get_future();
    client->Read("k").OnReady([&seen](const Result<ReadResult>& r) { seen.set_value(r.status()); });
    ASSERT_EQ(future.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    ASSERT_TRUE(future.get().ok());
  }
}

// What ends a call may come from another thread than the one that waits and makes progress.
TEST(RemoteDramTest, AWaitingThreadSeesCancellationAndTheEndOfThePool) {
  const auto server = Open(NodeSpec("127.0.0.1:0", {}));
  auto client = OpenClient(R"({"remote_addr": ")" + server->listen_address() + "\"}");
  const std::string large = Bytes(8 << 20, 1);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Put(*client, "k", "v").ok());
    auto write = client->Write("large", Buffer::Borrow(large));
    const auto cancel = write.Canceller();
    std::thread waiting([&write] {
      const auto result = write.Get();
      EXPECT_TRUE(result.ok() || result.status().code() == StatusCode::kCancelled);
    });
    cancel();
    waiting.join();
  }
  auto read = client->Read("large");
  std::thread waiting([&read] { (void)read.Get(); });
  client.reset();
  waiting.join();
}

TEST(RemoteDramTest, LoopbackByTheSpec) {
  const auto server = Open(R"({"listen_addr": "here:0", "transport": "loopback"})");
  const auto client = OpenClient(R"({"transport": "loopback", "remote_addr": ")" +
                                 server->listen_address() + "\"}");
  EXPECT_TRUE(Put(*client, "k", "v").ok());
  EXPECT_EQ(Value(*server, "k"), "v");
}

TEST(RemoteDramTest, SpecsAreRefusedWithAdvice) {
  const auto nothing = RemoteDram::Open("{}");
  EXPECT_EQ(nothing.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(RemoteDram::CheckSpec("{}"), nothing.status());
  EXPECT_TRUE(RemoteDram::CheckSpec(R"({"remote_addr": "a:1"})").ok());
  const auto copies = RemoteDram::Open(R"({"remote_addr": "a:1", "replication_factor": 3})");
  EXPECT_EQ(copies.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(copies.status().message(), testing::HasSubstr("set it to 1"));
  // Rules are checked as Open checks them, by the servers of the pool.
  for (const std::string listen : {"", R"("listen_addr": "here:5", )"}) {
    const std::string spec = "{" + listen + R"("remote_addrs": ["a:1", "b:1"], "key_routing":
        "explicit", "key_to_server_mapping": {"k": "c:1"}, "transport": "loopback"})";
    const Status refused = RemoteDram::Open(spec).status();
    EXPECT_THAT(refused.message(), testing::HasSubstr("'c:1', which is none of the pool"));
    EXPECT_EQ(RemoteDram::CheckSpec(spec), refused);
  }
  const auto taken = Open(NodeSpec("127.0.0.1:0", {}));
  EXPECT_EQ(RemoteDram::Open(NodeSpec(taken->listen_address(), {})).status().code(),
            StatusCode::kIoError);
}

}  // namespace
}  // namespace cairn::dram
