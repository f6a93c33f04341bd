// Servers that listen on a name with several addresses.
#include "src/dram/ucx/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/names_test_util.h"
#include "src/dram/ucx/raw_peer_test_util.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram::ucx {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class EchoHandler final : public RequestHandler {
 public:
  void OnRequest(std::unique_ptr<IncomingRequest> request) override {
    request->Reply(std::string(request->header()), {});
  }
  void OnDisconnect(ConnectionId) override {}
};

// A server at the name "node", which has these addresses.
class NamedServer {
 public:
  NamedServer(const std::vector<std::string>& hosts, std::uint16_t port)
      : core_(CoreWith(hosts, true)) {
    ::testing::internal::CaptureStderr();
    status_ = server_->Open({"node", port});
    log_ = ::testing::internal::GetCapturedStderr();
  }
  ~NamedServer() {
    if (status_.ok()) server_->CloseAndWait();
    core_->engine().Post([server = server_] {});
  }
  NamedServer(const NamedServer&) = delete;
  NamedServer& operator=(const NamedServer&) = delete;

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] const std::string& log() const { return log_; }
  [[nodiscard]] std::uint16_t port() const { return server_->address().port; }

 private:
  const std::unique_ptr<Core> core_;
  EchoHandler handler_;
  const std::shared_ptr<Server> server_ = std::make_shared<Server>(core_.get(), &handler_);
  Status status_;
  std::string log_;
};

Status EchoAt(const std::string& host, std::uint16_t port) {
  const auto transport = std::move(*MakeUcxTransport());
  return TestClient(transport.get(), {host, port}).Run("echo").status();
}

TEST(ServerTest, AllAddressesOfANameAreListenedAt) {
  // One is there twice, one is another host's.
  const NamedServer server({"127.0.0.2", "198.51.100.77", "127.0.0.3", "127.0.0.2"}, 0);
  ASSERT_TRUE(server.status().ok()) << server.status().ToString();
  EXPECT_NE(server.port(), 0);
  for (const std::string host : {"127.0.0.2", "127.0.0.3"}) {
    const Status echoed = EchoAt(host, server.port());
    EXPECT_TRUE(echoed.ok()) << echoed.ToString();
  }
  EXPECT_THAT(EchoAt("127.0.0.1", server.port()).message(), HasSubstr("refused"));
  EXPECT_THAT(server.log(), HasSubstr("dram: node:" + std::to_string(server.port()) +
                                      " listens at 127.0.0.2, 127.0.0.3, which other hosts can't "
                                      "reach"));
}

// UCX connects over TCP to the first address of an interface alone; 127.0.0.2 is a second one.
TEST(ServerTest, AnAddressThatUcxCannotReachIsPassedOver) {
  const NamedServer server({"127.0.0.2", "127.0.0.1"}, 0);
  ASSERT_TRUE(server.status().ok()) << server.status().ToString();
  const auto core = CoreWith({"127.0.0.2", "127.0.0.1"}, false, Network::kUcx);
  const Status both = EchoOver(core.get(), {"node", server.port()});
  EXPECT_TRUE(both.ok()) << both.ToString();
  const auto second = CoreWith({"127.0.0.2"}, false, Network::kUcx);
  const Status alone = EchoOver(second.get(), {"node", server.port()});
  EXPECT_EQ(alone.code(), StatusCode::kUnavailable);
  // Sockets of ours reach it.
  const auto tcp = CoreWith({"127.0.0.2"});
  const Status over_tcp = EchoOver(tcp.get(), {"node", server.port()});
  EXPECT_TRUE(over_tcp.ok()) << over_tcp.ToString();
}

TEST(ServerTest, AnAddressThatIsTakenIsAnErrorAndLeavesTheOthersFree) {
  std::uint16_t port = 0;
  {
    const NamedServer first({"127.0.0.2", "127.0.0.3"}, 0);
    port = first.port();
  }
  {
    const SilentSocket taken({"127.0.0.3", port});
    const NamedServer second({"127.0.0.2", "127.0.0.3"}, port);
    EXPECT_EQ(second.status().code(), StatusCode::kIoError);
    EXPECT_THAT(second.status().message(), AllOf(HasSubstr("node:" + std::to_string(port)),
                                                 HasSubstr("127.0.0.3"), HasSubstr("in use")));
  }
  const NamedServer third({"127.0.0.2", "127.0.0.3"}, port);
  EXPECT_TRUE(third.status().ok()) << third.status().ToString();
}

// A socket that shows a token at the door; whether a heartbeat answers it.
class FrameSocket {
 public:
  FrameSocket(const Endpoint& at, const std::string& token) {
    const SocketAddress server = Resolve(at, true)->front();
    fd_ = ::socket(server.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{30, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(::connect(fd_, server.get(), server.size), 0);
    const std::string hello = EncodeDoorMessage(DoorHello{token});
    EXPECT_EQ(::send(fd_, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
  }
  ~FrameSocket() { ::close(fd_); }
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;
  [[nodiscard]] bool IsTaken() const {
    std::string bytes(kFrameFixedBytes, '\0');
    if (::recv(fd_, bytes.data(), bytes.size(), MSG_WAITALL) != kFrameFixedBytes) return false;
    const auto frame = DecodeFrame(bytes);
    return frame.ok() && frame->kind == FrameKind::kHeartbeat;
  }

 private:
  int fd_ = -1;
};

// A client takes two sockets one after the other. When descriptors run out in between, those who
// have the first get the second.
TEST(ServerTest, WhoWasLetInComesBeforeThoseWhoWereNot) {
  constexpr std::size_t kClients = 10;
  const auto transport = std::move(*MakeUcxTransport());
  TestServer server(transport.get(), {"127.0.0.1", 0});
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const std::size_t free = FreeDescriptors().value();
  const std::size_t wanted = DescriptorBudget::kKept + kClients * DescriptorBudget::kEach + 1;
  ASSERT_GT(free, wanted);
  const rlimit low{before.rlim_cur - (free - wanted), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  // Until one is turned away.
  std::vector<std::unique_ptr<DoorKnock>> doors;
  while (doors.size() < 2 * kClients) {
    auto door = std::make_unique<DoorKnock>(server.address());
    if (door->welcome().token.empty()) break;
    doors.push_back(std::move(door));
  }
  EXPECT_GT(doors.size(), 2U);
  EXPECT_LT(doors.size(), 2 * kClients);
  std::vector<std::unique_ptr<FrameSocket>> sockets;
  for (const auto& door : doors) {
    sockets.push_back(std::make_unique<FrameSocket>(server.address(), door->welcome().token));
  }
  for (const auto& socket : sockets) EXPECT_TRUE(socket->IsTaken());
  EXPECT_EQ(server.connections(), doors.size());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ServerTest, ANameOfAnotherHostIsAnError) {
  const NamedServer server({"198.51.100.77"}, 0);
  EXPECT_EQ(server.status().code(), StatusCode::kIoError);
  EXPECT_THAT(server.status().message(), AllOf(HasSubstr("198.51.100.77"), HasSubstr("assign")));
}

}  // namespace
}  // namespace cairn::dram::ucx
