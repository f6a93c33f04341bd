// Names with several addresses, of which not all answer.
#include "src/dram/ucx/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram::ucx {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A core whose resolver gives these hosts, in this order, for the name "node".
std::unique_ptr<Core> CoreWith(const std::vector<std::string>& hosts) {
  auto context = Context::Create(NetworkConfig("tcp"));
  EXPECT_TRUE(context.ok()) << context.status().ToString();
  auto engine = Engine::Create(*context, false);
  EXPECT_TRUE(engine.ok()) << engine.status().ToString();
  auto core = std::make_unique<Core>(*context, std::move(*engine), 1000, false);
  core->resolve = [hosts](const Endpoint& endpoint,
                          bool numeric_only) -> Result<std::vector<SocketAddress>> {
    if (numeric_only) return UnavailableError("a name");
    std::vector<SocketAddress> addresses;
    for (const std::string& host : hosts) {
      addresses.push_back(Resolve({host, endpoint.port}, true)->front());
    }
    return addresses;
  };
  return core;
}

// What became of an echo over a connection of its own.
Status EchoOver(Core* core, const Endpoint& address) {
  const auto client = std::make_shared<Client>(core, address, nullptr);
  client->Connect();
  std::promise<Status> ended;
  Call call;
  call.header = "echo";
  call.done = [&ended](const Result<Answer>& answer) { ended.set_value(answer.status()); };
  (void)client->Start(std::move(call));
  const Status status = ended.get_future().get();
  client->CloseAndWait();
  return status;
}

// A socket where connections are made and nobody says anything.
class SilentSocket {
 public:
  explicit SilentSocket(const Endpoint& at) {
    const auto fd = OpenListeningSocket(Resolve(at, true)->front(), at.ToString());
    EXPECT_TRUE(fd.ok()) << fd.status().ToString();
    fd_ = fd.ok() ? *fd : -1;
  }
  ~SilentSocket() { ::close(fd_); }
  SilentSocket(const SilentSocket&) = delete;
  SilentSocket& operator=(const SilentSocket&) = delete;

 private:
  int fd_ = -1;
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

// UCX would write beyond the server's memory.
TEST(ClientIpv6Test, ProcessesOfOneHostMeetAtAnIpv6AddressAndNobodyOverTcp) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  const auto transport = std::move(*MakeUcxTransport());
  TestServer server(transport.get(), {"::1", 0});
  const auto core = CoreWith({"::1"});
  const Status status = EchoOver(core.get(), {"node", server.address().port});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("IPv4 addresses only"));
  EXPECT_TRUE(TestClient(transport.get(), server.address()).Run("echo").ok());
}

TEST(ClientIpv6Test, AServerAtEveryAddressIsReachedOverTcpByItsIpv4Ones) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  const auto transport = std::move(*MakeUcxTransport());
  TestServer server(transport.get(), {"::", 0});
  const auto core = CoreWith({"::1", "127.0.0.1"});
  EXPECT_TRUE(EchoOver(core.get(), {"node", server.address().port}).ok());
}

TEST(ClientIpv6Test, AServerThatNobodyCouldReachIsRefused) {
  if (!HasIpv6()) GTEST_SKIP() << "there is no IPv6 here";
  UcxOptions options;
  options.shared_memory = false;
  const auto transport = std::move(*MakeUcxTransport(options));
  const TestServer server(transport.get(), {"::1", 0});
  EXPECT_EQ(server.status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cairn::dram::ucx
