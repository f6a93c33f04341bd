// Names with several addresses, of which not all answer.
#include "src/dram/ucx/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/names_test_util.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram::ucx {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// How many connections the kernel has turned away for want of room in an accept queue.
std::uint64_t ListenOverflows() {
  std::ifstream file("/proc/net/netstat");
  // A line of names and one of numbers, both behind "TcpExt:".
  for (std::string names, numbers; std::getline(file, names) && std::getline(file, numbers);) {
    std::istringstream name_words(names);
    std::istringstream number_words(numbers);
    std::string name;
    std::string number;
    while (name_words >> name && number_words >> number) {
      if (name == "ListenOverflows") return std::stoull(number);
    }
  }
  ADD_FAILURE() << "/proc/net/netstat has no ListenOverflows";
  return 0;
}

// A listening socket whose queue is full, so that the kernel drops the SYN of whoever comes next.
class FullSocket {
 public:
  explicit FullSocket(const Endpoint& at) : address_(Resolve(at, true)->front()), listening_(at) {
    // The queue takes one more than this.
    EXPECT_EQ(::listen(listening_.fd(), 0), 0);
    filler_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(filler_, address_.get(), address_.size), 0);
  }
  ~FullSocket() { ::close(filler_); }
  FullSocket(const FullSocket&) = delete;
  FullSocket& operator=(const FullSocket&) = delete;

  // Takes who is next in the queue. -1 if there is nobody within 30 s.
  [[nodiscard]] int Accept() const {
    pollfd waits{listening_.fd(), POLLIN, 0};
    return ::poll(&waits, 1, 30'000) == 1 ? ::accept(listening_.fd(), nullptr, nullptr) : -1;
  }

 private:
  const SocketAddress address_;
  const SilentSocket listening_;
  int filler_ = -1;
};

class ClientTest : public ::testing::Test {
 protected:
  const std::unique_ptr<Transport> transport_ = std::move(*MakeUcxTransport());
  TestServer server_{transport_.get(), {"127.0.0.1", 0}};
  const Endpoint node_{"node", server_.address().port};
};

TEST_F(ClientTest, AddressesThatRefuseArePassedOver) {
  const auto core = CoreWith({"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  EXPECT_TRUE(EchoOver(core.get(), node_).ok());
}

TEST_F(ClientTest, TheFirstAddressIsTakenIfItAnswers) {
  const auto core = CoreWith({"127.0.0.1", "127.0.0.2"});
  const SilentSocket other({"127.0.0.2", node_.port});
  EXPECT_TRUE(EchoOver(core.get(), node_).ok());
}

TEST_F(ClientTest, AnAddressThatSaysNothingIsPassedOver) {
  const auto core = CoreWith({"127.0.0.2", "127.0.0.1"});
  const SilentSocket silent({"127.0.0.2", node_.port});
  EXPECT_TRUE(EchoOver(core.get(), node_).ok());
}

TEST_F(ClientTest, ASynThatIsLostOnceIsWaitedFor) {
  const auto core = CoreWith({"127.0.0.2", "127.0.0.1"});
  const FullSocket busy({"127.0.0.2", node_.port});
  const std::uint64_t before = ListenOverflows();
  auto echo = std::async(std::launch::async, [&] { return EchoOver(core.get(), node_); });
  while (ListenOverflows() == before) std::this_thread::yield();
  ::close(busy.Accept());
  // The SYN that comes a second later finds room, and the client has not gone elsewhere.
  const int client = busy.Accept();
  ASSERT_GE(client, 0);
  char hello = 0;
  EXPECT_EQ(::recv(client, &hello, 1, 0), 1);
  ::close(client);
  EXPECT_TRUE(echo.get().ok());
}

TEST_F(ClientTest, IfNoneAnswersAllAreNamed) {
  const auto core = CoreWith({"127.0.0.2", "127.0.0.3"});
  const Status status = EchoOver(core.get(), node_);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("node:" + std::to_string(node_.port)),
                                      HasSubstr("127.0.0.2: Connection refused"),
                                      HasSubstr("127.0.0.3: Connection refused")));
  // One address is what it is.
  const auto single = CoreWith({"127.0.0.2"});
  EXPECT_EQ(EchoOver(single.get(), node_).message(),
            "node:" + std::to_string(node_.port) + ": Connection refused");
}

bool HasIpv6() {
  const auto addresses = Resolve({"::1", 0}, true);
  const auto fd = addresses.ok() ? OpenListeningSocket(addresses->front(), "::1")
                                 : Result<int>(addresses.status());
  if (fd.ok()) ::close(*fd);
  return fd.ok();
}

// UCX would write beyond the server's memory; sockets of ours would not.
TEST(ClientIpv6Test, AnIpv6AddressIsReachedButOverUcx) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  const auto transport = std::move(*MakeUcxTransport());
  TestServer server(transport.get(), {"::1", 0});
  const auto tcp = CoreWith({"::1"});
  EXPECT_TRUE(EchoOver(tcp.get(), {"node", server.address().port}).ok());
  const auto core = CoreWith({"::1"}, false, Network::kUcx);
  const Status status = EchoOver(core.get(), {"node", server.address().port});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("IPv4 addresses only"));
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

TEST(ClientIpv6Test, AServerAtEveryAddressIsReachedOverUcxByItsIpv4Ones) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  const auto transport = std::move(*MakeUcxTransport());
  TestServer server(transport.get(), {"::", 0});
  const auto core = CoreWith({"::1", "127.0.0.1"}, false, Network::kUcx);
  EXPECT_TRUE(EchoOver(core.get(), {"node", server.address().port}).ok());
}

TEST(ClientIpv6Test, AServerThatNobodyCouldReachIsRefused) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  UcxOptions options;
  options.shared_memory = false;
  options.network = Network::kUcx;
  const auto transport = std::move(*MakeUcxTransport(options));
  const TestServer server(transport.get(), {"::1", 0});
  EXPECT_EQ(server.status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cairn::dram::ucx
