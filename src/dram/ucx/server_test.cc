// Servers that listen on a name with several addresses.
#include "src/dram/ucx/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/names_test_util.h"
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
  const auto core = CoreWith({"127.0.0.2", "127.0.0.1"});
  const Status both = EchoOver(core.get(), {"node", server.port()});
  EXPECT_TRUE(both.ok()) << both.ToString();
  const auto second = CoreWith({"127.0.0.2"});
  const Status alone = EchoOver(second.get(), {"node", server.port()});
  EXPECT_EQ(alone.code(), StatusCode::kUnavailable);
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

TEST(ServerTest, ANameOfAnotherHostIsAnError) {
  const NamedServer server({"198.51.100.77"}, 0);
  EXPECT_EQ(server.status().code(), StatusCode::kIoError);
  EXPECT_THAT(server.status().message(), AllOf(HasSubstr("198.51.100.77"), HasSubstr("assign")));
}

}  // namespace
}  // namespace cairn::dram::ucx
